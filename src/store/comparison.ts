/**
 * Users and watch-list compared with `indexer.wallets`, in questions of bounded cost.
 *
 * Always holds: every change of the set raises its version in the same transaction, and notes what the new wallets lack. What was seen
 * to differ is only a reason to look: it is seen again under the lock on the version, and what differs then is what is changed. So two
 * who compare at once do no more than one, and nothing that was seen is stale.
 *
 * A user who commits late carries an early `created_at`, one who is deleted carries none, and the application's triggers tell nothing
 * but that something happened. So all users are compared again and again, one slice of addresses after the other, each through an
 * index that holds all it needs. Who has just signed up is not left waiting for that: the newest users are looked at besides, however
 * their clock is set, because it is their order that counts. Of two users with one address in different case the older owns it.
 */

import { ZERO_ADDRESS } from '../core/types.ts'
import { AppError } from '../errors.ts'
import { inTransaction, read, type Sql, type Tx } from './connection.ts'
import { historyNow } from './history.ts'

/** Users of a slice when all of them are to be compared at once. */
const LARGE_SLICE = 20_000
/** The newest users; where many of them are news, so many more. */
const NEWEST = [50, 1_000, 20_000]
/** With this share of news among the newest, there may be more behind them. */
const CROWDED_SHARE = 1 / 4

/** With more news than this, a slice is gone through as a whole. */
const MANY = 500

/** Where the set stands, in which history of the database. */
export type SetState = { readonly version: number; readonly history: string }

export type Compared = SetState & {
  /** How many wallets were changed. */
  readonly changes: number
}

type StateRow = { version: string; history: string }
type SeenRow = StateRow & { differing: string[] | null }

export function stateOf({ version, history }: StateRow): SetState {
  return { version: Number(version), history }
}

/** A user's address as `indexer.wallets` has it, and in its order, whatever collation the application chose. */
const addressOf = (sql: Sql | Tx) => sql`lower(wallet_address) collate "default"`

/** Whether it is one. A quantifier that counts to 40 takes seven times as long. */
const isAddress = (sql: Sql | Tx, address: ReturnType<typeof addressOf>) => sql`
  length(${address}) = 42 and ${address} ~ '^0x[0-9a-f]+$' and ${address} <> ${ZERO_ADDRESS}`

/** Who owns an address, for the few that several users have. */
const ownerOf = (sql: Sql, address: ReturnType<Sql>) => sql`
  (select id from users where ${addressOf(sql)} = ${address} order by created_at nulls last, id limit 1)`

/** Compares those who signed up last, and what was watched last. One query where nothing is new. */
export async function compareNewest(sql: Sql): Promise<Compared> {
  let changes = 0
  for (const limit of NEWEST) {
    const [seen] = await read(sql<SeenRow[]>`
      with newest as materialized (
        select ${addressOf(sql)} as address, id from users where created_at is not null order by created_at desc limit ${limit}
      ), watched as materialized (
        select address from indexer.watchlist order by created_at desc limit ${limit}
      ), differing as (
        select n.address from newest n left join indexer.wallets k using (address)
        where (k.address is null or not k.tracked or k.user_id is distinct from n.id)
          and ${isAddress(sql, sql`n.address`)}
          and (k.address is null or not k.tracked or k.user_id is distinct from ${ownerOf(sql, sql`n.address`)})
        union
        select w.address from watched w left join indexer.wallets k using (address) where k.address is null or not k.tracked
      )
      select version, ${historyNow(sql)} as history, (select array_agg(address) from differing) as differing
      from indexer.registry`)
    if (seen === undefined) return { version: 0, history: '', changes }
    const differing = seen.differing ?? []
    if (differing.length > 0) changes += await bringUpToDate(sql, { addresses: differing })
    if (differing.length < limit * CROWDED_SHARE) return { ...(await stateAfter(sql, seen, differing)), changes }
  }
  return { ...(await loadState(sql)), changes }
}

/**
 * One slice, in the order of the addresses.
 *
 * @param mostDiffer is expected, so that they are changed without being looked at first: a set that is filled for the first time
 * @returns `upto`: where the next one begins; null: this was the last
 */
export async function compareSlice(
  sql: Sql,
  after: string,
  limit: number,
  mostDiffer = false,
): Promise<Compared & { readonly upto: string | null }> {
  if (mostDiffer) {
    const upto = await endOfSlice(sql, after, limit)
    const changes = await bringUpToDate(sql, { after, upto })
    return { ...(await loadState(sql)), changes, upto }
  }
  const [seen] = await read(sql<(SeenRow & { upto: string | null })[]>`
    with u as materialized (
      select ${addressOf(sql)} as address, id from users where ${addressOf(sql)} > ${after}
      order by ${addressOf(sql)} fetch first ${limit} rows with ties
    ), k as materialized (
      select address, user_id, tracked from indexer.wallets where address > ${after}
        and ((select count(*) from u) < ${limit} or address <= (select max(address) from u))
      order by address limit ${limit}
    ), bound as materialized (
      select least(
        (select max(address) from u having count(*) >= ${limit}), (select max(address) from k having count(*) >= ${limit})
      ) as upto
    ), spelled as (
      select address, id, address is not distinct from lag(address) over side or address is not distinct from lead(address) over side as shared
      from u where (select upto is null from bound) or address <= (select upto from bound)
      window side as (order by address)
    ), owned as (
      select s.address, s.id from spelled s where not s.shared or s.id = ${ownerOf(sql, sql`s.address`)}
    ), watched as materialized (
      select address from indexer.watchlist
      where address > ${after} and ((select upto is null from bound) or address <= (select upto from bound))
    ), differing as (
      select address from owned u full join k using (address)
      where case
        when u.address is null then k.user_id is not null or (k.tracked and address not in (select address from watched))
        when k.address is null then ${isAddress(sql, sql`address`)}
        else u.id is distinct from k.user_id or not k.tracked
      end
      union
      select w.address from watched w left join k using (address) where k.address is null or not k.tracked
    )
    select version, ${historyNow(sql)} as history, (select upto from bound) as upto, (select array_agg(address) from differing) as differing
    from indexer.registry`)
  if (seen === undefined) return { version: 0, history: '', changes: 0, upto: null }
  const differing = seen.differing ?? []
  const scope = differing.length > MANY ? { after, upto: seen.upto } : { addresses: differing }
  const changes = differing.length === 0 ? 0 : await bringUpToDate(sql, scope)
  return { ...(await stateAfter(sql, seen, differing)), changes, upto: seen.upto }
}

async function endOfSlice(sql: Sql, after: string, limit: number): Promise<string | null> {
  const [end] = await read(sql<{ upto: string | null }[]>`
    with u as (
      select ${addressOf(sql)} as address from users where ${addressOf(sql)} > ${after}
      order by ${addressOf(sql)} fetch first ${limit} rows with ties
    ), k as (
      select address from indexer.wallets where address > ${after} order by address limit ${limit}
    )
    select least(
      (select max(address) from u having count(*) >= ${limit}), (select max(address) from k having count(*) >= ${limit})
    ) as upto`)
  return end?.upto ?? null
}

/** Compares all users and the watch-list. @returns where the set stands then */
export async function compareAll(sql: Sql, signal?: AbortSignal): Promise<SetState> {
  let mostDiffer = false
  for (let place = ''; ; ) {
    if (signal?.aborted) throw new AppError('ABORTED', 'Stopped while all users were compared.')
    const { upto, changes, ...state } = await compareSlice(sql, place, LARGE_SLICE, mostDiffer)
    if (upto === null) return state
    place = upto
    mostDiffer = changes > LARGE_SLICE / 2
  }
}

async function loadState(sql: Sql): Promise<SetState> {
  const [row] = await read(sql<StateRow[]>`select version, ${historyNow(sql)} as history from indexer.registry`)
  return row === undefined ? { version: 0, history: '' } : stateOf(row)
}

/** What was seen is the state, unless something was changed since. */
function stateAfter(sql: Sql, seen: StateRow, differing: readonly string[]): SetState | Promise<SetState> {
  return differing.length === 0 ? stateOf(seen) : loadState(sql)
}

/** Addresses one by one, or all of a slice where many of them differ. */
type Scope = { readonly addresses: readonly string[] } | { readonly after: string; readonly upto: string | null }

const within = (tx: Tx, column: ReturnType<typeof addressOf>, scope: Scope) => {
  if ('addresses' in scope) return tx`${column} = any(${scope.addresses as string[]}::text[])`
  const { after, upto } = scope
  return upto === null ? tx`${column} > ${after}` : tx`${column} > ${after} and ${column} <= ${upto}`
}

/** What users and watch-list say of some addresses, where `indexer.wallets` says something else. */
const differences = (tx: Tx, scope: Scope) => tx`
  with owned as (
    select distinct on (${addressOf(tx)}) ${addressOf(tx)} as address, id as user_id
    from users where ${within(tx, addressOf(tx), scope)}
      and ${isAddress(tx, addressOf(tx))}
    order by ${addressOf(tx)}, created_at nulls last, id
  ), wanted as (
    select address, o.user_id from owned o
    full join (select address from indexer.watchlist where ${within(tx, tx`address`, scope)}) w using (address)
  )
  select address, n.user_id, n.address is not null as tracked,
    k.address is null as is_new,
    n.address is not null and (k.address is null or not k.tracked) as added,
    k.address is not null and n.user_id is distinct from k.user_id as relinked,
    k.address is null and n.user_id is not null as linked
  from wanted n
  full join (select * from indexer.wallets where ${within(tx, tx`address`, scope)}) k using (address)
  where k.address is null
    or k.tracked is distinct from (n.address is not null)
    or (n.address is not null and k.user_id is distinct from n.user_id)`

/** @returns how many differed */
async function bringUpToDate(sql: Sql, scope: Scope): Promise<number> {
  return inTransaction(sql, async tx => {
    // Before anything is read: whoever commits blocks meanwhile is either done, and its coverage is seen here, or is refused.
    await tx`select 1 from indexer.registry for update`
    const { count } = await tx`create temporary table wallet_changes on commit drop as ${differences(tx, scope)}`
    if (count === 0) return 0
    await tx`update indexer.registry set version = version + 1`
    // Nobody else writes this table: the lock is held. So no conflict has to be looked for, which costs a third of a first start.
    await tx`
      insert into indexer.wallets (address, user_id, tracked, version)
      select c.address, c.user_id, c.tracked, r.version from wallet_changes c cross join indexer.registry r
      where c.is_new order by c.address`
    await tx`
      update indexer.wallets k set user_id = c.user_id, tracked = c.tracked, version = r.version
      from wallet_changes c cross join indexer.registry r where k.address = c.address and not c.is_new`
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
    return count
  })
}
