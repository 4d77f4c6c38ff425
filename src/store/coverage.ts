/**
 * Which blocks are complete, and for whom.
 *
 * `indexer.coverage` holds for the tracked set as a whole; `indexer.wallet_coverage` where one wallet differs: it lacks what was
 * committed before it was linked, or has blocks that only a backfill of that wallet took. A wallet's coverage is therefore
 * (set − lacking) ∪ own. Always holds: it is written in the same transaction as the rows it speaks of, and never says more than is
 * there.
 */

import { addProved, mergeProved, type Proof, type ProvedRange, rangesOf, toProof } from '../core/proof.ts'
import { type Range, type Ranges, subtractRanges } from '../core/range.ts'
import type { Address } from '../core/types.ts'
import { booleans } from './array-types.ts'
import { read, type Sql, type Tx } from './connection.ts'

/** Of one wallet on one chain. */
export type WalletCoverage = {
  /** What is complete for it, and how that is known. */
  readonly complete: readonly ProvedRange[]
  /** What is complete for the tracked set and not for it: it was linked later. */
  readonly lacking: Ranges
}

type RangeRow = { from_block: string; to_block: string; verification: string }
type WalletRow = RangeRow & { address: Address; covered: boolean }

const toProved = (row: RangeRow): ProvedRange => ({
  from: Number(row.from_block),
  to: Number(row.to_block),
  proof: toProof(row.verification),
})

/** The blocks that are complete for every wallet that was tracked when they were taken. */
export async function loadCoverage(sql: Sql | Tx, chainId: number): Promise<Ranges> {
  return rangesOf(await loadProved(sql, chainId))
}

async function loadProved(sql: Sql | Tx, chainId: number): Promise<ProvedRange[]> {
  const rows = await read(sql<RangeRow[]>`
    select from_block, to_block, verification from indexer.coverage where chain_id = ${chainId}`)
  return mergeProved(rows.map(toProved))
}

/** The blocks that are complete for one wallet. */
export async function loadWalletCoverage(sql: Sql | Tx, chainId: number, address: Address): Promise<Ranges> {
  const { complete } = await loadWallet(sql, chainId, address)
  return rangesOf(complete)
}

/** What is known of one wallet's blocks. */
export async function loadWallet(sql: Sql | Tx, chainId: number, address: Address): Promise<WalletCoverage> {
  const set = await loadProved(sql, chainId)
  const rows = await read(sql<WalletRow[]>`
    select address, covered, from_block, to_block, verification from indexer.wallet_coverage
    where chain_id = ${chainId} and address = ${address}`)
  return coverageOf(set, rows)
}

/** The coverage of every wallet whose own differs from the tracked set's. */
export async function loadWallets(sql: Sql, chainId: number): Promise<Map<Address, Ranges>> {
  const set = await loadProved(sql, chainId)
  const rows = await read(sql<WalletRow[]>`
    select address, covered, from_block, to_block, verification from indexer.wallet_coverage where chain_id = ${chainId}`)
  return new Map(
    [...Map.groupBy(rows, ({ address }) => address)].map(([address, own]) => [
      address,
      rangesOf(coverageOf(set, own).complete),
    ]),
  )
}

function coverageOf(set: readonly ProvedRange[], rows: readonly WalletRow[]): WalletCoverage {
  const lacking = rangesOf(rows.filter(row => !row.covered).map(toProved))
  const own = rows.filter(row => row.covered).map(toProved)
  // What was filled later is known as well as it was filled, and not as the set is.
  const apart = rangesOf([...lacking, ...own])
  const ofSet = set.flatMap(range => subtractRanges([range], apart).map(part => ({ ...part, proof: range.proof })))
  return { complete: mergeProved([...own, ...ofSet]), lacking }
}

/** Adds a range to the tracked set's coverage. Called last: its lock is held until the commit. */
export async function addCoverage(tx: Tx, chainId: number, range: Range, proof: Proof = 'basic'): Promise<void> {
  await lockCoverage(tx, chainId)
  const extended = await tx`${extendCoverage(tx, chainId, { ...range, proof })}`
  if (extended.length === 0) await joinCoverage(tx, chainId, { ...range, proof })
}

/**
 * The common case, the next block, touches one row. Under the lock.
 *
 * Gives that row; none where the range has to be joined with what is there.
 */
export const extendCoverage = (tx: Tx, chainId: number, { from, to, proof }: ProvedRange) => tx`
  update indexer.coverage set to_block = ${to}
  where chain_id = ${chainId} and to_block = ${from - 1} and verification = ${proof}
    and not exists (
      select 1 from indexer.coverage other
      where other.chain_id = ${chainId} and other.from_block between ${from} and ${to + 1}
    )
  returning 1`

/** Under the lock. */
export async function joinCoverage(tx: Tx, chainId: number, range: ProvedRange): Promise<void> {
  await replaceCoverage(tx, chainId, addProved(await loadProved(tx, chainId), range))
}

/** Takes everything above a block out of all coverage: after a rewind. */
export async function cutCoverage(tx: Tx, chainId: number, above: number): Promise<void> {
  await lockCoverage(tx, chainId)
  await lockWallets(tx, chainId)
  for (const table of [tx`indexer.coverage`, tx`indexer.wallet_coverage`]) {
    await tx`delete from ${table} where chain_id = ${chainId} and from_block > ${above}`
    await tx`update ${table} set to_block = ${above} where chain_id = ${chainId} and to_block > ${above}`
  }
}

/** Adds a range to the coverage of single wallets, however many, in two statements. Called last: its lock is held until the commit. */
export async function addWalletCoverage(
  tx: Tx,
  chainId: number,
  addresses: readonly Address[],
  range: Range,
  proof: Proof = 'basic',
): Promise<void> {
  if (addresses.length === 0) return
  await lockWallets(tx, chainId)
  // What touches the range is joined with it or cut by it; what lies apart stays as it is.
  const touching = await tx<WalletRow[]>`
    delete from indexer.wallet_coverage
    where chain_id = ${chainId} and address = any(${[...addresses]}::text[])
      and from_block <= ${range.to + 1} and to_block >= ${range.from - 1}
    returning address, covered, from_block, to_block, verification`
  const byAddress = Map.groupBy(touching, ({ address }) => address)
  const rows = [...new Set(addresses)].flatMap(address => {
    const known = byAddress.get(address) ?? []
    const own = known.filter(({ covered }) => covered).map(toProved)
    const lacking = subtractRanges(rangesOf(known.filter(({ covered }) => !covered).map(toProved)), [range])
    return [
      ...addProved(mergeProved(own), { ...range, proof }).map(each => ({ ...each, address, covered: true })),
      ...lacking.map(each => ({ ...each, proof: 'basic' as const, address, covered: false })),
    ]
  })
  await insertWalletRows(tx, chainId, rows)
}

/**
 * Notes a range as lacking for every wallet that came to the set after a version of it, or was changed: too many is harmless, since
 * what is lacking is filled, and blocks of a wallet's own (covered) stay complete. What is noted twice overlaps, which readers allow.
 */
export async function noteLacking(tx: Tx, chainId: number, sinceVersion: number, range: Range): Promise<void> {
  await lockWallets(tx, chainId)
  await tx`
    insert into indexer.wallet_coverage as known (chain_id, address, covered, from_block, to_block, verification)
    select ${chainId}, address, false, ${range.from}::bigint, ${range.to}::bigint, 'basic'
    from indexer.wallets where tracked and version > ${sinceVersion}
    on conflict (chain_id, address, covered, from_block) do update set to_block = greatest(known.to_block, excluded.to_block)`
}

/** Takes back what was found for a wallet by filtered questions: it is lacking again. */
export async function retractFiltered(tx: Tx, chainId: number, address: Address): Promise<void> {
  await lockWallets(tx, chainId)
  const rows = await tx<WalletRow[]>`
    delete from indexer.wallet_coverage
    where chain_id = ${chainId} and address = ${address} and (not covered or verification in ('filtered', 'witnessed'))
    returning address, covered, from_block, to_block, verification`
  const lacking = rangesOf(rows.map(toProved))
  if (lacking.length === 0) return
  await insertWalletRows(
    tx,
    chainId,
    lacking.map(each => ({ ...each, proof: 'basic' as const, address, covered: false })),
  )
}

async function insertWalletRows(
  tx: Tx,
  chainId: number,
  rows: readonly (ProvedRange & { readonly address: Address; readonly covered: boolean })[],
): Promise<void> {
  await tx`
    insert into indexer.wallet_coverage (chain_id, address, covered, from_block, to_block, verification)
    select ${chainId}, address, covered::boolean, from_block, to_block, verification from unnest(
      ${rows.map(row => row.address)}::text[], ${booleans(rows.map(row => row.covered))}::text[],
      ${rows.map(row => row.from)}::bigint[], ${rows.map(row => row.to)}::bigint[], ${rows.map(row => row.proof)}::text[]
    ) as r (address, covered, from_block, to_block, verification)`
}

async function replaceCoverage(tx: Tx, chainId: number, ranges: readonly ProvedRange[]): Promise<void> {
  await tx`delete from indexer.coverage where chain_id = ${chainId}`
  await tx`
    insert into indexer.coverage (chain_id, from_block, to_block, verification)
    select ${chainId}, * from unnest(
      ${ranges.map(({ from }) => from)}::bigint[], ${ranges.map(({ to }) => to)}::bigint[], ${ranges.map(({ proof }) => proof)}::text[]
    )`
}

/** Two that join ranges of one chain must not read before the other has written. */
async function lockCoverage(tx: Tx, chainId: number): Promise<void> {
  await tx`select ${coverageLock(tx, chainId)}`
}

export const coverageLock = (tx: Tx, chainId: number) =>
  tx`pg_advisory_xact_lock(hashtextextended('indexer.coverage', ${chainId}))`

/** A lock of its own: whoever fills the past of wallets does not keep the next block waiting. */
async function lockWallets(tx: Tx, chainId: number): Promise<void> {
  await tx`select pg_advisory_xact_lock(hashtextextended('indexer.wallet_coverage', ${chainId}))`
}
