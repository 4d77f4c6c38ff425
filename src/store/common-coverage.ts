/**
 * The blocks that are complete for everybody whom a job is for: what a job of several wallets still lacks.
 */

import { intersectRanges, mergeRanges, type Range, type Ranges, subtractRanges } from '../core/range.ts'
import type { Address } from '../core/types.ts'
import { read, type Sql, type Tx } from './connection.ts'
import { loadCoverage } from './coverage.ts'

/** Complete for each of these wallets; null: for the whole set. */
export async function loadCommonCoverage(
  sql: Sql | Tx,
  chainId: number,
  addresses: readonly Address[] | null,
): Promise<Ranges> {
  const set = await loadCoverage(sql, chainId)
  if (addresses === null) return set
  const rows = await read(sql<{ address: Address; covered: boolean; from_block: string; to_block: string }[]>`
    select address, covered, from_block, to_block from indexer.wallet_coverage
    where chain_id = ${chainId} and address = any(${[...addresses]}::text[])`)
  const byWallet = Map.groupBy(rows, ({ address }) => address)
  const completeFor = (address: Address): Ranges => {
    const differing = byWallet.get(address) ?? []
    const rangesOf = (covered: boolean): Range[] =>
      differing
        .filter(row => row.covered === covered)
        .map(row => ({ from: Number(row.from_block), to: Number(row.to_block) }))
    return mergeRanges([...subtractRanges(set, mergeRanges(rangesOf(false))), ...rangesOf(true)])
  }
  return addresses.map(completeFor).reduce((all, own) => intersectRanges(all, own))
}
