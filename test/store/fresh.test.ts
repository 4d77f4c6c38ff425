/**
 * A piece of history that goes in by COPY leaves the rows that the careful way leaves, whatever was there before and whoever writes
 * at the same moment.
 */

import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Address, ActivityRow } from '../../src/core/types.ts'
import { type BackfillCommit, commitBackfill } from '../../src/store/commit.ts'
import { createStore } from '../../src/store/store.ts'
import { atLeast, fc } from '../core/support/property.ts'
import { createDatabase, type TestDatabase } from '../support/database.ts'
import { testChain } from '../support/indexer.ts'
import {
  ALICE,
  addUser,
  BOB,
  buildBlock,
  CAROL,
  codeOf,
  ETHER,
  hashOf,
  planBackfill,
  STRANGER,
  type Transfer,
  untilBlocked,
} from '../support/rows.ts'

type Place = { readonly database: TestDatabase; readonly store: ReturnType<typeof createStore> }

const chain = testChain({ confirmationTiers: [{ token: 'ETH', above: '5', confirmations: 'finalized' }] })
/** A transaction may stand on these too; one is lower, one higher. */
const OTHERS = [testChain({ id: 7, name: 'lower' }), testChain({ id: 99_999, name: 'higher' })]
const USERS: readonly [Address, string][] = [
  [ALICE, '00000000-0000-4000-8000-00000000000a'],
  [BOB, '00000000-0000-4000-8000-00000000000b'],
]

async function open(): Promise<Place> {
  const database = await createDatabase()
  const store = createStore(database.url)
  for (const [wallet, id] of USERS) await addUser(database.sql, wallet, id)
  await store.addToWatchlist(CAROL, null)
  return { database, store }
}

async function close({ database, store }: Place): Promise<void> {
  await store.close()
  await database.drop()
}

/** Notes by which statement inclusions come. */
async function watchWays({ database }: Place): Promise<() => Promise<string[]>> {
  await database.sql.unsafe(`
    create table ways (way text);
    create function note_way() returns trigger language plpgsql as $$
      begin insert into ways values (split_part(ltrim(current_query(), E' \\n'), ' ', 1)); return null; end $$;
    create trigger note_way before insert on indexer.inclusions for each statement execute function note_way()`)
  return async () => {
    const rows = await database.sql<{ way: string }[]>`delete from ways returning way`
    return rows.map(({ way }) => way)
  }
}

/** All rows, without what differs from one writing to the next: times of the writing, and the counter of the transitions. */
async function readRows({ database }: Place): Promise<Record<string, string[]>> {
  const tables: Record<string, string> = {
    wallet_activity: 'id',
    user_transactions: 'id',
    'indexer.inclusions': 'tx_hash, chain_id',
    'indexer.transactions': 'tx_hash',
    'indexer.transitions': 'id',
    'indexer.coverage': 'chain_id, from_block',
    'indexer.wallet_coverage': 'chain_id, address, from_block',
  }
  const found: Record<string, string[]> = {}
  for (const [table, order] of Object.entries(tables)) {
    const fields = table === 'indexer.transitions' ? `- 'id'` : ''
    const rows = await database.sql.unsafe<{ text: string }[]>(
      `select (to_jsonb(t) - 'created_at' - 'updated_at' - 'at' ${fields})::text as text from ${table} t order by ${order}`,
    )
    found[table] = rows.map(({ text }) => text)
  }
  return found
}

// ── Random histories ─────────────────────────────────────────────────────────────────────────────────────────────────────

type ApplicationRow = {
  readonly transfer: number
  readonly spelling: 'lower' | 'upper'
  readonly user: number | null
  readonly status: 'pending' | 'confirmed'
  readonly isEnrolled: boolean
}

type History = {
  readonly blocks: readonly (readonly Omit<Transfer, 'name'>[])[]
  readonly application: readonly ApplicationRow[]
  /** Transfers that another chain has too, and which. */
  readonly elsewhere: readonly { readonly transfer: number; readonly chain: number }[]
  /** Each commits some blocks, deep enough up to one of them. */
  readonly pieces: readonly { readonly from: number; readonly length: number; readonly depth: number }[]
  readonly text: string
}

const party = fc.constantFrom<Address>(ALICE, BOB, CAROL, STRANGER)
const transfer = fc.record({
  from: party,
  to: party,
  value: fc.constantFrom(0n, 1n, ETHER, 6n * ETHER, 10n ** 40n),
  succeeded: fc.boolean(),
})
const histories: fc.Arbitrary<History> = fc.record({
  blocks: fc.array(fc.array(transfer, { maxLength: 4 }), { minLength: 1, maxLength: 5 }),
  application: fc.array(
    fc.record({
      transfer: fc.nat(12),
      spelling: fc.constantFrom('lower' as const, 'upper' as const),
      user: fc.constantFrom(null, 0, 1),
      status: fc.constantFrom('pending' as const, 'confirmed' as const),
      isEnrolled: fc.boolean(),
    }),
    { maxLength: 2 },
  ),
  elsewhere: fc.array(fc.record({ transfer: fc.nat(12), chain: fc.nat(1) }), { maxLength: 2 }),
  pieces: fc.array(fc.record({ from: fc.nat(4), length: fc.integer({ min: 1, max: 5 }), depth: fc.nat(6) }), {
    minLength: 1,
    maxLength: 4,
  }),
  text: fc.constantFrom('ETH', 'a\\b', 'tab\tnew\nline', '\\N', '"quoted"', '🦄', 'percent % brace {}'),
})

/** What happens in a place; `run` makes its hashes differ from those of other histories. */
async function play({ database, store }: Place, history: History, run: number, mayCopy: boolean): Promise<void> {
  const { sql } = database
  const blocks = history.blocks.map((transfers, number) =>
    buildBlock(
      number,
      transfers.map((each, index) => ({ name: `${run} ${number} ${index}`, ...each })),
      { branch: `${run}`, parent: hashOf(`${run}:${number - 1}`) },
    ),
  )
  const transactions = blocks.flatMap(block => block.transactions)
  const hashAt = (index: number) => transactions[index % Math.max(transactions.length, 1)]?.hash
  for (const row of history.application) {
    const hash = hashAt(row.transfer)
    if (hash === undefined) continue
    const spelled = row.spelling === 'lower' ? hash : `0x${hash.slice(2).toUpperCase()}`
    const id = `${hash.slice(2, 10)}-0000-4000-8000-${row.spelling === 'lower' ? '1' : '2'}${hash.slice(10, 21)}`
    await sql`
      insert into user_transactions (id, user_id, tx_hash, event_type, status, "timestamp")
      values (${id}, ${row.user === null ? null : (USERS[row.user]?.[1] ?? null)}, ${spelled}, 'LDAO_STAKED', ${row.status},
        '2026-01-01')
      on conflict (tx_hash) do nothing`
    if (row.isEnrolled) await store.enrollApplicationRows('all')
  }
  for (const { transfer: index, chain: which } of history.elsewhere) {
    const other = OTHERS[which]
    const found = blocks.find(block => block.transactions.some(({ hash }) => hash === hashAt(index)))
    if (other !== undefined && found !== undefined)
      await commitBackfill(store.sql, await planBackfill(store, other, [found]), false)
  }
  for (const { from, length, depth } of history.pieces) {
    const taken = blocks.slice(from, from + length)
    if (taken.length === 0) continue
    const piece = withText(await planBackfill(store, chain, taken), history.text)
    const { activities } = await commitBackfill(store.sql, { ...piece, settledHeight: depth - 1 }, mayCopy)
    expect(activities).toBeLessThanOrEqual(piece.activities.length)
  }
}

/** Text of strangers in all columns that may hold it. */
function withText(piece: BackfillCommit, text: string): BackfillCommit {
  const change = (row: ActivityRow): ActivityRow => ({
    ...row,
    token: text,
    metadata: { ...row.metadata, [text]: [text] },
  })
  return {
    ...piece,
    activities: piece.activities.map(change),
    transactions: piece.transactions.map(fact => ({
      ...fact,
      summaries: fact.summaries.map(summary => ({ ...summary, token: text, eventType: text })),
    })),
  }
}

test('random pieces leave the same rows by both ways', async () => {
  const [fast, careful] = await Promise.all([open(), open()])
  try {
    const [waysOfFast, waysOfCareful] = await Promise.all([watchWays(fast), watchWays(careful)])
    const ways = { copy: 0, insert: 0 }
    let run = 0
    await fc.assert(
      fc.asyncProperty(histories, async each => {
        run += 1
        await Promise.all([play(fast, each, run, true), play(careful, each, run, false)])
        expect(await readRows(fast)).toEqual(await readRows(careful))
        for (const way of await waysOfFast()) ways[way as 'copy' | 'insert'] += 1
        expect(await waysOfCareful()).not.toContain('copy')
      }),
      { ...atLeast(60), endOnFailure: true },
    )
    // Both were taken, many times.
    expect(ways.copy).toBeGreaterThan(20)
    expect(ways.insert).toBeGreaterThan(20)
  } finally {
    await Promise.all([close(fast), close(careful)])
  }
}, 120_000)

// ── What happens at the same moment ──────────────────────────────────────────────────────────────────────────────────────

describe('somebody else at the same moment', () => {
  let place: Place
  let ways: () => Promise<string[]>
  const blocks = [0, 1, 2].map(number =>
    buildBlock(number, [{ name: `${number} a` }, { name: `${number} b`, from: BOB, to: ALICE }]),
  )

  beforeEach(async () => {
    place = await open()
    ways = await watchWays(place)
  })
  afterEach(() => close(place))

  test.each(['kept', 'taken back'])('a row of the application for one of them, that is then %s', async outcome => {
    const { database, store } = place
    const piece = await planBackfill(store, chain, blocks)
    let committed: Promise<unknown> = Promise.resolve()
    await database.sql
      .begin(async application => {
        await application`
          insert into user_transactions (tx_hash, event_type, user_id) values (${hashOf('1 b')}, 'LDAO_STAKED', ${USERS[0]?.[1] ?? null})`
        committed = store.commitBackfill(piece)
        await untilBlocked(database.sql, committed)
        if (outcome !== 'kept') throw new Error('taken back')
      })
      .catch(() => undefined)
    await committed
    // A statement's note goes with its transaction.
    expect(await ways()).toEqual([outcome === 'kept' ? 'insert' : 'copy'])
    const rows = await database.sql<{ event_type: string; count: number }[]>`
      select event_type, count(*)::int as count from user_transactions group by 1 order by 1`
    expect([...rows]).toEqual(
      outcome === 'kept'
        ? [
            { event_type: 'LDAO_STAKED', count: 1 },
            { event_type: 'TRANSFER', count: 5 },
          ]
        : [{ event_type: 'TRANSFER', count: 6 }],
    )
    const [counts] = await database.sql`
      select (select count(*)::int from wallet_activity) as activities, (select count(*)::int from indexer.transitions) as transitions`
    expect(counts).toEqual({ activities: 12, transitions: 12 })
  })

  test('the sweep that takes note of a row for one of them', async () => {
    const { database, store } = place
    const piece = await planBackfill(store, chain, blocks)
    const hash = hashOf('2 a')
    let committed: Promise<unknown> = Promise.resolve()
    await database.sql.begin(async sweep => {
      await sweep`insert into indexer.transactions (tx_hash, status) values (${hash}, 'pending')`
      committed = store.commitBackfill(piece)
      await untilBlocked(database.sql, committed)
    })
    await committed
    expect(await ways()).toEqual(['insert'])
    const [found] = await database.sql`select status, chain_id from indexer.transactions where tx_hash = ${hash}`
    expect(found).toEqual({ status: 'confirmed', chain_id: chain.id })
  })

  test('two of the same piece, and one on another chain', async () => {
    const { database, store } = place
    const other = createStore(database.url)
    const piece = await planBackfill(store, chain, blocks)
    const elsewhere = await planBackfill(store, OTHERS[0] ?? chain, blocks)
    try {
      await Promise.all([store.commitBackfill(piece), other.commitBackfill(piece), other.commitBackfill(elsewhere)])
    } finally {
      await other.close()
    }
    const [counts] = await database.sql`
      select (select count(*)::int from wallet_activity) as activities, (select count(*)::int from user_transactions) as rows,
        (select count(*)::int from indexer.inclusions) as inclusions, (select count(*)::int from indexer.transactions) as ledger`
    expect(counts).toEqual({ activities: 24, rows: 6, inclusions: 12, ledger: 6 })
  })

  test('a user who is deleted while the piece is written makes it be matched again', async () => {
    const { database, store } = place
    const piece = await planBackfill(store, chain, blocks)
    await database.sql`delete from users where wallet_address = ${BOB}`
    expect(await codeOf(store.commitBackfill(piece))).toBe('REGISTRY_STALE')
    expect(await ways()).toEqual([])
  })
})

test('a transaction that a lower chain has too belongs to that one, also if it got no row when it was seen there', async () => {
  const place = await open()
  try {
    const { database, store } = place
    const blocks = [buildBlock(0, [{ name: 'on both', from: CAROL, to: STRANGER }])]
    await store.commitBackfill(await planBackfill(store, OTHERS[0] ?? chain, blocks))
    expect(await database.sql`select 1 from indexer.transactions`).toHaveLength(0)
    // She was only watched, and is a user now.
    await addUser(database.sql, CAROL)
    await store.commitBackfill(await planBackfill(store, chain, blocks))
    expect(await database.sql`select 1 from indexer.inclusions`).toHaveLength(2)
    expect(await database.sql`select chain from user_transactions`).toHaveLength(0)
  } finally {
    await close(place)
  }
})

describe('where COPY is no way', () => {
  let place: Place
  beforeEach(async () => {
    place = await open()
  })
  afterEach(() => close(place))

  test('because rows are guarded by a policy: the piece is written all the same', async () => {
    const { database } = place
    const role = `role_${database.name}`
    await database.sql.unsafe(`
      create role ${role} login password 'a test';
      grant all on all tables in schema public, indexer to ${role};
      grant usage on schema public, indexer to ${role};
      grant all on all sequences in schema indexer to ${role};
      alter table wallet_activity enable row level security;
      create policy everything on wallet_activity to ${role} using (true) with check (true)`)
    const url = new URL(database.url)
    url.username = role
    url.password = 'a test'
    const store = createStore(url.href)
    try {
      const piece = await planBackfill(place.store, chain, [buildBlock(0, [{ name: 'one' }])])
      expect(await store.commitBackfill(piece)).toEqual({ activities: 2, settled: 0 })
      expect(await database.sql`select 1 from user_transactions`).toHaveLength(1)
    } finally {
      await store.close()
      await database.sql.unsafe(`drop owned by ${role}; drop role ${role}`)
    }
  })

  test('because a value is refused: the careful way says so, and nothing is written', async () => {
    const { database, store } = place
    const piece = await planBackfill(store, chain, [buildBlock(0, [{ name: 'one' }])])
    const spoilt = { ...piece, activities: piece.activities.map(row => ({ ...row, token: 'US\0DC' })) }
    expect(await codeOf(store.commitBackfill(spoilt))).toBe('DB_REJECTED')
    expect(await database.sql`select 1 from indexer.inclusions`).toHaveLength(0)
  })

  test('because a block is of a year with five digits', async () => {
    const { database, store } = place
    const timestamp = 253_402_300_800
    const piece = await planBackfill(store, chain, [buildBlock(0, [{ name: 'one' }], { timestamp })])
    await store.commitBackfill(piece)
    const [row] = await database.sql`select extract(epoch from "timestamp")::float8 as at from wallet_activity limit 1`
    expect(row).toEqual({ at: timestamp })
  })
})
