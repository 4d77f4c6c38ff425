/**
 * The set of tracked wallets in the database: the application's users and the watch-list, compared with what the daemon knew.
 *
 * Always holds: every change of the set raises the version in the same transaction; a commit of blocks shares a lock on that version
 * (`holdRegistry`), so it is made either before the change, and then the change sees its coverage and notes what the new wallets
 * lack, or after it, and then it is refused as stale. No block can fall between "from now on" and "history".
 */

import type { Chain } from '../core/chain.ts'
import { type Address, type Hash, ZERO_ADDRESS } from '../core/types.ts'
import { AppError } from '../errors.ts'
import { inTransaction, read, type Sql, type Tx, wrapStoreError } from './connection.ts'
import { rederiveTransactions } from './transactions.ts'

const LOAD_BATCH = 50_000
const LINK_BATCH = 5_000
const REDERIVE_BATCH = 500

export type WalletChange = { readonly address: Address; readonly userId: string | null; readonly tracked: boolean }

/** What of users and watch-list differs from `indexer.wallets`. Two users with one address in different case: the older owns it. */
const differences = (sql: Sql | Tx) => sql`
  with owned as (
    select distinct on (lower(wallet_address)) lower(wallet_address) as address, id as user_id
    from users
    where wallet_address ~* '^0x[0-9a-f]{40}$' and lower(wallet_address) <> ${ZERO_ADDRESS}
    order by lower(wallet_address), created_at nulls last, id
  ), wanted as (
    select address, o.user_id from owned o full join (select address from indexer.watchlist) w using (address)
  )
  select address, n.user_id, n.address is not null as tracked,
    n.address is not null and (k.address is null or not k.tracked) as added,
    k.address is not null and n.user_id is distinct from k.user_id as relinked,
    k.address is null and n.user_id is not null as linked
  from wanted n full join indexer.wallets k using (address)
  where k.address is null
    or k.tracked is distinct from (n.address is not null)
    or (n.address is not null and k.user_id is distinct from n.user_id)`

/** Brings `indexer.wallets` up to date. @returns the version of the set */
export async function syncWallets(sql: Sql): Promise<number> {
  const [state] = await read(sql<{ version: string; differs: boolean }[]>`
    select version, exists (${differences(sql)}) as differs from indexer.registry`)
  if (state !== undefined && !state.differs) return Number(state.version)
  return inTransaction(sql, async tx => {
    const [raised] = await tx<
      { version: string }[]
    >`update indexer.registry set version = version + 1 returning version`
    const version = Number(raised?.version)
    await tx`create temporary table wallet_changes on commit drop as ${differences(tx)}`
    await tx`
      insert into indexer.wallets (address, user_id, tracked, version)
      select address, user_id, tracked, ${version} from wallet_changes order by address
      on conflict (address) do update set user_id = excluded.user_id, tracked = excluded.tracked, version = excluded.version`
    // What was committed before a wallet was in the set is not complete for it.
    await tx`
      delete from indexer.wallet_coverage c using wallet_changes n where c.address = n.address and n.added and not c.covered`
    await tx`
      insert into indexer.wallet_coverage (chain_id, address, covered, from_block, to_block)
      select c.chain_id, n.address, false, c.from_block, c.to_block from wallet_changes n cross join indexer.coverage c
      where n.added`
    await tx`
      insert into indexer.attribution_queue (address, queued_at)
      select n.address, clock_timestamp() from wallet_changes n
      where (n.relinked or n.linked or not n.tracked)
        and exists (select 1 from wallet_activity a where a.wallet_address = n.address and a.block_hash is not null)
      order by n.address
      on conflict (address) do update set queued_at = excluded.queued_at`
    return version
  })
}

/** The changes of the set since a version, in batches: from 0 on it is the whole set. */
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
 *
 * @returns how many
 */
export async function queueOwnerless(sql: Sql): Promise<number> {
  const queued = await read(sql`
    insert into indexer.attribution_queue (address, queued_at)
    select distinct w.address, clock_timestamp() from wallet_activity a join indexer.wallets w on w.address = a.wallet_address
    where a.user_id is null and a.block_hash is not null and w.tracked and w.user_id is not null
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
