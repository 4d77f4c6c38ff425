/**
 * The set of tracked wallets in the database, and giving rows to their owners. `comparison.ts` changes the set.
 *
 * Always holds: every change of the set raises the version in the same transaction; a commit of blocks shares a lock on that version
 * (`holdRegistry`), so it is made either before the change, and then the change sees its coverage and notes what the new wallets
 * lack, or after it, and then it is refused as stale. No block can fall between "from now on" and "history".
 */

import type { Chain } from '../core/chain.ts'
import type { Address, Hash } from '../core/types.ts'
import type { WalletChange } from '../core/wallet-set.ts'
import { AppError } from '../errors.ts'
import { type SetState, stateOf } from './comparison.ts'
import { inTransaction, read, type Sql, type Tx, wrapStoreError } from './connection.ts'
import { historyNow } from './history.ts'
import { rederiveTransactions } from './transactions.ts'

const LOAD_BATCH = 5_000
const CHANGES_BATCH = 5_000
const LINK_BATCH = 5_000
const REDERIVE_BATCH = 500

/** Takes in what is read of the set. */
export type SetReader = {
  /** Told before the first record where all of the set is read, and again if it is read anew. */
  readonly beginWhole: (expected: number) => void
  /** Records as `core/wallet-set.ts` has them. */
  readonly take: (records: string) => void
}

/** A record of a wallet. Users' ids are UUIDs: 32 digits. */
const recordOf = (tx: Tx) => tx`
  case when not tracked then '0' when user_id is null then '1' else '2' end || substr(address, 3)
    || coalesce(replace(user_id::text, '-', ''), repeat('0', 32))`

/**
 * What changed since a state, or all of it where that is no state of this history. It is one snapshot, however many batches it takes,
 * and packed by the server: a million rows as objects would cost a few hundred megabytes on the way.
 *
 * @returns the state that it brings the reader to
 */
export async function readWallets(sql: Sql, since: SetState, reader: SetReader): Promise<SetState> {
  return inTransaction(sql, work, 'isolation level repeatable read read only')

  async function work(tx: Tx): Promise<SetState> {
    const [row] = await tx<
      { version: string; history: string }[]
    >`select version, ${historyNow(tx)} as history from indexer.registry`
    if (row === undefined) throw new AppError('DB_SCHEMA', 'indexer.registry is empty.', { hint: 'Run `migrate`.' })
    const state = stateOf(row)
    if (state.history === since.history && state.version >= since.version) await readChanges(tx, since.version, reader)
    else await readWhole(tx, reader)
    return state
  }
}

async function readWhole(tx: Tx, reader: SetReader): Promise<void> {
  const [counted] = await tx<{ count: number }[]>`select count(*)::int as count from indexer.wallets where tracked`
  reader.beginWhole(counted?.count ?? 0)
  for (let after: string | null = ''; after !== null; ) {
    const [batch]: { records: string | null; last: string | null }[] = await tx`
      select string_agg(${recordOf(tx)}, '') as records, max(address) as last
      from (select * from indexer.wallets where tracked and address > ${after} order by address limit ${LOAD_BATCH}) w`
    if (batch?.records) reader.take(batch.records)
    after = batch?.last ?? null
  }
}

async function readChanges(tx: Tx, sinceVersion: number, reader: SetReader): Promise<void> {
  let last: { version: string; address: string } | undefined = { version: String(sinceVersion), address: 'x' }
  while (last !== undefined) {
    // In the order of their versions, of which none has many: each batch begins where the last one ended.
    const batch: { record: string; version: string; address: string }[] = await tx`
      select ${recordOf(tx)} as record, version, address from indexer.wallets
      where version >= ${last.version} and (version, address) > (${last.version}, ${last.address})
      order by version, address limit ${CHANGES_BATCH}`
    if (batch.length > 0) reader.take(batch.map(({ record }) => record).join(''))
    last = batch.at(-1)
  }
}

/** The changes of the set since a version of the present history, as objects: from 0 on it is the whole set. */
export async function* loadWallets(sql: Sql, sinceVersion: number): AsyncGenerator<readonly WalletChange[]> {
  type Row = { address: Address; user_id: string | null; tracked: boolean }
  const query = sql<Row[]>`select address, user_id, tracked from indexer.wallets where version > ${sinceVersion}`
  try {
    for await (const rows of query.cursor(LOAD_BATCH)) {
      yield rows.map(row => ({ address: row.address, userId: row.user_id, tracked: row.tracked }))
    }
  } catch (error) {
    throw wrapStoreError(error)
  }
}

/** Makes a transaction valid only for the given version of the set. */
export async function holdRegistry(tx: Tx, version: number): Promise<void> {
  const [row] = await tx<{ version: string }[]>`select version from indexer.registry for share`
  if (Number(row?.version) !== version) throw staleRegistry(version, Number(row?.version))
}

export function staleRegistry(matched: number, current: number): AppError {
  return new AppError('REGISTRY_STALE', 'The set of tracked wallets changed while these blocks were matched.', {
    facts: { matched, current },
    hint: 'They are matched again with the new set.',
  })
}

/**
 * Queues wallets whose activities have lost their owner: it was a former one, who is deleted now, so that the set did not change.
 * It goes from one wallet to the next through an index of rows without an owner: their number is that of watched wallets, not of rows.
 *
 * @returns how many
 */
export async function queueOwnerless(sql: Sql): Promise<number> {
  const queued = await read(sql`
    with recursive ownerless (address) as (
      (
        select wallet_address from wallet_activity where user_id is null and block_hash is not null
        order by wallet_address limit 1
      )
      union all
      select (
        select a.wallet_address from wallet_activity a
        where a.user_id is null and a.block_hash is not null and a.wallet_address > o.address
        order by a.wallet_address limit 1
      ) from ownerless o where o.address is not null
    )
    insert into indexer.attribution_queue (address, queued_at)
    select o.address, clock_timestamp() from ownerless o join indexer.wallets w using (address)
    where w.tracked and w.user_id is not null
    on conflict (address) do nothing
    returning 1`)
  return queued.length
}

/**
 * Gives rows of one queued wallet to its present owner: null owners of its activities are filled, its transactions derived again.
 *
 * @returns false when the queue is empty
 */
export async function attributeNextWallet(sql: Sql, chains: ReadonlyMap<number, Chain>): Promise<boolean> {
  const [next] = await read(
    sql<
      { address: Address; queued_at: string }[]
    >`select address, queued_at::text from indexer.attribution_queue order by queued_at limit 1`,
  )
  if (next === undefined) return false
  const { address } = next
  // In steps, so that no transaction is long; each can be done again. The last takes the wallet out of the queue.
  while (await fillOwner(sql, address));
  let after = ''
  for (;;) {
    const hashes = await read(sql<{ tx_hash: `0x${string}` }[]>`
      select distinct tx_hash from wallet_activity
      where wallet_address = ${address} and block_hash is not null and tx_hash > ${after} order by tx_hash limit ${REDERIVE_BATCH}`)
    const last = hashes.at(-1)
    if (last === undefined) break
    await rederive(
      sql,
      chains,
      hashes.map(row => row.tx_hash),
    )
    after = last.tx_hash
  }
  // One whose owner changed again meanwhile was queued anew, and stays.
  await read(sql`
    delete from indexer.attribution_queue where address = ${address} and queued_at = ${next.queued_at}::text::timestamptz`)
  return true
}

/** Derives transactions again for the owners that their wallets have now; one that nobody is left of stays as it is. */
export async function rederive(sql: Sql, chains: ReadonlyMap<number, Chain>, hashes: readonly Hash[]): Promise<void> {
  await inTransaction(sql, async tx => {
    await tx`select 1 from indexer.registry for share`
    const owned = await tx<{ tx_hash: Hash }[]>`
      select distinct a.tx_hash from wallet_activity a join indexer.wallets w on w.address = a.wallet_address
      where a.tx_hash = any(${hashes}::text[]) and a.block_hash is not null and w.tracked and w.user_id is not null`
    const left = owned.map(row => row.tx_hash)
    await rederiveTransactions(tx, chains, left, await ownersOf(tx, left))
  })
}

async function fillOwner(sql: Sql, address: Address): Promise<boolean> {
  return inTransaction(sql, async tx => {
    const updated = await tx`
      update wallet_activity set user_id = w.user_id
      from indexer.wallets w
      where w.address = ${address} and w.user_id is not null and wallet_activity.id in (
        select id from wallet_activity
        where wallet_address = ${address} and block_hash is not null and user_id is null order by id limit ${LINK_BATCH}
      )`
    return updated.count === LINK_BATCH
  })
}

/** Who owns the wallets that take part in some transactions, now. */
export async function ownersOf(tx: Tx, hashes: readonly string[]): Promise<(wallet: Address) => string | null> {
  const rows = await tx<{ address: Address; user_id: string }[]>`
    select address, user_id from indexer.wallets
    where tracked and user_id is not null and address in (
      select wallet_address from wallet_activity where tx_hash = any(${hashes}::text[]) and block_hash is not null
      union select sender from indexer.inclusions where tx_hash = any(${hashes}::text[])
    )`
  const owners = new Map(rows.map(row => [row.address, row.user_id]))
  return wallet => owners.get(wallet) ?? null
}

export async function addToWatchlist(sql: Sql, address: Address, label: string | null): Promise<boolean> {
  const rows = await read(sql<{ inserted: boolean }[]>`
    insert into indexer.watchlist (address, label) values (${address}, ${label})
    on conflict (address) do update set label = coalesce(excluded.label, watchlist.label)
    returning xmax = 0 as inserted`)
  return rows[0]?.inserted ?? false
}

export async function removeFromWatchlist(sql: Sql, address: Address): Promise<boolean> {
  const rows = await read(sql`delete from indexer.watchlist where address = ${address} returning 1`)
  return rows.length > 0
}

export type WatchedWallet = { readonly address: Address; readonly label: string | null; readonly createdAt: number }

export async function listWatchlist(sql: Sql): Promise<WatchedWallet[]> {
  const rows = await read(sql<{ address: Address; label: string | null; at: number }[]>`
    select address, label, extract(epoch from created_at)::float8 as at from indexer.watchlist order by created_at, address`)
  return rows.map(row => ({ address: row.address, label: row.label, createdAt: row.at }))
}
