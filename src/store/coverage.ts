/**
 * Which blocks are complete, and for whom.
 *
 * `indexer.coverage` holds for the tracked set as a whole; `indexer.wallet_coverage` where one wallet differs: it lacks what was
 * committed before it was linked, or has blocks that only a backfill of that wallet took. A wallet's coverage is therefore
 * (set − lacking) ∪ own. Always holds: it is written in the same transaction as the rows it speaks of, and never says more than is
 * there.
 */

import { mergeRanges, type Range, type Ranges, subtractRanges } from '../core/range.ts'
import type { Address } from '../core/types.ts'
import { read, type Sql, type Tx } from './connection.ts'

type RangeRow = { from_block: string; to_block: string }

const toRanges = (rows: readonly RangeRow[]): Ranges =>
  mergeRanges(rows.map(row => ({ from: Number(row.from_block), to: Number(row.to_block) })))

/** The blocks that are complete for every wallet that was tracked when they were taken. */
export async function loadCoverage(sql: Sql | Tx, chainId: number): Promise<Ranges> {
  return toRanges(
    await read(sql<RangeRow[]>`select from_block, to_block from indexer.coverage where chain_id = ${chainId}`),
  )
}

/** The blocks that are complete for one wallet. */
export async function loadWalletCoverage(sql: Sql | Tx, chainId: number, address: Address): Promise<Ranges> {
  const set = await loadCoverage(sql, chainId)
  const rows = await read(sql<(RangeRow & { covered: boolean })[]>`
    select from_block, to_block, covered from indexer.wallet_coverage where chain_id = ${chainId} and address = ${address}`)
  const lacking = toRanges(rows.filter(row => !row.covered))
  const own = toRanges(rows.filter(row => row.covered))
  return mergeRanges([...subtractRanges(set, lacking), ...own])
}

/** The wallets whose coverage differs from the tracked set's. */
export async function loadDifferingWallets(sql: Sql, chainId: number): Promise<Address[]> {
  const rows = await read(
    sql<{ address: Address }[]>`select distinct address from indexer.wallet_coverage where chain_id = ${chainId}`,
  )
  return rows.map(row => row.address)
}

/** Adds a range to the tracked set's coverage, which is locked already (`guard.ts`). The common case, the next block, touches one row. */
export async function addLockedCoverage(tx: Tx, chainId: number, range: Range): Promise<void> {
  const extended = await tx`${extendCoverage(tx, chainId, range)}`
  if (extended.length === 0) await joinCoverage(tx, chainId, range)
}

/** Gives one row where the range could be put behind another one, and none where it has to be joined. */
export const extendCoverage = (tx: Tx, chainId: number, range: Range) => tx`
  update indexer.coverage set to_block = ${range.to}
  where chain_id = ${chainId} and to_block = ${range.from - 1}
    and not exists (
      select 1 from indexer.coverage other
      where other.chain_id = ${chainId} and other.from_block between ${range.from} and ${range.to + 1}
    )
  returning 1`

export async function joinCoverage(tx: Tx, chainId: number, range: Range): Promise<void> {
  await replaceCoverage(tx, chainId, mergeRanges([...(await loadCoverage(tx, chainId)), range]))
}

/** Takes everything above a block out of all coverage: after a rewind. */
export async function cutCoverage(tx: Tx, chainId: number, above: number): Promise<void> {
  await lockCoverage(tx, chainId)
  for (const table of [tx`indexer.coverage`, tx`indexer.wallet_coverage`]) {
    await tx`delete from ${table} where chain_id = ${chainId} and from_block > ${above}`
    await tx`update ${table} set to_block = ${above} where chain_id = ${chainId} and to_block > ${above}`
  }
}

/** Adds a range to the coverage of single wallets. */
export async function addWalletCoverage(
  tx: Tx,
  chainId: number,
  addresses: readonly Address[],
  range: Range,
): Promise<void> {
  await lockCoverage(tx, chainId)
  for (const address of addresses) {
    const rows = await tx<(RangeRow & { covered: boolean })[]>`
      select from_block, to_block, covered from indexer.wallet_coverage where chain_id = ${chainId} and address = ${address}`
    const own = mergeRanges([...toRanges(rows.filter(row => row.covered)), range])
    const lacking = subtractRanges(toRanges(rows.filter(row => !row.covered)), [range])
    await tx`delete from indexer.wallet_coverage where chain_id = ${chainId} and address = ${address}`
    await insertWalletRanges(tx, chainId, address, true, own)
    await insertWalletRanges(tx, chainId, address, false, lacking)
  }
}

async function insertWalletRanges(
  tx: Tx,
  chainId: number,
  address: Address,
  covered: boolean,
  ranges: Ranges,
): Promise<void> {
  if (ranges.length === 0) return
  await tx`
    insert into indexer.wallet_coverage (chain_id, address, covered, from_block, to_block)
    select ${chainId}, ${address}, ${covered}, * from unnest(
      ${ranges.map(({ from }) => from)}::bigint[], ${ranges.map(({ to }) => to)}::bigint[]
    )`
}

async function replaceCoverage(tx: Tx, chainId: number, ranges: Ranges): Promise<void> {
  await tx`delete from indexer.coverage where chain_id = ${chainId}`
  await tx`
    insert into indexer.coverage (chain_id, from_block, to_block)
    select ${chainId}, * from unnest(${ranges.map(({ from }) => from)}::bigint[], ${ranges.map(({ to }) => to)}::bigint[])`
}

/** Two that join ranges of one chain must not read before the other has written. */
async function lockCoverage(tx: Tx, chainId: number): Promise<void> {
  await tx`select ${coverageLock(tx, chainId)}`
}

export const coverageLock = (tx: Tx, chainId: number) =>
  tx`pg_advisory_xact_lock(hashtextextended('indexer.coverage', ${chainId}))`
