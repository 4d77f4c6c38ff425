/**
 * What is known of one wallet on each chain: which blocks are complete for it and how that is known, which are missing, why, and what is
 * being done about them.
 */

import type { App } from './app.ts'
import type { ProvedRange } from './core/proof.ts'
import { rangesOf } from './core/proof.ts'
import { countBlocks, intersectRanges, mergeRanges, type Range, type Ranges, subtractRanges } from './core/range.ts'
import type { Address } from './core/types.ts'
import { leaseName } from './steps/lease.ts'
import type { InternalValue, WalletWork } from './store/store.ts'

const MAX_INTERNAL = 20

/** Why blocks are missing: the wallet came later and they are filled; they are not final yet; nobody's blocks were taken there. */
export type MissingReason = 'linked-later' | 'not-final' | 'not-indexed'
export type MissingRange = Range & { readonly reason: MissingReason }

export type WalletChain = {
  readonly chain: string
  readonly id: number
  readonly symbol: string
  readonly decimals: number
  /** From here on a history is complete; null: nothing is indexed yet. */
  readonly startBlock: number | null
  readonly indexed: number | null
  readonly finalized: number | null
  readonly complete: readonly ProvedRange[]
  readonly missing: readonly MissingRange[]
  readonly missingBlocks: number
  /** What is being done about it; null: nothing yet. */
  readonly work: WalletWork | null
  readonly isFollowed: boolean
  /** Value that came or went inside of transactions, as far as balances show it; the newest first. */
  readonly internal: readonly InternalValue[]
}

export type WalletStatus = {
  readonly address: Address
  readonly tracked: boolean
  readonly userId: string | null
  readonly chains: readonly WalletChain[]
}

export async function walletStatusOf({ store, config }: App, address: Address): Promise<WalletStatus> {
  await store.syncWallets()
  const owner = await store.trackedWallet(address)
  const chains: WalletChain[] = []
  for (const { chain } of config.chains) {
    const checkpoint = await store.checkpoint(chain.id)
    const { complete, lacking } = await store.walletCompleteness(chain.id, address)
    const startBlock = chain.startBlock === 'latest' ? (checkpoint?.startBlock ?? null) : chain.startBlock
    const finalized = checkpoint === null ? null : Math.min(checkpoint.finalizedNumber, checkpoint.number)
    const asked =
      checkpoint === null || startBlock === null ? [] : mergeRanges([{ from: startBlock, to: checkpoint.number }])
    const missing = missingOf(asked, rangesOf(complete), lacking, finalized ?? -1)
    chains.push({
      chain: chain.name,
      id: chain.id,
      ...chain.nativeToken,
      startBlock,
      indexed: checkpoint?.number ?? null,
      finalized,
      complete: owner === null ? [] : complete,
      missing: owner === null ? [] : missing,
      missingBlocks: owner === null ? 0 : countBlocks(rangesOf(missing)),
      work: await store.walletWork(chain.id, address),
      isFollowed: (await store.leaseHolder(leaseName(chain.id))) !== null,
      internal: await store.internalValue(chain.id, address, MAX_INTERNAL),
    })
  }
  return { address, tracked: owner !== null, userId: owner?.userId ?? null, chains }
}

const named = (ranges: Ranges, reason: MissingReason) => ranges.map(range => ({ ...range, reason }))

/** What of some blocks is not complete for a wallet, and why; lowest first. */
export function missingOf(asked: Ranges, complete: Ranges, lacking: Ranges, finalized: number): MissingRange[] {
  const missing = subtractRanges(asked, complete)
  const late = intersectRanges(missing, lacking)
  const final = mergeRanges([{ from: 0, to: finalized }])
  return [
    ...named(subtractRanges(missing, late), 'not-indexed'),
    ...named(intersectRanges(late, final), 'linked-later'),
    ...named(subtractRanges(late, final), 'not-final'),
  ].toSorted((a, b) => a.from - b.from)
}
