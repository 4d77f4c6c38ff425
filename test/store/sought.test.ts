/**
 * Rows of the application: how the daemon takes note of them, sets right what was overwritten, and picks what to ask nodes for.
 */

import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createStore } from '../../src/store/store.ts'
import { createDatabase, type TestDatabase } from '../support/database.ts'
import { testChain } from '../support/indexer.ts'
import {
  ALICE,
  addUser,
  BOB,
  buildBlock,
  CAROL,
  followByHand,
  hashOf,
  headerOf,
  loadOwners,
  matchRows,
  readRowTables,
  STRANGER,
} from '../support/rows.ts'

let database: TestDatabase
let store: ReturnType<typeof createStore>
const chain = testChain({ confirmations: 2 })
const chains = new Map([[chain.id, chain]])

beforeEach(async () => {
  database = await createDatabase()
  store = createStore(database.url)
})

afterEach(async () => {
  await store.close()
  await database.drop()
})

type Fields = { readonly user?: string | null; readonly status?: string | null; readonly createdAt?: string }

/** As the application tracks a transaction. */
async function track(hash: string, { user = null, status = 'pending', createdAt = '2025-01-01' }: Fields = {}) {
  await database.sql`
    insert into user_transactions (user_id, tx_hash, chain, event_type, token, amount, status, created_at)
    values (${user}, ${hash}, 'ethereum', 'LDAO_TRANSFER_SENT', 'LDAO', 100.5, ${status}, ${createdAt})`
}

const memory = async () => [
  ...(await database.sql`
    select tx_hash, application_hash, keeps_user, keeps_event_type, status, chain_id, malformed from indexer.transactions
    order by tx_hash`),
]

describe('taking note', () => {
  test('of pending rows only, or of all; once; with what stays as the application set it', async () => {
    const alice = await addUser(database.sql, ALICE)
    await track(hashOf('one'), { user: alice })
    await track(hashOf('two'), { status: 'confirmed' })
    await track(hashOf('three'), { status: 'failed' })
    expect(await store.enrollApplicationRows('pending')).toBe(1)
    expect(await store.enrollApplicationRows('pending')).toBe(0)
    expect(await memory()).toEqual([
      {
        tx_hash: hashOf('one'),
        application_hash: hashOf('one'),
        keeps_user: true,
        keeps_event_type: true,
        status: 'pending',
        chain_id: null,
        malformed: false,
      },
    ])
    expect(await store.enrollApplicationRows('all')).toBe(2)
    expect(await store.enrollApplicationRows('all')).toBe(0)
    expect(new Map((await memory()).map(row => [row['status'], row['keeps_user']]))).toEqual(
      new Map([
        ['pending', true],
        ['confirmed', false],
        ['failed', false],
      ]),
    )
  })

  test('of a hash in any spelling; of two spellings the older one counts', async () => {
    const capitals = `0X${hashOf('one').slice(2).toUpperCase()}`
    await track(hashOf('one'), { createdAt: '2025-02-02' })
    await track(capitals, { createdAt: '2025-01-01' })
    expect(await store.enrollApplicationRows('pending')).toBe(1)
    expect(await memory()).toMatchObject([{ tx_hash: hashOf('one'), application_hash: capitals, malformed: false }])
    expect(await store.sought()).toEqual(new Set([hashOf('one')]))
  })

  test.each([
    ['nothing', ''],
    ['a word', 'pending-tx'],
    ['too short', '0x1234'],
    ['without 0x', hashOf('one').slice(2)],
    ['a letter too far', `${hashOf('one').slice(0, 65)}g`],
    ['with a line break', `${hashOf('one').slice(0, 65)}\n`],
    ['a quote', "0x'; drop table users; --"],
    ['letters of another alphabet', `0x${'а'.repeat(64)}`],
  ])('of what is no hash, which is never asked for: %s', async (_what, hash) => {
    await track(hash)
    expect(await store.enrollApplicationRows('pending')).toBe(1)
    expect(await memory()).toMatchObject([{ application_hash: hash, malformed: true }])
    expect(await store.sought()).toEqual(new Set())
    expect(await store.nextSought(10, 0, 'pending')).toEqual([])
    expect(await store.totals()).toMatchObject({ transactions: { malformed: 1, sought: 0 } })
    expect(await store.enrollApplicationRows('all')).toBe(0)
  })

  test('of a row without a status', async () => {
    await track(hashOf('one'), { status: null })
    expect(await store.enrollApplicationRows('all')).toBe(1)
    expect(await store.sought()).toEqual(new Set([hashOf('one')]))
  })

  test('by two sweeps at once counts each row once', async () => {
    for (let index = 0; index < 60; index += 1) await track(hashOf(`tx ${index}`))
    const other = createStore(database.url)
    try {
      const counts = await Promise.all([store, other, store, other].map(each => each.enrollApplicationRows('pending')))
      expect(counts.reduce((sum, count) => sum + count)).toBe(60)
    } finally {
      await other.close()
    }
    expect(await store.sought()).toHaveProperty('size', 60)
  })

  test('not of rows that the daemon wrote', async () => {
    await addUser(database.sql, ALICE)
    await (await followByHand(store, chain)).advance([buildBlock(0, [{ name: 'one' }])])
    expect(await store.enrollApplicationRows('all')).toBe(0)
  })
})

describe('what to ask for', () => {
  const hashes = Array.from({ length: 6 }, (_, index) => hashOf(`sought ${index}`))
  const pretendAsked = async (ages: readonly (number | null)[]) => {
    for (const [index, age] of ages.entries())
      await database.sql`
        update indexer.transactions set sought_at = now() - ${age}::int * interval '1 second' where tx_hash = ${hashes[index] ?? ''}`
  }

  const names = async (limit: number) =>
    (await store.nextSought(limit, 5000, 'pending')).map(hash => hashes.indexOf(hash)).toSorted((a, b) => a - b)

  beforeEach(async () => {
    for (const hash of hashes) await track(hash)
    await store.enrollApplicationRows('pending')
  })

  test('is what was never asked for, then what was not for longest, and nothing again too soon', async () => {
    await pretendAsked([10, null, 30, 20, null, 2])
    expect(await names(2)).toEqual([1, 4])
    expect(await names(1)).toEqual([2])
    expect(await names(1)).toEqual([3])
    expect(await names(10)).toEqual([0])
    expect(await names(10)).toEqual([])
    await pretendAsked([6, 1, 1, 1, 1, 1])
    expect(await names(10)).toEqual([0])
  })

  test('is shared between sweeps at the same time: nobody asks for the same', async () => {
    const other = createStore(database.url)
    try {
      const taken = await Promise.all([store, other, store, other].map(each => each.nextSought(2, 5000, 'pending')))
      expect(taken.flat().toSorted()).toEqual(hashes.toSorted().filter(hash => taken.flat().includes(hash)))
      expect(await store.nextSought(10, 5000, 'pending')).toHaveLength(6 - taken.flat().length)
    } finally {
      await other.close()
    }
  })

  test('leaves out what another sweep is just taking, without waiting for it', async () => {
    await database.sql.begin(async sweep => {
      await sweep`select 1 from indexer.transactions where tx_hash = ${hashes[2] ?? ''} for update`
      expect(await names(10)).toEqual([0, 1, 3, 4, 5])
    })
    expect(await names(10)).toEqual([2])
  })

  test('is also what was asked for before the clock was set back', async () => {
    await database.sql`update indexer.transactions set sought_at = now() + interval '1 hour'`
    expect((await store.nextSought(10, 1_000, 'pending')).length).toBeGreaterThan(0)
  })

  test('is not what a block has shown', async () => {
    const followed = await followByHand(store, chain)
    // Nobody who takes part is tracked: the block tells of it because it is sought.
    await followed.advance([buildBlock(0, [{ name: 'sought 3', from: STRANGER, to: BOB, value: 5n }])])
    expect(await store.nextSought(10, 0, 'pending')).toHaveLength(5)
    expect(await store.sought()).not.toContain(hashes[3])
    const [row] = await database.sql`
      select chain, event_type, amount, block_number, status from user_transactions where tx_hash = ${hashes[3] ?? ''}`
    expect(row).toEqual({
      chain: 'local',
      event_type: 'LDAO_TRANSFER_SENT',
      amount: null,
      block_number: 0,
      status: 'pending',
    })
  })
})

describe('what was found in a block of long ago', () => {
  const block = buildBlock(1, [{ name: 'one' }])

  async function commitFound(found = block) {
    const { owners, version } = await loadOwners(store)
    return store.commitFound({
      chain,
      registryVersion: version,
      block: headerOf(found),
      ...matchRows(chain, [found], owners, { sought: [hashOf('one')] }),
    })
  }

  beforeEach(async () => {
    const followed = await followByHand(store, chain)
    await followed.advance([buildBlock(0), buildBlock(1), buildBlock(2)])
    await track(hashOf('one'))
    await store.enrollApplicationRows('pending')
  })

  test('is written where the block is the one in our window', async () => {
    expect(await commitFound()).toBe(true)
    expect(await database.sql`select status, block_number from user_transactions`).toMatchObject([
      { status: 'confirmed', block_number: 1 },
    ])
  })

  test('is not written where our window has another block there, or none yet', async () => {
    const before = await readRowTables(database.sql)
    expect(await commitFound(buildBlock(1, [{ name: 'one' }], { branch: 'b' }))).toBe(false)
    expect(await commitFound(buildBlock(3, [{ name: 'one' }]))).toBe(false)
    await database.sql`delete from indexer.checkpoints`
    await database.sql`delete from indexer.headers`
    await database.sql`delete from indexer.coverage`
    expect(await commitFound()).toBe(false)
    expect(await readRowTables(database.sql)).toEqual(before)
  })

  test('is written where the block is final, though the window has forgotten it', async () => {
    await database.sql`update indexer.checkpoints set finalized_number = 1`
    await database.sql`delete from indexer.headers where number <= 1`
    expect(await commitFound()).toBe(true)
  })
})

const rows = () =>
  database.sql`select tx_hash, status, block_number, event_type, trim_scale(amount)::text as amount from user_transactions`

describe('what the application overwrote', () => {
  beforeEach(async () => {
    await addUser(database.sql, ALICE)
    await track(hashOf('one'))
    await store.enrollApplicationRows('pending')
    const followed = await followByHand(store, chain)
    await followed.advance([buildBlock(0, [{ name: 'one' }]), buildBlock(1), buildBlock(2)])
  })

  test('with pending is set right by either sweep, with failed and with another block by that of all rows', async () => {
    const before = [...(await rows())]
    expect(before).toMatchObject([
      { status: 'confirmed', block_number: 0, event_type: 'LDAO_TRANSFER_SENT', amount: '1' },
    ])
    expect(await store.restoreRows(chains, 'all')).toBe(0)
    await database.sql`update user_transactions set status = 'pending', amount = 100.5, block_number = null`
    expect(await store.restoreRows(chains, 'pending')).toBe(1)
    expect([...(await rows())]).toEqual(before)
    for (const spoil of [
      database.sql`status = 'failed'`,
      database.sql`block_number = 77`,
      database.sql`status = null`,
    ]) {
      await database.sql`update user_transactions set ${spoil}`
      expect(await store.restoreRows(chains, 'pending')).toBe(0)
      expect(await store.restoreRows(chains, 'all')).toBe(1)
      expect([...(await rows())]).toEqual(before)
      expect(await store.restoreRows(chains, 'all')).toBe(0)
    }
  })

  test('leaves no new evidence, because nothing happened to the transaction', async () => {
    const evidence = () => database.sql`select * from indexer.transitions order by id`
    const before = [...(await evidence())]
    await database.sql`update user_transactions set status = 'pending'`
    await store.restoreRows(chains, 'pending')
    expect([...(await evidence())]).toEqual(before)
  })

  test('is left alone for chains that are not configured here', async () => {
    await database.sql`update user_transactions set status = 'pending'`
    expect(await store.restoreRows(new Map(), 'all')).toBe(0)
  })

  test('is set right by two sweeps at once', async () => {
    const before = [...(await rows())]
    await database.sql`update user_transactions set status = 'pending'`
    await Promise.all([1, 2, 3].map(() => store.restoreRows(chains, 'all')))
    expect([...(await rows())]).toEqual(before)
  })
})

/** Bob takes part in a transaction that the application noted for Carol, who does not. */
const lose = async () => {
  const bob = await addUser(database.sql, BOB)
  const carol = await addUser(database.sql, CAROL)
  await track(hashOf('one'), { user: carol })
  await store.enrollApplicationRows('pending')
  const followed = await followByHand(store, chain)
  await followed.advance([buildBlock(0, [{ name: 'one', from: BOB, to: STRANGER }]), buildBlock(1), buildBlock(2)])
  await database.sql`delete from users where id = ${carol}`
  expect([...(await rows())]).toEqual([])
  return { bob }
}
const usersOfRows = async () =>
  (await database.sql<{ user_id: string }[]>`select user_id from user_transactions`).map(row => row.user_id)

describe('rows that went with their user', () => {
  test('come back for the next participant, who need not have had a part in what is gone', async () => {
    const { bob } = await lose()
    expect(await store.restoreRows(chains, 'pending')).toBe(0)
    expect(await store.restoreRows(chains, 'all')).toBe(1)
    expect([...(await rows())]).toMatchObject([{ status: 'confirmed', block_number: 0, event_type: 'TRANSFER' }])
    expect(await usersOfRows()).toEqual([bob])
    expect(await store.restoreRows(chains, 'all')).toBe(0)
  })

  test('do not come back where nobody is left', async () => {
    const { bob } = await lose()
    await database.sql`delete from users where id = ${bob}`
    await store.syncWallets()
    expect(await store.restoreRows(chains, 'all')).toBe(0)
    expect([...(await rows())]).toEqual([])
  })

  test('and are inserted anew by the application keep what it says now, not what is remembered of them', async () => {
    const { bob } = await lose()
    expect(await store.restoreRows(chains, 'all')).toBe(1)
    await database.sql`delete from user_transactions`
    await database.sql`
      insert into user_transactions (user_id, tx_hash, event_type, status) values (${bob}, ${hashOf('one')}, 'SECOND_SALE', 'pending')`
    await store.restoreRows(chains, 'pending')
    expect([...(await rows())]).toMatchObject([{ status: 'confirmed', event_type: 'SECOND_SALE', amount: '1' }])
    expect(await store.story(hashOf('one'))).toMatchObject({ rows: [{ writtenBy: 'application' }] })
  })
})

test('a row of ours that nothing is remembered of is taken note of as ours', async () => {
  await addUser(database.sql, ALICE)
  const followed = await followByHand(store, chain)
  await followed.advance([buildBlock(0, [{ name: 'one' }])])
  await database.sql`delete from indexer.transactions`
  expect(await store.enrollApplicationRows('all')).toBe(1)
  expect(await memory()).toMatchObject([{ application_hash: null, keeps_user: false, keeps_event_type: false }])
})

const story = async () =>
  (await database.sql`select from_status, to_status, reason from indexer.transitions order by id`).map(row =>
    Object.values(row).join(' '),
  )

describe('what counts as dropped', () => {
  beforeEach(async () => {
    await track(hashOf('one'))
    await store.enrollApplicationRows('pending')
    expect(await store.noteSurvey(hashOf('one'), 'none')).toBe(1)
    expect(await store.noteSurvey(hashOf('one'), 'none')).toBe(2)
    expect(await store.commitDropped(hashOf('one'), ['http://node'])).toBe(true)
    await database.sql`update indexer.transactions set sought_at = now() - interval '2 minutes'`
  })
  test('is asked for again by the sweep of all rows, ever more rarely', async () => {
    expect(await store.nextSought(10, 0, 'pending')).toEqual([])
    expect(await store.nextSought(10, 0, 'all')).toEqual([hashOf('one')])
    expect(await store.nextSought(10, 0, 'all')).toEqual([])
    await database.sql`
      update indexer.transactions set sought_at = now() - interval '2 minutes', surveyed_at = now() - interval '1 hour'`
    expect(await store.nextSought(10, 0, 'all')).toEqual([])
    await database.sql`update indexer.transactions set sought_at = now() - interval '7 minutes'`
    expect(await store.nextSought(10, 0, 'all')).toEqual([hashOf('one')])
  })

  test('is pending again as soon as a mempool shows it', async () => {
    await store.noteSender(hashOf('one'), chain.id, ALICE, 7)
    expect(await rows()).toMatchObject([{ status: 'pending' }])
    expect(await story()).toEqual(['pending failed dropped', 'failed pending found'])
    await store.noteSender(hashOf('one'), chain.id, ALICE, 7)
    expect(await story()).toHaveLength(2)
    expect(await store.unseen([hashOf('one')])).toMatchObject([{ sent: { sender: ALICE, nonce: 7 } }])
    expect(await store.noteSurvey(hashOf('one'), 'none')).toBe(1)
  })
})

test('a survey that somebody contradicts begins the count anew, and one that stays open leaves it', async () => {
  await track(hashOf('one'))
  await store.enrollApplicationRows('pending')
  const counts: number[] = []
  for (const result of ['none', 'open', 'none', 'found', 'none'] as const)
    counts.push(await store.noteSurvey(hashOf('one'), result))
  expect(counts).toEqual([1, 1, 2, 0, 1])
  await store.noteSender(hashOf('one'), chain.id, ALICE, 7)
  expect(await store.noteSurvey(hashOf('one'), 'none')).toBe(1)
})
