/**
 * `verify --wallet`: what of a wallet's history was compared, and what of it is not there to be compared.
 */

import { type ProvedRange, rangesOf, withinRanges } from '../core/proof.ts'
import type { Ranges } from '../core/range.ts'
import type { Address } from '../core/types.ts'
import type { ChainContext } from '../steps/context.ts'
import { leaseName } from '../steps/lease.ts'
import type { WalletWork } from '../store/store.ts'
import type { Difference } from '../verify/compare.ts'
import { type MissingRange, missingOf } from '../wallet-status.ts'
import { describeMissing, describeProof } from './wallet-words.ts'

/** A wallet that was asked about. */
export type Named = {
  readonly wallet: Address
  /** Within the range that was asked for. */
  readonly complete: readonly ProvedRange[]
  readonly missing: readonly MissingRange[]
  readonly work: WalletWork | null
  readonly isFollowed: boolean
}

/** What was compared of one wallet, and what of its history is not there to be compared. */
export function describeProved(
  { wallet, complete, missing, work, isFollowed }: Named,
  chain: string,
  compared: ReadonlyMap<string, number>,
  differences: readonly Difference[],
): string[] {
  const activities = compared.get(wallet) ?? 0
  const own = differences.filter(({ text }) => text.includes(wallet)).length
  const outcome = own === 0 ? 'none differs from the chain' : `${own} differ from the chain`
  return [
    `${wallet}: ${activities} activities compared, ${outcome}; ${missing.length === 0 ? 'its history in these blocks is complete' : 'its history in these blocks is not complete'}.`,
    ...complete.map(each => `  compared: ${describeProof(each)}.`),
    ...missing.map(each => `  missing: ${describeMissing(each, { chain, work, isFollowed })}.`),
  ]
}

export async function nameWallet(
  { chain, store }: ChainContext,
  wallet: Address,
  asked: Ranges,
  finalized: number,
): Promise<Named> {
  const { complete, lacking } = await store.walletCompleteness(chain.id, wallet)
  return {
    wallet,
    complete: withinRanges(complete, asked),
    missing: missingOf(asked, rangesOf(complete), lacking, finalized),
    work: await store.walletWork(chain.id, wallet),
    isFollowed: (await store.leaseHolder(leaseName(chain.id))) !== null,
  }
}
