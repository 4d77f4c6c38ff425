/**
 * The sweep: rows that the application inserted, also for transactions that were mined long ago.
 *
 * Blocks that are still to come are watched by the follower, which is told of every hash that is sought. What is left are blocks
 * that it has passed: their transactions are located and taken up from there, on every chain, because the application's `chain` is
 * a claim. A node's "not found" decides nothing.
 */

import { settledHeight } from '../core/lifecycle.ts'
import type { Hash } from '../core/types.ts'
import { describeError } from '../errors.ts'
import type { Store } from '../store/store.ts'
import type { ChainContext } from './context.ts'
import { matchBlocks } from './match.ts'

const MAX_SOUGHT_PER_SWEEP = 100
/** One hash is not asked for more often than this. */
const ASK_AGAIN_AFTER_MS = 5_000

export type SweepResult = { readonly enrolled: number; readonly restored: number; readonly found: number }

/** @param scope `all` also compares rows that are not pending: costs a pass over the table */
export async function sweep(
  store: Store,
  contexts: readonly ChainContext[],
  scope: 'pending' | 'all',
  signal: AbortSignal,
): Promise<SweepResult> {
  const enrolled = await store.enrollApplicationRows(scope)
  const restored = await store.restoreRows(new Map(contexts.map(({ chain }) => [chain.id, chain])), scope)
  let found = 0
  for (const hash of await store.nextSought(MAX_SOUGHT_PER_SWEEP, ASK_AGAIN_AFTER_MS)) {
    for (const context of contexts) {
      if (signal.aborted) return { enrolled, restored, found }
      if (await takeUp(context, hash, signal)) found += 1
    }
  }
  return { enrolled, restored, found }
}

/** @returns whether the transaction was found in a block of this chain that is committed already, and written */
async function takeUp(context: ChainContext, hash: Hash, signal: AbortSignal): Promise<boolean> {
  const { chain, log, registry, source, store } = context
  try {
    const place = await source.locate(hash, signal)
    if (place === null || place === 'pending') return false
    const checkpoint = await store.checkpoint(chain.id)
    if (checkpoint === null || place.blockNumber > checkpoint.number) return false
    const block = await source.block(place.blockNumber, signal)
    if (block.hash !== place.blockHash) return false
    await registry.refresh()
    const registryVersion = registry.version
    const { activities, transactions } = await matchBlocks(context, [block], { sought: new Set([hash]) }, signal)
    return await store.commitFound({
      chain,
      registryVersion,
      block,
      settledHeight: settledHeight({
        confirmations: chain.confirmations,
        checkpointNumber: checkpoint.number,
        tagNumber: null,
        finalizedNumber: checkpoint.finalizedNumber,
      }),
      activities: activities.filter(row => row.transactionHash === hash),
      transactions: transactions.filter(({ inclusion }) => inclusion.transactionHash === hash),
    })
  } catch (error) {
    if (!signal.aborted)
      log.debug(
        { chain: chain.name, tx: hash, reason: describeError(error) },
        'A sought transaction could not be asked for',
      )
    return false
  }
}
