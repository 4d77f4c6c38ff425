/**
 * Who fills the past of which wallet.
 *
 * What a wallet lacks stands in its coverage; a claim says who works on it. Always holds: a claim is taken and renewed by the database's
 * clock, and is over when nobody renews it; work that was done twice because a claim ran out leaves the same rows. No session lock: it
 * works behind a pooler.
 */

import type { Way } from '../core/onboarding.ts'
import { intersectRanges, mergeRanges, type Range, type Ranges } from '../core/range.ts'
import type { Address } from '../core/types.ts'
import { rangesOf } from '../core/proof.ts'
import { inTransaction, read, type Sql } from './connection.ts'
import { retractFiltered } from './coverage.ts'

export const WALLET_CLAIM_TTL_MS = 12_000
/** Of an interval that is not final to its end, at least so many blocks have to be: else it is worth the wait. */
const MIN_FINAL_BLOCKS = 64
/** After a failure, doubled each time. */
const FIRST_REST_MS = 5_000
const MAX_REST_MS = 600_000

export type WalletClaim = {
  readonly address: Address
  /** What was decided for it before; null: nothing yet. */
  readonly way: Way | null
  readonly reason: string | null
  /** In a row. */
  readonly failures: number
  /** Within what is final. */
  readonly lacking: Ranges
}

export type WalletClaims = { readonly chainId: number; readonly holder: string }

/** Whether a claim is over, or of a time from which the clock was set back. */
const isFree = (sql: Sql) => sql`
  (o.claimed_until is null or o.claimed_until < clock_timestamp()
    or o.claimed_until > clock_timestamp() + ${2 * WALLET_CLAIM_TTL_MS} * interval '1 millisecond')`

/**
 * Claims tracked wallets that lack blocks, the newest links first.
 *
 * @param bounds from the chain's start to its last final block
 */
export async function claimWallets(
  sql: Sql,
  { chainId, holder }: WalletClaims,
  bounds: Range,
  limit: number,
): Promise<WalletClaim[]> {
  type Row = { address: Address; way: Way | null; reason: string | null; failures: number }
  const rows = await read(sql<Row[]>`
    with waiting as (
      select w.address from indexer.wallets w
      where w.tracked and exists (
        select from indexer.wallet_coverage c
        where c.chain_id = ${chainId} and c.address = w.address and not c.covered
          and c.from_block <= ${bounds.to} and c.to_block >= ${bounds.from}
          and (c.to_block <= ${bounds.to} or ${bounds.to + 1} - greatest(c.from_block, ${bounds.from}) >= ${MIN_FINAL_BLOCKS})
      ) and not exists (
        select from indexer.onboarding o
        where o.chain_id = ${chainId} and o.address = w.address and (not ${isFree(sql)} or o.rests_until > clock_timestamp())
      )
      order by w.version desc, w.address limit ${limit}
    )
    insert into indexer.onboarding as o (chain_id, address, claimed_by, claimed_until)
    select ${chainId}, address, ${holder}, clock_timestamp() + ${WALLET_CLAIM_TTL_MS} * interval '1 millisecond'
    from waiting order by address
    on conflict (chain_id, address) do update set
      claimed_by = excluded.claimed_by, claimed_until = excluded.claimed_until, updated_at = now()
      where ${isFree(sql)}
    returning o.address, o.way, o.reason, o.failures`)
  const lacking = await loadLacking(
    sql,
    chainId,
    rows.map(({ address }) => address),
  )
  return rows.map(row => ({ ...row, lacking: intersectRanges(lacking.get(row.address) ?? [], mergeRanges([bounds])) }))
}

const toRange = (row: { from_block: string; to_block: string }): Range => ({
  from: Number(row.from_block),
  to: Number(row.to_block),
})

async function loadLacking(
  sql: Sql,
  chainId: number,
  addresses: readonly Address[],
): Promise<ReadonlyMap<Address, Ranges>> {
  if (addresses.length === 0) return new Map()
  const rows = await read(sql<{ address: Address; from_block: string; to_block: string }[]>`
    select address, from_block, to_block from indexer.wallet_coverage
    where chain_id = ${chainId} and not covered and address = any(${[...addresses]}::text[])`)
  return new Map(
    [...Map.groupBy(rows, ({ address }) => address)].map(([address, own]) => [address, rangesOf(own.map(toRange))]),
  )
}

/** Extends what a holder has claimed on a chain. @returns of how many wallets */
export async function renewWalletClaims(sql: Sql, { chainId, holder }: WalletClaims): Promise<number> {
  const rows = await read(sql`
    update indexer.onboarding set claimed_until = clock_timestamp() + ${WALLET_CLAIM_TTL_MS} * interval '1 millisecond'
    where chain_id = ${chainId} and claimed_by = ${holder} returning 1`)
  return rows.length
}

/** Gives back what a holder has claimed; of wallets that lack nothing any more nothing stays. */
export async function releaseWalletClaims(sql: Sql, { chainId, holder }: WalletClaims): Promise<void> {
  await inTransaction(sql, async tx => {
    await tx`
      delete from indexer.onboarding o
      where o.chain_id = ${chainId} and o.claimed_by = ${holder} and o.failures = 0 and not exists (
        select from indexer.wallet_coverage c
        where c.chain_id = o.chain_id and c.address = o.address and not c.covered
      )`
    await tx`
      update indexer.onboarding set claimed_by = null, claimed_until = null, updated_at = now()
      where chain_id = ${chainId} and claimed_by = ${holder}`
  })
}

/** What was decided for wallets, and why: the next one who claims them need not find out again. */
export async function noteWay(
  sql: Sql,
  { chainId, holder }: WalletClaims,
  addresses: readonly Address[],
  way: Way,
  reason: string | null,
): Promise<void> {
  if (addresses.length === 0) return
  await read(sql`
    update indexer.onboarding set way = ${way}, reason = ${reason}, updated_at = now()
    where chain_id = ${chainId} and claimed_by = ${holder} and address = any(${[...addresses]}::text[])`)
}

/** A wallet that could not be filled rests, longer each time. @param message without secrets; null: it went well */
export async function noteOutcome(
  sql: Sql,
  { chainId, holder }: WalletClaims,
  addresses: readonly Address[],
  message: string | null,
): Promise<void> {
  if (addresses.length === 0) return
  const own = sql`chain_id = ${chainId} and claimed_by = ${holder} and address = any(${[...addresses]}::text[])`
  if (message === null) {
    await read(sql`
      update indexer.onboarding set failures = 0, rests_until = null, last_error = null, updated_at = now() where ${own}`)
    return
  }
  await read(sql`
    update indexer.onboarding set failures = failures + 1, last_error = ${message}, updated_at = now(),
      rests_until = clock_timestamp()
        + least(${FIRST_REST_MS} * power(2, least(failures, 20)), ${MAX_REST_MS}) * interval '1 millisecond'
    where ${own}`)
}

/** What filtered questions found for a wallet can't be all: it is lacking again. */
export function retract(sql: Sql, chainId: number, address: Address): Promise<void> {
  return inTransaction(sql, tx => retractFiltered(tx, chainId, address))
}

/** Whether a transaction is known that the wallet sent: only a key can, and no contract is ever at its address. */
export async function hasSent(sql: Sql, address: Address): Promise<boolean> {
  const rows = await read(sql`
    select 1 from wallet_activity a join indexer.inclusions i on i.tx_hash = a.tx_hash
    where a.wallet_address = ${address} and i.sender = ${address} limit 1`)
  return rows.length > 0
}

export type OnboardingCount = {
  /** Tracked wallets that lack blocks. */
  readonly waiting: number
  /** Those of them that somebody works on. */
  readonly working: number
  /** Those that rest after a failure. */
  readonly failing: number
}

export async function countOnboarding(sql: Sql, chainId: number): Promise<OnboardingCount> {
  const [row] = await read(sql<OnboardingCount[]>`
    select count(*)::int as waiting,
      count(*) filter (where not ${isFree(sql)} and o.address is not null)::int as working,
      count(*) filter (where o.failures > 0)::int as failing
    from (
      select distinct c.address from indexer.wallet_coverage c join indexer.wallets w using (address)
      where c.chain_id = ${chainId} and not c.covered and w.tracked
    ) lacking
    left join indexer.onboarding o on o.chain_id = ${chainId} and o.address = lacking.address`)
  return row ?? { waiting: 0, working: 0, failing: 0 }
}

/** What is being done about one wallet's past; null: nothing yet. */
export type WalletWork = {
  readonly isClaimed: boolean
  readonly way: Way | null
  readonly reason: string | null
  readonly failures: number
  readonly lastError: string | null
  readonly restsSeconds: number | null
}

export async function loadWork(sql: Sql, chainId: number, address: Address): Promise<WalletWork | null> {
  type Row = {
    claimed: boolean
    way: Way | null
    reason: string | null
    failures: number
    last_error: string | null
    rests: number | null
  }
  const [row] = await read(sql<Row[]>`
    select not ${isFree(sql)} as claimed, way, reason, failures, last_error,
      extract(epoch from rests_until - clock_timestamp())::float8 as rests
    from indexer.onboarding o where chain_id = ${chainId} and address = ${address}`)
  if (row === undefined) return null
  return {
    isClaimed: row.claimed,
    way: row.way,
    reason: row.reason,
    failures: row.failures,
    lastError: row.last_error,
    restsSeconds: row.rests === null || row.rests <= 0 ? null : row.rests,
  }
}

/** A wallet as it is tracked now; null: it is not. */
export async function loadTracked(sql: Sql, address: Address): Promise<{ readonly userId: string | null } | null> {
  const [row] = await read(sql<{ user_id: string | null }[]>`
    select user_id from indexer.wallets where address = ${address} and tracked`)
  return row === undefined ? null : { userId: row.user_id }
}
