/**
 * COPY through the driver: whatever happens to it, it ends, and its connection serves whoever comes next.
 */

import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { connect, inTransaction, read, type Sql } from '../../src/store/connection.ts'
import { copyLine, copyRows } from '../../src/store/copy.ts'
import { fc } from '../core/support/property.ts'
import { createDatabase, type TestDatabase } from '../support/database.ts'
import { openForwarder } from '../support/forwarder.ts'
import { codeOf, untilBlocked } from '../support/rows.ts'

type Row = { readonly id: number; readonly text: string | null }

let database: TestDatabase
let sql: Sql

beforeEach(async () => {
  database = await createDatabase({ migrated: false })
  await database.sql`create table things (id int primary key, text text)`
  // One connection: what a copy leaves behind, the next statement meets.
  sql = connect(database.url, { maxConnections: 1 })
})

afterEach(async () => {
  await sql.end({ timeout: 1 })
  await database.drop()
})

const lineOf = ({ id, text }: Row) => copyLine(id, text)

function copy(rows: readonly Row[], pool = sql): Promise<void> {
  return inTransaction(pool, tx => copyRows(tx, 'things (id, text)', rows, lineOf))
}

/** So many rows that they are sent in several messages. */
function manyRows(first: number, count = 2_000): Row[] {
  return Array.from({ length: count }, (_, index) => ({ id: first + index, text: 'x'.repeat(1_000) }))
}

async function expectUsable(): Promise<void> {
  await copy([{ id: -1, text: 'one' }])
  await copy(manyRows(100_000))
  expect(await read(sql`select text from things where id = -1`)).toMatchObject([{ text: 'one' }])
}

async function idsOf(): Promise<number[]> {
  const rows = await database.sql<{ id: number }[]>`select id from things order by id`
  return rows.map(({ id }) => id)
}

test('text arrives as it was, whatever is in it', async () => {
  const awkward = fc.constantFrom('\\', '\n', '\r', '\t', '\\N', '\\.', '"', "'", ',', '', ' ', 'null', '🦄', '\u0001')
  const text = fc.oneof(
    fc.string({ unit: 'grapheme' }),
    fc.array(awkward).map(parts => parts.join('')),
    fc.constant(null),
  )
  await fc.assert(
    fc.asyncProperty(fc.array(text, { maxLength: 40 }), async texts => {
      const rows = texts.map((each, id) => ({ id, text: each }))
      await copy(rows)
      expect(
        [...(await database.sql`delete from things returning id, text`)].toSorted((a, b) => a['id'] - b['id']),
      ).toEqual(rows)
    }),
    { numRuns: 60 },
  )
})

test('numbers, large ones too, booleans and nothing are written as Postgres reads them', async () => {
  await database.sql`create table kinds (a int, b numeric(78, 0), c boolean, d boolean, e jsonb, f timestamp, g uuid)`
  await inTransaction(sql, tx =>
    copyRows(tx, 'kinds', [2n ** 256n - 1n], amount =>
      copyLine(-7, amount, true, false, JSON.stringify({ 'a\\"b': '\n' }), '2025-11-02T05:30:00.000Z', null),
    ),
  )
  const [row] = await database.sql`select a, b::text, c, d, e, f::text, g from kinds`
  expect(row).toEqual({
    a: -7,
    b: (2n ** 256n - 1n).toString(),
    c: true,
    d: false,
    e: { 'a\\"b': '\n' },
    f: '2025-11-02 05:30:00',
    g: null,
  })
})

test('one copy after the other in one transaction, small and large: none ends the next', async () => {
  await inTransaction(sql, async tx => {
    for (let turn = 0; turn < 40; turn += 1) {
      await copyRows(tx, 'things (id, text)', [{ id: turn * 10_000, text: 'small' }], lineOf)
      if (turn % 10 === 0) await copyRows(tx, 'things (id, text)', manyRows(turn * 10_000 + 1), lineOf)
      if (turn % 7 === 0) expect(await tx`select 1 as one`).toMatchObject([{ one: 1 }])
    }
  })
  expect(await idsOf()).toHaveLength(40 + 4 * 2_000)
})

describe('a copy that is refused', () => {
  test.each([
    ['after the last byte', [{ id: 5, text: 'again' }]],
    ['after the last of several messages', [...manyRows(10), { id: 5, text: 'again' }]],
    ['while most is still to be sent', [{ id: 5, text: 'again' }, ...manyRows(10, 40_000)]],
  ])('because a key is there: %s', async (_when, rows) => {
    await copy([{ id: 5, text: 'first' }])
    expect(await codeOf(copy(rows))).toBe('DB_CONFLICT')
    expect(await idsOf()).toEqual([5])
    await expectUsable()
  })

  test.each([
    ['a value that the column does not take', 'things (id, text)', 'DB_REJECTED', () => 'many\tx\n'],
    ['a NUL', 'things (id, text)', 'DB_REJECTED', () => copyLine(7, 'US\0DC')],
    ['too few values', 'things (id, text)', 'DB_REJECTED', () => '7\n'],
    ['a table that is not there', 'absent (id)', 'DB_SCHEMA', () => '7\n'],
    ['a column that is not there', 'things (absent)', 'DB_SCHEMA', () => '7\n'],
  ])('%s', async (_what, target, code, line) => {
    expect(await codeOf(inTransaction(sql, tx => copyRows(tx, target, [1], line)))).toBe(code)
    expect(await idsOf()).toEqual([])
    await expectUsable()
  })

  test('by the program itself, between two messages: nothing is written, and what comes next is', async () => {
    const work = inTransaction(sql, tx =>
      copyRows(tx, 'things (id, text)', manyRows(1), row => {
        if (row.id === 1_900) throw new RangeError('a test')
        return lineOf(row)
      }),
    )
    expect(await codeOf(work)).toBe('DB_REJECTED')
    expect(await idsOf()).toEqual([])
    await expectUsable()
  })
})

/** Holds a key until the copy waits for it, does something to the copy's session, and lets go. */
async function whileItWaits(rows: readonly Row[], pool: Sql, deed: (pid: number) => Promise<void>): Promise<string> {
  let pid = 0
  let code: Promise<string> = Promise.resolve('')
  await database.sql.begin(async other => {
    await other`insert into things values (5, 'held')`
    code = codeOf(
      inTransaction(pool, async tx => {
        const [own] = await tx<{ pid: number }[]>`select pg_backend_pid() as pid`
        pid = own?.pid ?? 0
        await copyRows(tx, 'things (id, text)', rows, lineOf)
      }),
    )
    await untilBlocked(database.sql, code)
    await deed(pid)
    expect(await code).toBe('DB_UNAVAILABLE')
  })
  return code
}
async function terminate(pid: number): Promise<void> {
  await database.sql`select pg_terminate_backend(${pid}, 10000)`
}

describe('a copy whose connection is lost', () => {
  test.each([
    ['after the last byte', [{ id: 5, text: 'waits' }]],
    ['while the server takes no more', [{ id: 5, text: 'waits' }, ...manyRows(10, 40_000)]],
  ])('because its session is ended: %s', async (_when, rows) => {
    await whileItWaits(rows, sql, terminate)
    expect(await idsOf()).toEqual([5])
    // The driver tells the next session's first statement of the end of the last one, as after any statement.
    await codeOf(read(sql`select 1`))
    await expectUsable()
  })

  test('because the way to the server is cut', async () => {
    const forwarder = await openForwarder(Number(new URL(database.url).port))
    const url = new URL(database.url)
    url.port = String(forwarder.port)
    const other = connect(url.href, { maxConnections: 1 })
    try {
      await whileItWaits([{ id: 5, text: 'waits' }, ...manyRows(10, 40_000)], other, async () => forwarder.hangUp())
      expect(await idsOf()).toEqual([5])
    } finally {
      await other.end({ timeout: 0 })
      await forwarder.close()
    }
  })

  test('because the server vanished without a word', async () => {
    const forwarder = await openForwarder(Number(new URL(database.url).port))
    const url = new URL(database.url)
    url.port = String(forwarder.port)
    const other = connect(url.href, { maxConnections: 1, maxSilenceMs: 1_000 })
    try {
      await whileItWaits([{ id: 5, text: 'waits' }, ...manyRows(10, 40_000)], other, async () => forwarder.lose())
    } finally {
      await other.end({ timeout: 0 })
      await forwarder.close()
    }
  })

  test('before it began', async () => {
    const work = inTransaction(sql, async tx => {
      const [own] = await tx<{ pid: number }[]>`select pg_backend_pid() as pid`
      await terminate(own?.pid ?? 0)
      await copyRows(tx, 'things (id, text)', [{ id: 1, text: 'x' }], lineOf)
    })
    expect(await codeOf(work)).toBe('DB_UNAVAILABLE')
    expect(await idsOf()).toEqual([])
    await expectUsable()
  })
})
