/**
 * Comparing users with the tracked wallets piece by piece, against one large query that says what they must be: after whatever the
 * application did. Then the same from above: what is told to a registry, and when.
 */

import * as fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createWalletSet } from '../../src/core/wallet-set.ts'
import { systemClock } from '../../src/runtime/clock.ts'
import { createStore, type SetState } from '../../src/store/store.ts'
import { createRegistry } from '../../src/wallets/registry.ts'
import { createDatabase, type TestDatabase } from '../support/database.ts'
import { ALICE, addUser, BOB, CAROL } from '../support/rows.ts'

const SEED = Number(process.env['SEED'] ?? 20_261_127)
const RUNS = Number(process.env['RUNS'] ?? 25)
/** More than are all compared before every match. */
const MANY_USERS = 1_000

let database: TestDatabase
let store: ReturnType<typeof createStore>

beforeEach(async () => {
  database = await createDatabase()
  store = createStore(database.url)
})

afterEach(async () => {
  await store.close()
  await database.drop()
})

const readTracked = async () =>
  Object.fromEntries(
    (
      await database.sql<{ address: string; user_id: string | null }[]>`
        select address, user_id from indexer.wallets where tracked order by address`
    ).map(row => [row.address, row.user_id]),
  )

/** What the set must be: the older of two users owns their address, and who is watched is tracked without one. */
const readWanted = async () =>
  Object.fromEntries(
    (
      await database.sql<{ address: string; user_id: string | null }[]>`
        with owned as (
          select distinct on (lower(wallet_address)) lower(wallet_address) as address, id as user_id from users
          where wallet_address ~* '^0x[0-9a-f]{40}$' and lower(wallet_address) <> ${`0x${'0'.repeat(40)}`}
          order by lower(wallet_address), created_at nulls last, id
        )
        select address, user_id from owned full join (select address from indexer.watchlist) w using (address) order by address`
    ).map(row => [row.address, row.user_id]),
  )

const WALLETS = ['0a', '0A', 'aa', 'aA', 'AA', 'af', 'fF', 'ff', '99', '9a'].map(pair => `0x${pair.repeat(20)}`)
const ODD = ['', 'alice.eth', `0x${'0'.repeat(40)}`, `0x${'aa'.repeat(19)}`, `0x${'zz'.repeat(20)}`, `${ALICE}\n`]

const wallet = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom(...WALLETS) },
  { weight: 1, arbitrary: fc.constantFrom(...ODD) },
)
const user = fc.nat({ max: 11 })
const deed = fc.oneof(
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('add' as const), user, wallet, minute: fc.nat({ max: 30 }) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('delete' as const), user }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('move' as const), user, wallet }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('swap' as const), user, other: user }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('age' as const), user, minute: fc.nat({ max: 30 }) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('watch' as const), wallet: fc.constantFrom(...WALLETS) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('unwatch' as const), wallet: fc.constantFrom(...WALLETS) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('look' as const) }) },
)
type Deed = typeof deed extends fc.Arbitrary<infer Value> ? Value : never

const idOf = (index: number) => `00000000-0000-4000-8000-${String(index).padStart(12, '0')}`
const timeOf = (minute: number) => `2026-01-01 00:${String(minute).padStart(2, '0')}:00`

/** What the application does; a wallet that another user has already in the same letters is refused by its own key, as ever. */
async function act(each: Deed): Promise<void> {
  const { sql } = database
  if (each.kind === 'look') await store.compareNewest()
  else if (each.kind === 'watch') await store.addToWatchlist(each.wallet.toLowerCase() as `0x${string}`, null)
  else if (each.kind === 'unwatch') await store.removeFromWatchlist(each.wallet.toLowerCase() as `0x${string}`)
  else if (each.kind === 'add')
    await sql`
      insert into users (id, wallet_address, created_at) values (${idOf(each.user)}, ${each.wallet}, ${timeOf(each.minute)})
      on conflict do nothing`
  else if (each.kind === 'delete') await sql`delete from users where id = ${idOf(each.user)}`
  else if (each.kind === 'age')
    await sql`update users set created_at = ${timeOf(each.minute)} where id = ${idOf(each.user)}`
  else if (each.kind === 'move')
    await sql`
      update users set wallet_address = ${each.wallet}
      where id = ${idOf(each.user)} and not exists (select from users where wallet_address = ${each.wallet})`
  else
    await sql.begin(async tx => {
      const ids = [idOf(each.user), idOf(each.other)]
      const rows = await tx<{ id: string; wallet_address: string }[]>`
        select id, wallet_address from users where id = any(${ids}::uuid[])`
      const [one, two] = rows
      if (one === undefined || two === undefined) return
      await tx`update users set wallet_address = 'nobody' where id = ${one.id}`
      await tx`update users set wallet_address = ${one.wallet_address} where id = ${two.id}`
      await tx`update users set wallet_address = ${two.wallet_address} where id = ${one.id}`
    })
}

async function compareAllBy(limit: number): Promise<void> {
  for (let after: string | null = ''; after !== null; ) after = (await store.compareSlice(after, limit)).upto
}

describe('a round of slices', () => {
  const collations = [null, 'da-x-icu'] as const
  test.each(collations)(
    `leaves the set that one query says, whatever the application did, in slices of any size, and the memory follows (collation %s, seed ${SEED})`,
    async collation => {
      if (collation !== null) {
        await database.sql`drop index users_indexer_lower_address`
        await database.sql`drop trigger indexer_notify_users on users`
        await database.sql`alter table users alter wallet_address type varchar(66) collate ${database.sql(collation)}`
      }
      await fc.assert(
        fc.asyncProperty(
          fc.array(fc.tuple(fc.array(deed, { maxLength: 12 }), fc.integer({ min: 1, max: 8 })), {
            minLength: 1,
            maxLength: 4,
          }),
          async rounds => {
            await database.sql`truncate users cascade`
            await database.sql`truncate indexer.watchlist, indexer.wallets`
            // What was cut away has no version: memory begins anew.
            let set = createWalletSet()
            let state: SetState = { version: 0, history: '' }
            for (const [deeds, limit] of rounds) {
              for (const each of deeds) await act(each)
              await compareAllBy(limit)
              const tracked = await readTracked()
              expect(tracked).toEqual(await readWanted())
              const settled = await store.syncWallets()
              let into = set
              state = await store.readWallets(state, {
                beginWhole: () => {
                  into = createWalletSet()
                },
                take: records => into.take(records),
              })
              set = into
              expect(state.version).toBe(settled)
              expect(set.size).toBe(Object.keys(tracked).length)
              for (const [address, userId] of Object.entries(tracked)) {
                expect(set.has(address)).toBe(true)
                expect(set.ownerOf(address)).toBe(userId)
              }
            }
          },
        ),
        { seed: SEED, numRuns: RUNS },
      )
    },
  )

  test('ends where more than a slice was deleted, and where more than a slice shares one address', async () => {
    await addMany(MANY_USERS)
    await compareAllBy(100)
    expect(Object.keys(await readTracked())).toHaveLength(MANY_USERS)
    await database.sql`delete from users`
    for (let index = 0; index < 8; index += 1) {
      const letters = Array.from('abcdef', (letter, place) => (index & (1 << place) ? letter.toUpperCase() : letter))
      await addUser(database.sql, `0x${letters.join('')}${'1'.repeat(34)}`)
    }
    await compareAllBy(3)
    expect(await readTracked()).toEqual(await readWanted())
    expect(Object.keys(await readTracked())).toHaveLength(1)
  })
})

/** In a way that no look has to find. */
async function changeSomebody(): Promise<void> {
  await database.sql`update users set handle = 'x' || id where id = (select min(id::text)::uuid from users)`
}

async function addMany(count: number): Promise<void> {
  await database.sql`
    insert into users (wallet_address, created_at)
    select '0x' || encode(substr(sha256(number::text::bytea), 1, 20), 'hex'), '2020-01-01'::timestamp + number * interval '1 minute'
    from generate_series(1, ${count}) number`
  await database.sql`analyze users`
}

describe('the look at the newest', () => {
  test('finds who signed up and what is watched, however many they are, and touches nothing where nothing is new', async () => {
    await addMany(MANY_USERS)
    expect(await store.compareNewest()).toMatchObject({ changes: MANY_USERS })
    expect(Object.keys(await readTracked())).toHaveLength(MANY_USERS)
    const alice = await addUser(database.sql, ALICE.toUpperCase().replace('X', 'x'))
    await store.addToWatchlist(BOB, null)
    const { changes, version } = await store.compareNewest()
    expect(changes).toBe(2)
    expect(await readTracked()).toMatchObject({ [ALICE]: alice, [BOB]: null })
    expect(await store.compareNewest()).toMatchObject({ changes: 0, version })
  })

  test('is blind for one who committed late, and a younger one with the same address is no news', async () => {
    await addMany(MANY_USERS)
    await store.syncWallets()
    await database.sql`insert into users (wallet_address, created_at) values (${ALICE}, '2020-01-01')`
    expect(await store.compareNewest()).toMatchObject({ changes: 0 })
    expect(await store.syncWallets()).toBeGreaterThan(0)
    await addUser(database.sql, `0x${ALICE.slice(2).toUpperCase()}`)
    expect(await store.compareNewest()).toMatchObject({ changes: 0 })
    expect(await readTracked()).toEqual(await readWanted())
  })
})

describe('a registry of many users', () => {
  const never = new AbortController().signal

  test('compares all of them first, then takes in who signs up with each look', async () => {
    await addMany(MANY_USERS)
    const registry = createRegistry(store, systemClock)
    await registry.refresh()
    expect(registry.size).toBe(MANY_USERS)
    const alice = await addUser(database.sql, ALICE)
    expect(registry.isTracked(ALICE)).toBe(false)
    await registry.refresh()
    expect(registry.ownerOf(ALICE)).toBe(alice)
    expect(registry.tracksAt(`0x${'0'.repeat(24)}${ALICE.slice(2)}`, 26)).toBe(true)
    expect(registry.version).toBe(await store.syncWallets())
  })

  test('finds who was deleted or changed wallets at once when it is told, else in its rounds, a slice at a time', async () => {
    // Several slices, and a clock by which each of them uses up the time that nobody waits for.
    await addMany(3 * MANY_USERS * 4)
    const last = `0x${'f'.repeat(39)}e` as const
    const second = `0x${'f'.repeat(40)}` as const
    const one = await addUser(database.sql, last)
    const two = await addUser(database.sql, second)
    let now = 0
    const registry = createRegistry(store, { ...systemClock, monotonic: () => (now += 100) })
    await registry.refresh()
    await database.sql`delete from users where id = ${one}`
    await registry.refresh()
    expect(registry.isTracked(last)).toBe(true)
    registry.hint()
    await registry.compareOn(never)
    expect(registry.isTracked(last)).toBe(false)
    // Nobody tells: as behind a pooler. It has to come round.
    await database.sql`update users set wallet_address = ${CAROL} where id = ${two}`
    await registry.compareOn(never)
    expect(registry.isTracked(second)).toBe(true)
    for (let call = 0; call < 2 * 3 && registry.isTracked(second); call += 1) await registry.compareOn(never)
    expect(registry.ownerOf(CAROL)).toBe(two)
  })

  test('asks for a round only where what it was told of is not what the look found, and rests after it', async () => {
    await addMany(3 * MANY_USERS * 4)
    const slices: string[] = []
    let now = 0
    const registry = createRegistry(
      {
        ...store,
        compareSlice: async (after, limit) => {
          slices.push(after)
          return store.compareSlice(after, limit)
        },
      },
      { ...systemClock, monotonic: () => (now += 100) },
    )
    await registry.refresh()
    const callsAfter = async (change: () => Promise<unknown>) => {
      slices.length = 0
      await change()
      registry.hint()
      await registry.compareOn(never)
      return slices.length
    }
    expect(await callsAfter(() => addUser(database.sql, ALICE))).toBe(1)
    now += 10_000
    expect(await callsAfter(changeSomebody)).toBe(4)
    // Told again and again: it goes on slowly until it has rested, then makes the round that was asked for.
    expect(await callsAfter(changeSomebody)).toBe(1)
    now += 10_000
    expect(await callsAfter(() => Promise.resolve())).toBe(4)
  })

  test('finds more than a look sees, when they all came in one instant', async () => {
    await addMany(MANY_USERS)
    const registry = createRegistry(store, systemClock)
    await registry.refresh()
    await database.sql`
      insert into users (wallet_address)
      select '0x' || encode(substr(sha256('import' || number::text::bytea), 1, 20), 'hex') from generate_series(1, 25000) number`
    await registry.refresh()
    expect(registry.size).toBeLessThan(MANY_USERS + 25_000)
    await registry.compareOn(never)
    expect(registry.size).toBe(MANY_USERS + 25_000)
  })

  test('takes in what another process found, and reads all anew where the history is another', async () => {
    await addMany(MANY_USERS)
    const registry = createRegistry(store, systemClock)
    await registry.refresh()
    const other = createStore(database.url)
    try {
      await database.sql`delete from users where created_at < '2020-01-01 02:00'`
      await other.syncWallets()
    } finally {
      await other.close()
    }
    const before = registry.size
    await registry.refresh()
    expect(before - registry.size).toBe(119)
    // As after a restore: the version goes back, and the wallets are others.
    await database.sql`truncate indexer.wallets`
    await database.sql`delete from users`
    await database.sql`update indexer.registry set version = 0`
    await addUser(database.sql, ALICE)
    await registry.refresh()
    expect(registry.size).toBe(1)
    expect(registry.isTracked(ALICE)).toBe(true)
  })

  test('whose first look is stopped leaves the others who wait for it what they asked for', async () => {
    await addMany(MANY_USERS)
    const registry = createRegistry(store, systemClock)
    const [stopped, whole] = await Promise.allSettled([
      registry.refresh('newest', AbortSignal.abort()),
      registry.refresh('newest'),
    ])
    expect(stopped).toMatchObject({ status: 'rejected', reason: { code: 'ABORTED' } })
    expect(whole.status).toBe('fulfilled')
    expect(registry.size).toBe(MANY_USERS)
  })
})
