/**
 * What the database holds, in the form of `rows.ts`: read with SQL of its own, not with that of the store.
 */
import type postgres from 'postgres'
import type { Range } from '../core/range.ts'
import { read } from '../store/connection.ts'
import { type ExpectedActivity, type ExpectedTransaction, normalise, type Rows, sortRows } from './rows.ts'

/** A row of `user_transactions`, with what the daemon remembers of it. */
export type FoundTransaction = ExpectedTransaction & {
  readonly keeps_user: boolean
  readonly keeps_event_type: boolean
  /** The chain whose block it shows. */
  readonly chain_id: number | null
  /** What the newest transition says. */
  readonly newest_status: string | null
  /** A wallet takes part that is tracked no more: nobody may be left whose transaction it could be, and the row stays as it was. */
  readonly has_former: boolean
}

export type Scope = {
  readonly chainId: number
  readonly range: Range
  readonly wallets: readonly string[]
}

/** The daemon's rows of `wallet_activity`: those with a block hash. */
export async function readActivities(
  sql: postgres.Sql,
  { chainId, range, wallets }: Scope,
): Promise<ExpectedActivity[]> {
  const rows = await read(sql`
    select id, wallet_address, user_id, activity_type, tx_hash, amount::text, raw_amount::text, token, token_address, chain_id,
      block_number::int, block_hash, log_index, extract(epoch from "timestamp")::int as timestamp, metadata
    from wallet_activity
    where chain_id = ${chainId} and block_hash is not null and block_number between ${range.from} and ${range.to}
      and wallet_address = any(${wallets}::text[])`)
  return rows.map(row => {
    return { ...plain(row), metadata: parseMetadata(row['metadata']) } as unknown as ExpectedActivity
  })
}

/** Rows of `user_transactions` by hash, matched without case; or those that show a block of the range. */
export async function readTransactions(
  sql: postgres.Sql,
  {
    label,
    range,
    hashes,
  }: { readonly label: string; readonly range: Range | null; readonly hashes: readonly string[] },
): Promise<FoundTransaction[]> {
  const inRange =
    range === null ? sql`false` : sql`u.chain = ${label} and u.block_number between ${range.from} and ${range.to}`
  const rows = await read(sql`
    select lower(u.tx_hash) as tx_hash, u.user_id, u.chain, u.event_type, u.token, u.token_address, u.amount::text,
      u.raw_amount::text, u.status, u.block_number, extract(epoch from u."timestamp")::int as timestamp,
      coalesce(k.keeps_user, false) as keeps_user, coalesce(k.keeps_event_type, false) as keeps_event_type, k.chain_id,
      (select to_status from indexer.transitions t where t.tx_hash = lower(u.tx_hash) order by id desc limit 1) as newest_status,
      exists (
        select 1 from wallet_activity a left join indexer.wallets w on w.address = a.wallet_address and w.user_id is not null
        where a.tx_hash = lower(u.tx_hash) and a.block_hash is not null and w.address is null
      ) as has_former
    from user_transactions u left join indexer.transactions k on k.tx_hash = lower(u.tx_hash)
    where lower(u.tx_hash) = any(${hashes}::text[]) or (${inRange})`)
  return rows.map(row => plain(row) as unknown as FoundTransaction)
}

/** All of a chain, whatever its block: for tests. */
export async function readRows(
  sql: postgres.Sql,
  chain: { readonly id: number; readonly label: string },
): Promise<Rows> {
  const wallets = await sql<{ address: string }[]>`select distinct wallet_address as address from wallet_activity`
  const range = { from: 0, to: Number.MAX_SAFE_INTEGER }
  const activities = await readActivities(sql, { chainId: chain.id, range, wallets: wallets.map(row => row.address) })
  const transactions = await sql`
    select tx_hash, user_id, chain, event_type, token, token_address, amount::text, raw_amount::text, status, block_number,
      extract(epoch from "timestamp")::int as timestamp
    from user_transactions where chain = ${chain.label}`
  return sortRows({ activities, transactions: transactions.map(row => plain(row) as unknown as ExpectedTransaction) })
}

/** LinkDAO's own migration made the column text. Text that is no JSON is left as it is: it is a difference. */
function parseMetadata(metadata: unknown): unknown {
  if (typeof metadata !== 'string') return metadata
  try {
    return JSON.parse(metadata)
  } catch {
    return metadata
  }
}

function plain(row: Record<string, unknown>): Record<string, unknown> {
  return { ...row, amount: normalise(row['amount'] as string | null) }
}
