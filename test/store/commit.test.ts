/**
 * The write: rows and checkpoint together or not at all, whatever stands in its way, and the same again without a trace.
 */

import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { ActivityRow } from '../../src/core/types.ts'
import type { Advance } from '../../src/store/commit.ts'
import { createStore } from '../../src/store/store.ts'
import { createDatabase, type TestDatabase } from '../support/database.ts'
import { testChain } from '../support/indexer.ts'
import {
  ALICE,
  addUser,
  BOB,
  buildBlock,
  codeOf,
  ETHER,
  type Followed,
  followByHand,
  hashOf,
  headerOf,
  planBackfill,
  readEverything,
  readRowTables,
  untilBlocked,
} from '../support/rows.ts'

let database: TestDatabase
let store: ReturnType<typeof createStore>
let followed: Followed
const chain = testChain({ confirmations: 3 })

beforeEach(async () => {
  database = await createDatabase()
  store = createStore(database.url)
  followed = await followByHand(store, chain)
})

afterEach(async () => {
  await store.close()
  await database.drop()
})

const firstBlocks = [buildBlock(0), buildBlock(1, [{ name: 'one' }]), buildBlock(2)]
const nextBlocks = [buildBlock(3, [{ name: 'three' }, { name: 'three b', from: BOB, to: ALICE }])]

/** An activity of a step, changed. */
function withRow(step: Advance, fields: Partial<ActivityRow>): Advance {
  return { ...step, activities: step.activities.map((row, index) => (index === 0 ? { ...row, ...fields } : row)) }
}

describe('all or nothing', () => {
  beforeEach(async () => {
    await addUser(database.sql, ALICE)
    await addUser(database.sql, BOB)
    await followed.advance(firstBlocks)
  })

  /** What spoils a step that would be written otherwise, and the code that says why. */
  const SPOILERS: readonly [string, string, (step: Advance) => Promise<Advance> | Advance][] = [
    ['a value is too long', 'DB_REJECTED', step => withRow(step, { activityType: 'X'.repeat(51) })],
    ['an amount is no number', 'DB_REJECTED', step => withRow(step, { amount: 'much' })],
    ['text holds a NUL', 'DB_REJECTED', step => withRow(step, { token: 'US\0DC' })],
    ['metadata hold a NUL', 'DB_REJECTED', step => withRow(step, { metadata: { name: 'US\0DC' } })],
    [
      'a transaction of the block is refused',
      'DB_REJECTED',
      step => ({
        ...step,
        transactions: step.transactions.map(fact => ({
          ...fact,
          summaries: fact.summaries.map(each => ({ ...each, eventType: 'X'.repeat(51) })),
        })),
      }),
    ],
    [
      'the lease went to somebody else',
      'LEASE_LOST',
      async step => {
        await database.sql`update indexer.leases set expires_at = now() - interval '1 second'`
        await store.claimLease(step.lease.name, 'another')
        return step
      },
    ],
    ['the lease never was', 'LEASE_LOST', step => ({ ...step, lease: { ...step.lease, fencing: 7 } })],
    [
      'a user signed up meanwhile',
      'REGISTRY_STALE',
      async step => {
        await addUser(database.sql, '0x1111111111111111111111111111111111111111')
        await store.syncWallets()
        return step
      },
    ],
    [
      'a user was deleted meanwhile, and nobody noticed',
      'REGISTRY_STALE',
      async step => {
        await database.sql`delete from users where wallet_address = ${BOB}`
        return step
      },
    ],
    [
      'the checkpoint is elsewhere',
      'LEASE_LOST',
      step => ({ ...step, move: { ...step.move, expectedHash: hashOf('elsewhere') } }),
    ],
    [
      'there is a checkpoint where none was expected',
      'LEASE_LOST',
      step => ({ ...step, move: { ...step.move, expectedHash: null } }),
    ],
    [
      'the chain stands still',
      'LEASE_LOST',
      async step => {
        await store.setHalt(chain.id, { code: 'REORG_BEYOND_FINALITY', message: 'a test' })
        return step
      },
    ],
  ]

  test.each(SPOILERS)('nothing is written where %s, and %s says why', async (_what, code, spoil) => {
    const step = await spoil(await followed.plan(nextBlocks))
    const before = await readEverything(database.sql)
    expect(await codeOf(store.commitAdvance(step))).toBe(code)
    expect(await readEverything(database.sql)).toEqual(before)
  })

  test('the same step without a spoiler is written, rows and checkpoint', async () => {
    const before = await readRowTables(database.sql)
    await store.commitAdvance(await followed.plan(nextBlocks))
    expect((await readRowTables(database.sql)).length).toBeGreaterThan(before.length)
    expect(await store.checkpoint(chain.id)).toMatchObject({ number: 3, hash: hashOf('a:3') })
  })

  test('a reader on another connection sees rows and checkpoint at the same instant', async () => {
    const step = await followed.plan(nextBlocks)
    // The application holds the hash of the last row to be written: the step has written all else and waits.
    let committed: Promise<unknown> = Promise.resolve()
    await database.sql.begin(async application => {
      await application`
        insert into user_transactions (tx_hash, event_type) values (${hashOf('three b')}, 'LDAO_TRANSFER_SENT')`
      committed = store.commitAdvance(step)
      await untilBlocked(database.sql, committed)
      expect(await database.sql`select 1 from wallet_activity where block_number = 3`).toHaveLength(0)
      expect((await store.checkpoint(chain.id))?.number).toBe(2)
      expect(await store.coverage(chain.id)).toEqual([{ from: 0, to: 2 }])
    })
    await committed
    expect(await database.sql`select 1 from wallet_activity where block_number = 3`).toHaveLength(4)
    expect((await store.checkpoint(chain.id))?.number).toBe(3)
  })
})

describe('the same blocks again', () => {
  test('change nothing, not even the version of a row', async () => {
    await addUser(database.sql, ALICE)
    await store.addToWatchlist(BOB, null)
    const blocks = Array.from({ length: 20 }, (_, number) =>
      buildBlock(number, [
        { name: `${number} out` },
        { name: `${number} back`, from: BOB, to: ALICE, succeeded: number % 3 !== 0 },
        { name: `${number} self`, from: ALICE, to: ALICE },
      ]),
    )
    await followed.backfill(blocks)
    const before = await readRowTables(database.sql)
    expect(before.length).toBeGreaterThan(200)
    await followed.backfill(blocks)
    await followed.backfill(blocks.slice(3, 9))
    expect(await readRowTables(database.sql)).toEqual(before)
  })

  test('by two writers at once and in opposite order: both end, and the rows are there once', async () => {
    await addUser(database.sql, ALICE)
    await addUser(database.sql, BOB)
    const blocks = Array.from({ length: 12 }, (_, number) =>
      buildBlock(
        number,
        Array.from({ length: 10 }, (_unused, index) => ({ name: `${number} ${index}` })),
      ),
    )
    const piece = await planBackfill(store, chain, blocks)
    const reversed = {
      ...piece,
      activities: piece.activities.toReversed(),
      transactions: piece.transactions.toReversed(),
    }
    const other = createStore(database.url)
    try {
      await Promise.all([
        store.commitBackfill(piece),
        other.commitBackfill(reversed),
        store.commitBackfill(reversed),
        other.commitBackfill(piece),
      ])
    } finally {
      await other.close()
    }
    const [count] = await database.sql`
      select (select count(*)::int from wallet_activity) as activities, (select count(*)::int from user_transactions) as rows,
        (select count(*)::int from indexer.transitions) as transitions`
    expect(count).toEqual({ activities: 240, rows: 120, transitions: 240 })
  })
})

describe('a row of the application at the same instant', () => {
  const hash = hashOf('one')

  test.each([
    ['as the daemon spells it', hash],
    ['in capitals', `0x${hash.slice(2).toUpperCase()}`],
  ])('is adopted, not doubled: %s', async (_how, spelling) => {
    const alice = await addUser(database.sql, ALICE)
    const step = await followed.plan(firstBlocks)
    let committed: Promise<unknown> = Promise.resolve()
    await database.sql.begin(async application => {
      await application`
        insert into user_transactions (user_id, tx_hash, chain, event_type, amount)
        values (${alice}, ${spelling}, 'ethereum', 'LDAO_TRANSFER_SENT', 5)`
      // With another spelling nothing waits: then the daemon's row comes first and the sweep meets both.
      committed = store.commitAdvance(step)
      await (spelling === hash ? untilBlocked(database.sql, committed) : committed)
    })
    await committed
    if (spelling !== hash) await store.rederive([hash], new Map([[chain.id, chain]]))
    const rows = await database.sql`
      select tx_hash, user_id, chain, event_type, trim_scale(amount)::text as amount, status, block_number from user_transactions
      where event_type = 'LDAO_TRANSFER_SENT'`
    expect([...rows]).toEqual([
      {
        tx_hash: spelling,
        user_id: alice,
        chain: 'local',
        event_type: 'LDAO_TRANSFER_SENT',
        amount: '1',
        status: 'pending',
        block_number: 1,
      },
    ])
    const [count] = await database.sql`select count(*)::int as count from user_transactions where tx_hash = ${spelling}`
    expect(count?.['count']).toBe(1)
  })

  test('that is taken back lets the daemon write its own', async () => {
    const alice = await addUser(database.sql, ALICE)
    const step = await followed.plan(firstBlocks)
    let committed: Promise<unknown> = Promise.resolve()
    await database.sql
      .begin(async application => {
        await application`insert into user_transactions (tx_hash, event_type) values (${hash}, 'LDAO_TRANSFER_SENT')`
        committed = store.commitAdvance(step)
        await untilBlocked(database.sql, committed)
        throw new Error('taken back')
      })
      .catch(() => undefined)
    await committed
    const rows = await database.sql`select user_id, event_type from user_transactions`
    expect([...rows]).toEqual([{ user_id: alice, event_type: 'TRANSFER' }])
  })
})

describe('the header window', () => {
  test('reaches back to finality and a little below, and the checkpoint never forgets what was final', async () => {
    const numbers = async () => (await store.window(chain.id, 0)).map(header => header.number)
    const step = async (from: number, to: number, finalizedNumber: number) => {
      const blocks = Array.from({ length: to - from + 1 }, (_, index) => buildBlock(from + index))
      const plan = await followed.plan(blocks)
      await store.commitAdvance({ ...plan, move: { ...plan.move, finalizedNumber } })
    }
    await step(0, 9, -1)
    expect(await numbers()).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    await step(10, 11, 8)
    expect(await numbers()).toEqual([6, 7, 8, 9, 10, 11])
    // A node that forgets what is final.
    await step(12, 12, 2)
    expect((await store.checkpoint(chain.id))?.finalizedNumber).toBe(8)
    // Far behind: everything that is taken is final already, and the last block is the ground to go on from.
    await step(13, 40, 1000)
    expect(await numbers()).toEqual([38, 39, 40])
    expect(await store.headerAt(chain.id, 40)).toEqual(headerOf(buildBlock(40)))
    expect(await store.headerAt(chain.id, 37)).toBeNull()
  })

  test('holds the new branch where it replaced the old one', async () => {
    await followed.advance([buildBlock(0), buildBlock(1), buildBlock(2)])
    await followed.rewind(buildBlock(0))
    expect((await store.window(chain.id, 0)).map(header => header.hash)).toEqual([hashOf('a:0')])
    await followed.advance([
      buildBlock(1, [], { branch: 'b', parent: hashOf('a:0') }),
      buildBlock(2, [], { branch: 'b' }),
    ])
    expect((await store.window(chain.id, 0)).map(header => header.hash)).toEqual(['a:0', 'b:1', 'b:2'].map(hashOf))
  })
})

test('rows of another branch that are above the checkpoint go when its blocks are taken', async () => {
  await addUser(database.sql, ALICE)
  const leftover = async (block: number, hash: string | null) =>
    database.sql`
      insert into wallet_activity (wallet_address, activity_type, chain_id, block_number, block_hash)
      values (${ALICE}, 'VOTE', ${chain.id}, ${block}, ${hash})`
  await leftover(1, hashOf('left:1'))
  await leftover(2, hashOf('left:2'))
  await leftover(1, null)
  await followed.advance([buildBlock(0, [{ name: 'one' }]), buildBlock(1, [{ name: 'two' }])])
  const rows = await database.sql`
    select block_number::int as number, block_hash as hash from wallet_activity order by block_number, block_hash nulls first`
  expect([...rows]).toEqual([
    { number: 0, hash: hashOf('a:0') },
    { number: 1, hash: null },
    { number: 1, hash: hashOf('a:1') },
    { number: 2, hash: hashOf('left:2') },
  ])
})

test('values of an ether and of a block are where they belong', async () => {
  const alice = await addUser(database.sql, ALICE)
  await followed.advance([buildBlock(0, [{ name: 'zero', value: ETHER / 4n }])])
  const rows = await database.sql`
    select wallet_address, user_id, activity_type, trim_scale(amount)::text as amount, raw_amount::text, token, token_address,
      chain_id, block_number::int, block_hash, log_index, metadata from wallet_activity`
  expect([...rows]).toEqual([
    {
      wallet_address: ALICE,
      user_id: alice,
      activity_type: 'TRANSFER_OUT',
      amount: '0.25',
      raw_amount: (ETHER / 4n).toString(),
      token: 'ETH',
      token_address: null,
      chain_id: chain.id,
      block_number: 0,
      block_hash: hashOf('a:0'),
      log_index: null,
      metadata: { counterparty: BOB },
    },
  ])
})
