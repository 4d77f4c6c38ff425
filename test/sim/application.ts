/**
 * The live application beside the daemon: users who come and go, rows that it inserts and overwrites, and its memory of all that.
 *
 * Always holds: it writes to its own tables and the watch-list only, and as LinkDAO does; what it remembers is what the daemon must
 * have kept at the end. Every write bears being made twice, because the server may go down under it.
 */
import type postgres from 'postgres'
import type { Address, Hash } from '../../src/core/types.ts'
import type { Dice } from '../../src/demo/dice.ts'
import type { Party } from '../../src/demo/party.ts'

type Query = <T>(work: (sql: postgres.Sql) => Promise<T>) => Promise<T>

/** A row of `user_transactions` that the application inserted. */
export type AppRow = {
  readonly id: string
  readonly hash: Hash
  /** As it was written, in whatever case. */
  readonly spelling: string
  readonly userId: string | null
  readonly eventType: string
}

export type Application = {
  /** Users that are there: their wallets by id. */
  readonly users: ReadonlyMap<string, Address>
  /** Who ever had a wallet. */
  readonly ownersEver: ReadonlyMap<Address, ReadonlySet<string>>
  readonly rows: readonly AppRow[]
  /** Hashes that the application knows already, in lower case. */
  readonly known: ReadonlySet<string>
  /** Activities of its own, as they were inserted: JSON by id. */
  readonly activities: ReadonlyMap<string, string>
  /** The next one who has no account yet, or who lost it. null: all have one. */
  signUp(): Promise<string | null>
  /** One of the users, unless it is said which. */
  deleteUser(id?: string): Promise<string | null>
  /** A user who changes to another wallet. */
  moveWallet(id?: string): Promise<string | null>
  /** A second account with an address that another one has already, in other letters. */
  twin(): Promise<string | null>
  watch(address: Address): Promise<void>
  unwatch(address: Address): Promise<void>
  /** Notes a transaction, as its users tell it. */
  track(hash: Hash, status: 'pending' | 'confirmed' | 'failed'): Promise<string>
  trackNonsense(): Promise<string>
  /** Overwrites a row that shows a block with another status, as an upsert of a stale client does. */
  overwrite(status: 'pending' | 'failed' | 'confirmed'): Promise<string | null>
  insertActivity(): Promise<void>
}

const EVENT_TYPES = ['LDAO_TRANSFER_SENT', 'LDAO_STAKED', 'NFT_PURCHASE', 'TRANSFER'] as const
const NONSENSE = ['', '0x', '0x1234', 'pending-42', `0x${'zz'.repeat(32)}`, '0xnot-a-hash'] as const

type State = {
  readonly query: Query
  readonly parties: readonly Party[]
  readonly dice: Dice
  /** Users that are there: their wallets by id. */
  readonly users: Map<string, Address>
  readonly ownersEver: Map<Address, Set<string>>
  readonly rows: AppRow[]
  readonly known: Set<string>
  readonly activities: Map<string, string>
}

export function createApplication(query: Query, parties: readonly Party[], dice: Dice): Application {
  const state: State = {
    query,
    parties,
    dice,
    users: new Map(),
    ownersEver: new Map(),
    rows: [],
    known: new Set(),
    activities: new Map(),
  }
  return {
    users: state.users,
    ownersEver: state.ownersEver,
    rows: state.rows,
    known: state.known,
    activities: state.activities,
    signUp: () => signUp(state),
    deleteUser: id => deleteUser(state, id),
    moveWallet: id => moveWallet(state, id),
    twin: () => twin(state),
    watch: address =>
      query(async sql => {
        await sql`insert into indexer.watchlist (address, label) values (${address}, 'sim') on conflict do nothing`
      }),
    unwatch: address => query(async sql => void (await sql`delete from indexer.watchlist where address = ${address}`)),
    track: (hash, status) => track(state, hash, status),
    trackNonsense: () => trackNonsense(state),
    overwrite: status => overwrite(state, status),
    insertActivity: () => insertActivity(state),
  }
}

/** A random UUID, from the dice. */
function newId(dice: Dice): string {
  const hex = dice.bits(128).toString(16).padStart(32, '0')
  const parts = [hex.slice(0, 8), hex.slice(8, 12), `4${hex.slice(13, 16)}`, `8${hex.slice(17, 20)}`, hex.slice(20)]
  return parts.join('-')
}

async function addUser(state: State, address: Address, spelling: string): Promise<string> {
  const id = newId(state.dice)
  await state.query(
    sql => sql`insert into users (id, wallet_address) values (${id}, ${spelling}) on conflict do nothing`,
  )
  state.users.set(id, address)
  noteOwner(state, address, id)
  return id
}

function noteOwner({ ownersEver }: State, address: Address, id: string): void {
  ownersEver.set(address, (ownersEver.get(address) ?? new Set()).add(id))
}

async function signUp(state: State): Promise<string | null> {
  const taken = new Set(state.users.values())
  const free = state.parties.filter(({ address }) => !taken.has(address))
  if (free.length === 0) return null
  const party = state.dice.pick(free)
  const id = await addUser(state, party.address, party.spelling)
  return `${party.name} signs up as ${id}`
}

function among({ users }: State, which?: string) {
  return [...users].filter(([id]) => which === undefined || id === which)
}

async function deleteUser(state: State, which?: string): Promise<string | null> {
  if (state.users.size <= 1) return null
  const [id, address] = state.dice.pick(among(state, which))
  await state.query(sql => sql`delete from users where id = ${id}`)
  state.users.delete(id)
  return `user ${id} (${address}) is deleted`
}

async function moveWallet(state: State, which?: string): Promise<string | null> {
  const taken = new Set(state.users.values())
  const free = state.parties.filter(({ address }) => !taken.has(address))
  if (free.length === 0 || state.users.size === 0) return null
  const party = state.dice.pick(free)
  const [id, from] = state.dice.pick(among(state, which))
  await state.query(sql => sql`update users set wallet_address = ${party.spelling} where id = ${id}`)
  state.users.set(id, party.address)
  noteOwner(state, party.address, id)
  return `user ${id} changes from ${from} to ${party.address}`
}

async function twin(state: State): Promise<string | null> {
  if (state.users.size === 0) return null
  const [, address] = state.dice.pick([...state.users])
  const letters = Array.from(address.slice(2), letter => (state.dice.chance(0.5) ? letter.toUpperCase() : letter))
  const id = await addUser(state, address, `0x${letters.join('')}`)
  return `${address} gets a second account ${id}`
}

function spell(hash: Hash, dice: Dice): string {
  return dice.chance(0.3) ? `0x${hash.slice(2).toUpperCase()}` : hash
}

async function track(state: State, hash: Hash, status: string): Promise<string> {
  const { dice, query } = state
  const spelling = spell(hash, dice)
  const userId = dice.chance(0.3) || state.users.size === 0 ? null : (dice.pick([...state.users])[0] ?? null)
  const row: AppRow = { id: newId(dice), hash, spelling, userId, eventType: dice.pick(EVENT_TYPES) }
  const [written] = await query(
    sql => sql<{ id: string }[]>`
      insert into user_transactions (id, user_id, tx_hash, chain, event_type, token, amount, status, timestamp)
      values (${row.id}, ${userId}, ${spelling}, 'ethereum', ${row.eventType}, 'LDAO', 100.5, ${status}, now())
      on conflict (tx_hash) do update set status = excluded.status, block_number = excluded.block_number
      returning id`,
  )
  state.known.add(hash)
  if (written?.id !== row.id) return `the application overwrites ${spelling} with ${status}`
  state.rows.push(row)
  return `the application notes ${spelling} as ${status}, of user ${userId}`
}

async function trackNonsense(state: State): Promise<string> {
  const text = state.dice.pick(NONSENSE)
  await state.query(
    sql => sql`
      insert into user_transactions (tx_hash, event_type, status, timestamp) values (${text}, 'TRANSFER', 'pending', now())
      on conflict do nothing`,
  )
  return `the application notes the nonsense "${text}"`
}

async function overwrite(state: State, status: string): Promise<string | null> {
  const { dice, query } = state
  const rows = await query(
    sql => sql<{ tx_hash: string }[]>`
      select tx_hash from user_transactions where block_number is not null order by tx_hash limit 200`,
  )
  if (rows.length === 0) return null
  const hash = dice.pick(rows).tx_hash
  await query(sql => sql`update user_transactions set status = ${status}, block_number = null where tx_hash = ${hash}`)
  return `the application overwrites ${hash} with ${status}`
}

async function insertActivity(state: State): Promise<void> {
  const { dice, query } = state
  const id = newId(dice)
  const { address } = dice.pick(state.parties)
  const [row] = await query(
    sql => sql<{ row: string }[]>`
      insert into wallet_activity (id, wallet_address, activity_type, chain_id, timestamp)
      values (${id}, ${address}, 'LOGIN', 1, now()) on conflict (id) do update set id = excluded.id
      returning to_jsonb(wallet_activity)::text as row`,
  )
  if (row !== undefined) state.activities.set(id, row.row)
}
