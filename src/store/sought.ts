/**
 * Rows that the application inserted and no block has shown yet: what is looked for.
 *
 * The table itself is the queue. A row without an entry in `indexer.transactions` is new; one whose status differs from what the
 * daemon wrote was overwritten. `created_at` is no cursor, because a transaction that commits late carries an early time.
 */

import type { Chain } from '../core/chain.ts'
import type { Hash } from '../core/types.ts'
import { booleans } from './array-types.ts'
import { inTransaction, read, type Sql } from './connection.ts'
import { transactionRowId } from './ids.ts'
import { ownersOf } from './registry.ts'
import { rederiveTransactions } from './transactions.ts'

const MAX_ENROLLED = 1_000
const MAX_RESTORED = 500
/** What was dropped is not asked for more often than this. */
const RARELY_MS = 60_000

/** Takes note of rows that are new here. @returns how many */
export async function enrollApplicationRows(sql: Sql, scope: 'pending' | 'all'): Promise<number> {
  type Row = { id: string; hash: Hash; tx_hash: string; has_user: boolean; status: string }
  return inTransaction(sql, async tx => {
    // The column allows a status of null.
    const rows = await tx<Row[]>`
      select distinct on (lower(u.tx_hash)) u.id, lower(u.tx_hash) as hash, u.tx_hash, u.user_id is not null as has_user,
        coalesce(u.status, 'pending') as status
      from user_transactions u
      where ${scope === 'pending' ? tx`u.status = 'pending'` : tx`true`}
        and not exists (select 1 from indexer.transactions k where k.tx_hash = lower(u.tx_hash))
      order by lower(u.tx_hash), u.created_at, u.id
      limit ${MAX_ENROLLED}`
    if (rows.length === 0) return 0
    // A row of ours that nothing is remembered of: the tables are from another backup than our own.
    const isOurs = rows.map(row => row.id === transactionRowId(row.hash))
    const enrolled = await tx`
      insert into indexer.transactions (tx_hash, row_id, application_hash, keeps_user, keeps_event_type, status, malformed)
      select hash, id, case when not ours then tx_hash end, has_user and not ours, not ours, status, hash !~ '^0x[0-9a-f]{64}$'
      from unnest(
        ${rows.map(row => row.id)}::uuid[], ${rows.map(row => row.hash)}::text[], ${rows.map(row => row.tx_hash)}::text[],
        ${rows.map(row => row.status)}::text[], ${booleans(rows.map(row => row.has_user))}::text[]::boolean[],
        ${booleans(isOurs)}::text[]::boolean[]
      ) as r (id, hash, tx_hash, status, has_user, ours)
      on conflict (tx_hash) do nothing`
    return enrolled.count
  })
}

/**
 * Sets right what the application overwrote: pending rows that were decided, or (`all`) any difference, and rows that are gone.
 *
 * @returns how many
 */
export async function restoreRows(
  sql: Sql,
  chains: ReadonlyMap<number, Chain>,
  scope: 'pending' | 'all',
): Promise<number> {
  const rows = await read(sql<{ tx_hash: Hash }[]>`
    select distinct k.tx_hash
    from user_transactions u
    join indexer.transactions k on k.tx_hash = lower(u.tx_hash)
    join indexer.inclusions i on i.tx_hash = k.tx_hash and i.chain_id = k.chain_id
    where ${scope === 'pending' ? sql`u.status = 'pending'` : sql`true`}
      and k.chain_id = any(${[...chains.keys()]}::integer[])
      and (u.status is distinct from k.status or u.block_number is distinct from i.block_number)
    limit ${MAX_RESTORED}`)
  const lost = scope === 'all' ? await findLost(sql, chains) : []
  const hashes = [...rows.map(row => row.tx_hash), ...lost]
  if (hashes.length > 0) {
    await inTransaction(sql, async tx => rederiveTransactions(tx, chains, hashes, await ownersOf(tx, hashes)))
  }
  // Rows that no chain has can't be derived: their status is what the daemon last made of it.
  const unseen = await read(sql`
    update user_transactions u set status = k.status
    from indexer.transactions k
    where k.tx_hash = lower(u.tx_hash) and u.status is distinct from k.status
      and (k.verdict is not null or ${scope === 'all' ? sql`k.chain_id is null and not k.malformed` : sql`false`})`)
  return hashes.length + unseen.count
}

/** Transactions whose row went with its user, where another user takes part: also who does not own what the first one told of. */
async function findLost(sql: Sql, chains: ReadonlyMap<number, Chain>): Promise<Hash[]> {
  const rows = await read(sql<{ tx_hash: Hash }[]>`
    select k.tx_hash from indexer.transactions k
    where k.chain_id = any(${[...chains.keys()]}::integer[])
      and not exists (select 1 from user_transactions u where lower(u.tx_hash) = k.tx_hash)
      and exists (
        select 1 from wallet_activity a join indexer.wallets w on w.address = a.wallet_address
        where a.tx_hash = k.tx_hash and a.block_hash is not null and w.tracked and w.user_id is not null
      )
    limit ${MAX_RESTORED}`)
  return rows.map(row => row.tx_hash)
}

/** Hashes that no chain has shown yet: a block that holds one is told of even if no tracked wallet takes part. */
export async function loadSought(sql: Sql): Promise<Set<Hash>> {
  const rows = await read(
    sql<{ tx_hash: Hash }[]>`select tx_hash from indexer.transactions where chain_id is null and not malformed`,
  )
  return new Set(rows.map(row => row.tx_hash))
}

/**
 * Some hashes to ask nodes for, those that were not asked for longest first; they count as asked. One that was
 * asked for well after now was asked for before the clock was set back.
 *
 * @param scope `all`: also some that count as dropped, the more rarely the longer they do
 */
export async function nextSought(
  sql: Sql,
  limit: number,
  notWithinMs: number,
  scope: 'pending' | 'all',
): Promise<Hash[]> {
  const dropped = sql`
    or verdict = 'dropped' and (
      sought_at is null
      or sought_at < now() - greatest(${RARELY_MS} * interval '1 millisecond', (now() - surveyed_at) / 10)
    )`
  const rows = await read(sql<{ tx_hash: Hash }[]>`
    update indexer.transactions set sought_at = now() where tx_hash in (
      select tx_hash from indexer.transactions
      where chain_id is null and not malformed and (
        verdict is null and (
          sought_at is null or sought_at < now() - ${notWithinMs} * interval '1 millisecond' or sought_at > now() + interval '1 minute'
        )
        ${scope === 'all' ? dropped : sql``}
      )
      order by sought_at nulls first limit ${limit} for update skip locked
    ) returning tx_hash`)
  return rows.map(row => row.tx_hash)
}
