/**
 * Repair: a block's rows are taken away and written again.
 */

import type { Address } from '../core/types.ts'
import type { ChainContext } from './context.ts'
import { matchBlocks } from './match.ts'

/** Writes one block again for some wallets. @returns false if the block is not (or no longer) the one that is indexed */
export async function repairBlock(
  context: ChainContext,
  blockNumber: number,
  wallets: ReadonlySet<Address>,
  signal: AbortSignal,
): Promise<boolean> {
  const { chain, registry, source, store } = context
  const block = await source.block(blockNumber, signal)
  await registry.refresh('newest', signal)
  const registryVersion = registry.version
  const sought = new Set(block.transactions.map(({ hash }) => hash))
  const { activities, transactions } = await matchBlocks(context, [block], { sought }, signal)
  return store.commitRepair({
    chain,
    registryVersion,
    block,
    wallets: [...wallets],
    activities: activities.filter(row => wallets.has(row.walletAddress)),
    transactions,
  })
}
