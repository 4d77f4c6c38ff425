/**
 * One writer per chain: who gets the lease, for how long, and that an old holder can write nothing any more.
 */

import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createStore, LEASE_TTL_MS, type Lease } from '../../src/store/store.ts'
import { createDatabase, type TestDatabase } from '../support/database.ts'
import { testChain } from '../support/indexer.ts'
import {
  ALICE,
  addUser,
  buildBlock,
  codeOf,
  followByHand,
  hashOf,
  readEverything,
  untilBlocked,
} from '../support/rows.ts'

const NAME = 'chain:31337'

let database: TestDatabase
let store: ReturnType<typeof createStore>
let other: ReturnType<typeof createStore>

beforeEach(async () => {
  database = await createDatabase()
  store = createStore(database.url)
  other = createStore(database.url)
})

afterEach(async () => {
  await Promise.all([store.close(), other.close()])
  await database.drop()
})

/** Instead of waiting: as if that much time had passed since the lease was last renewed. */
async function letPass(milliseconds: number): Promise<void> {
  await database.sql`
    update indexer.leases set expires_at = expires_at - ${milliseconds} * interval '1 millisecond' where name = ${NAME}`
}

const secondsLeft = async () => {
  const [row] = await database.sql<{ left: number }[]>`
    select extract(epoch from expires_at - clock_timestamp())::float8 as left from indexer.leases where name = ${NAME}`
  return row?.left ?? Number.NaN
}

async function claim(holder: string, from = store): Promise<Lease> {
  const lease = await from.claimLease(NAME, holder)
  if (lease === null) throw new Error(`${holder} did not get the lease`)
  return lease
}

test('the first who asks gets it, and nobody else while it is held', async () => {
  expect(await store.leaseHolder(NAME)).toBeNull()
  const lease = await claim('first')
  expect(lease).toEqual({ name: NAME, holder: 'first', fencing: 1 })
  expect(await other.claimLease(NAME, 'second')).toBeNull()
  expect(await other.leaseHolder(NAME)).toBe('first')
  // Another chain is another lease.
  expect(await other.claimLease('chain:1', 'second')).toMatchObject({ holder: 'second', fencing: 1 })
})

test('of many who ask at the same instant one gets it', async () => {
  const answers = await Promise.all(
    Array.from({ length: 8 }, (_, index) => (index % 2 === 0 ? store : other).claimLease(NAME, `holder ${index}`)),
  )
  const winners = answers.filter(answer => answer !== null)
  expect(winners).toHaveLength(1)
  expect(await store.leaseHolder(NAME)).toBe(winners[0]?.holder)
})

test('of many who find it expired one gets it', async () => {
  await claim('frozen')
  await letPass(LEASE_TTL_MS + 1)
  const answers = await Promise.all(
    Array.from({ length: 8 }, (_, index) => (index % 2 === 0 ? store : other).claimLease(NAME, `holder ${index}`)),
  )
  const winners = answers.filter(answer => answer !== null)
  expect(winners).toMatchObject([{ fencing: 2 }])
})

test('renewing extends it by the clock of the database; it expires if nobody does', async () => {
  const lease = await claim('first')
  await letPass(LEASE_TTL_MS - 1000)
  expect(await store.renewLease(lease)).toBe(true)
  expect(await secondsLeft()).toBeGreaterThan(LEASE_TTL_MS / 1000 - 3)
  expect(await other.claimLease(NAME, 'second')).toBeNull()
  await letPass(LEASE_TTL_MS + 1)
  expect(await store.leaseHolder(NAME)).toBeNull()
  expect(await claim('second', other)).toMatchObject({ holder: 'second', fencing: 2 })
})

test('a holder that was late may still renew while nobody else has come, and not after', async () => {
  const lease = await claim('first')
  await letPass(LEASE_TTL_MS * 10)
  expect(await store.renewLease(lease)).toBe(true)
  expect(await store.leaseHolder(NAME)).toBe('first')
  await letPass(LEASE_TTL_MS + 1)
  await claim('second', other)
  expect(await store.renewLease(lease)).toBe(false)
  expect(await store.leaseHolder(NAME)).toBe('second')
})

const HOUR_MS = 3_600_000
/** As if the database's clock had been set back: what was stamped before is ahead of it. */
const setBack = (milliseconds: number) => letPass(-milliseconds)

describe('the clock of the database is moved', () => {
  test('back by an hour: a lease that nobody renews is over, and not only in an hour', async () => {
    await claim('dead')
    await setBack(HOUR_MS)
    expect(await store.leaseHolder(NAME)).toBeNull()
    expect(await claim('second', other)).toMatchObject({ holder: 'second', fencing: 2 })
    expect(await secondsLeft()).toBeLessThanOrEqual(LEASE_TTL_MS / 1000)
  })

  test('back by an hour: a holder that is alive renews it, and keeps it', async () => {
    const lease = await claim('first')
    await setBack(HOUR_MS)
    expect(await store.renewLease(lease)).toBe(true)
    expect(await other.claimLease(NAME, 'second')).toBeNull()
    expect(await store.leaseHolder(NAME)).toBe('first')
  })

  test('by as little as clocks are corrected: nobody loses it', async () => {
    await claim('first')
    await setBack(LEASE_TTL_MS / 2)
    expect(await other.claimLease(NAME, 'second')).toBeNull()
    expect(await store.leaseHolder(NAME)).toBe('first')
  })

  test('forward by an hour: another one takes it, and the old holder, alive as it is, writes nothing', async () => {
    await addUser(database.sql, ALICE)
    const old = await followByHand(store, testChain())
    await old.advance([buildBlock(0, [{ name: 'one' }])])
    await letPass(HOUR_MS)
    await claim('second', other)
    const before = await readEverything(database.sql)
    expect(await codeOf(old.advance([buildBlock(1, [{ name: 'two' }])]))).toBe('LEASE_LOST')
    expect(await readEverything(database.sql)).toEqual(before)
  })
})

test('the number grows with each claim, also by the same holder, whose older lease is worth nothing then', async () => {
  const first = await claim('first')
  const again = await claim('first')
  expect(again.fencing).toBe(first.fencing + 1)
  expect(await store.renewLease(first)).toBe(false)
  expect(await store.renewLease(again)).toBe(true)
  await store.releaseLease(first)
  expect(await store.leaseHolder(NAME)).toBe('first')
})

test('given back, the next one gets it at once, with a higher number', async () => {
  const lease = await claim('first')
  await store.releaseLease(lease)
  expect(await store.leaseHolder(NAME)).toBeNull()
  const next = await claim('second', other)
  expect(next.fencing).toBe(lease.fencing + 1)
  // Giving it back a second time takes nothing from the new holder.
  await store.releaseLease(lease)
  expect(await store.leaseHolder(NAME)).toBe('second')
})

test('an old holder writes nothing: neither steps nor rewinds', async () => {
  await addUser(database.sql, ALICE)
  const chain = testChain()
  const old = await followByHand(store, chain)
  await old.advance([buildBlock(0), buildBlock(1, [{ name: 'one' }])])
  await letPass(LEASE_TTL_MS + 1)
  await claim('second', other)
  const before = await readEverything(database.sql)
  expect(await codeOf(old.advance([buildBlock(2, [{ name: 'two' }])]))).toBe('LEASE_LOST')
  expect(await codeOf(old.rewind(buildBlock(0)))).toBe('LEASE_LOST')
  expect(await readEverything(database.sql)).toEqual(before)
})

test('a step under way is finished before somebody else gets an expired lease', async () => {
  const chain = testChain()
  await addUser(database.sql, ALICE)
  const old = await followByHand(store, chain)
  const step = await old.plan([buildBlock(0, [{ name: 'one' }])])
  await letPass(LEASE_TTL_MS + 1)
  const ended: string[] = []
  let committed: Promise<unknown> = Promise.resolve()
  let claimed: Promise<Lease | null> = Promise.resolve(null)
  let found: Promise<unknown> = Promise.resolve(null)
  await database.sql
    .begin(async application => {
      await application`insert into user_transactions (tx_hash, event_type) values (${hashOf('one')}, 'X')`
      committed = store.commitAdvance(step).then(() => ended.push('step'))
      await untilBlocked(database.sql, committed)
      claimed = other.claimLease(NAME, 'second')
      found = claimed.then(() => {
        ended.push('claim')
        return other.checkpoint(chain.id)
      })
      await untilBlocked(database.sql, claimed, 2)
      expect(ended).toEqual([])
      throw new Error('taken back')
    })
    .catch((error: Error) => expect(error.message).toBe('taken back'))
  await committed
  expect((await claimed)?.holder).toBe('second')
  // Whose answer comes first here, the network decides; what the claim finds, the database.
  expect(await found).toMatchObject({ number: 0 })
  expect((await store.checkpoint(chain.id))?.number).toBe(0)
})
