/**
 * The edge to Postgres when it is not well: every refusal becomes a code that says what to do, nothing secret is repeated, and what
 * may pass by itself passes.
 */

import { once } from 'node:events'
import { type AddressInfo, createConnection, createServer } from 'node:net'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { AppError, describeError } from '../../src/errors.ts'
import { connect, inTransaction, read, type Sql } from '../../src/store/connection.ts'
import { createStore } from '../../src/store/store.ts'
import { createDatabase, type TestDatabase } from '../support/database.ts'
import { openForwarder } from '../support/forwarder.ts'
import { codeOf, untilBlocked } from '../support/rows.ts'

let database: TestDatabase
let sql: Sql

beforeEach(async () => {
  database = await createDatabase({ migrated: false })
  await database.sql`create table things (id int primary key, value int not null default 0 check (value < 100))`
  await database.sql`insert into things values (1), (2)`
  sql = connect(database.url)
})

afterEach(async () => {
  await sql.end({ timeout: 1 })
  await database.drop()
})

async function refusalOf(work: Promise<unknown>): Promise<AppError> {
  const error = await work.then(
    () => new Error('it was not refused'),
    (refusal: unknown) => refusal,
  )
  if (!(error instanceof AppError)) throw error
  return error
}

/** Opens a pool by another URL, and ends it whatever happens. */
async function withPool<T>(change: (url: URL) => void, work: (other: Sql) => Promise<T>): Promise<T> {
  const url = new URL(database.url)
  change(url)
  const other = connect(url.href)
  try {
    return await work(other)
  } finally {
    await other.end({ timeout: 0 })
  }
}

const raise = (state: string) => (tx: Sql | Parameters<Parameters<typeof inTransaction>[1]>[0]) =>
  tx.unsafe(`do $$ begin raise exception 'a test' using errcode = '${state}'; end $$`)

describe('what Postgres says becomes a code', () => {
  test.each([
    ['a table that is not there', 'select * from absent', 'DB_SCHEMA'],
    ['a column that is not there', 'select absent from things', 'DB_SCHEMA'],
    ['a function that is not there', 'select absent(1)', 'DB_SCHEMA'],
    ['a schema that is not there', 'create table absent.things ()', 'DB_SCHEMA'],
    ['a value that a check refuses', 'update things set value = 100', 'DB_REJECTED'],
    ['a null where none may be', 'update things set value = null', 'DB_REJECTED'],
    ['nonsense', 'selekt', 'DB_REJECTED'],
    ['a key that is there', 'insert into things values (1)', 'DB_CONFLICT'],
    ['a statement that takes too long', "set local statement_timeout = '20ms'; select pg_sleep(20)", 'DB_UNAVAILABLE'],
    ['a server that takes no writes', 'set transaction read only; delete from things', 'DB_UNAVAILABLE'],
  ])('%s', async (_what, statement, code) => {
    expect(await codeOf(inTransaction(sql, tx => tx.unsafe(statement)))).toBe(code)
    // The pool is well.
    expect(await inTransaction(sql, tx => tx`select 1 as one`)).toMatchObject([{ one: 1 }])
  })

  test.each([
    ['40001', 'DB_CONFLICT'],
    ['40P01', 'DB_CONFLICT'],
    ['55P03', 'DB_CONFLICT'],
    ['23503', 'REGISTRY_STALE'],
    ['53100', 'DB_UNAVAILABLE'],
    ['53300', 'DB_UNAVAILABLE'],
    ['57P01', 'DB_UNAVAILABLE'],
    ['57P03', 'DB_UNAVAILABLE'],
    ['57014', 'DB_UNAVAILABLE'],
    ['58030', 'DB_UNAVAILABLE'],
    ['08006', 'DB_UNAVAILABLE'],
    ['25006', 'DB_UNAVAILABLE'],
    ['25P03', 'DB_UNAVAILABLE'],
    ['42501', 'DB_REJECTED'],
    ['22001', 'DB_REJECTED'],
  ])('SQLSTATE %s is %s', async (state, code) => {
    const error = await refusalOf(read(raise(state)(sql)))
    expect([error.code, error.facts['sqlstate']]).toEqual([code, state])
    expect(error.cause).toBeDefined()
  })

  test('what the program itself throws leaves as it is, and nothing was written', async () => {
    const thrown = new AppError('LEASE_LOST', 'a test')
    const work = inTransaction(sql, async tx => {
      await tx`delete from things`
      throw thrown
    })
    await expect(work).rejects.toBe(thrown)
    expect(await sql`select id from things`).toHaveLength(2)
  })

  test('rows that are read in batches by a cursor are no exception', async () => {
    const store = createStore(database.url)
    try {
      expect(await codeOf(store.loadWallets(0).next())).toBe('DB_SCHEMA')
    } finally {
      await store.close()
    }
  })
})

describe('no way in', () => {
  const PASSWORD = 'correct-horse-battery-staple'

  test('nobody listens', async () => {
    // A port that was free a moment ago.
    const server = createServer()
    const port = await new Promise<number>(resolve => {
      server.listen(0, '127.0.0.1', () => {
        const address = server.address()
        resolve(typeof address === 'object' && address !== null ? address.port : 0)
      })
    })
    await new Promise(resolve => {
      server.close(resolve)
    })
    const error = await withPool(
      url => {
        url.port = String(port)
        url.password = PASSWORD
      },
      other => refusalOf(read(other`select 1`)),
    )
    expect(error).toMatchObject({ code: 'DB_UNAVAILABLE', retryable: true, exitCode: 75 })
    expect(describeError(error)).not.toContain(PASSWORD)
  })

  test('somebody takes connections and closes them: tried again with pauses, and through as soon as there is a way', async () => {
    let taken = 0
    const door = createServer(incoming => {
      taken += 1
      if (taken <= 8) {
        incoming.destroy()
        return
      }
      const { port, hostname } = new URL(database.url)
      incoming.pipe(createConnection(Number(port), hostname)).pipe(incoming)
    })
    door.listen(0, '127.0.0.1')
    await once(door, 'listening')
    const { port } = door.address() as AddressInfo
    const started = performance.now()
    const answer = await withPool(
      url => (url.port = String(port)),
      async other => read(other`select 1 as one`),
    )
    door.close()
    expect([...answer]).toEqual([{ one: 1 }])
    // Eight times half a second, of which the driver may save a few where several connections begin together.
    expect(performance.now() - started).toBeGreaterThan(1_000)
    expect(taken).toBeLessThan(20)
  })

  test('the password is wrong', async () => {
    const name = `role_${database.name}`
    await database.sql.unsafe(`create role ${name} login password 'another'`)
    try {
      const error = await withPool(
        url => {
          url.username = name
          url.password = PASSWORD
        },
        other => refusalOf(inTransaction(other, tx => tx`select 1`)),
      )
      expect(error).toMatchObject({ code: 'DB_REJECTED', retryable: false, facts: { sqlstate: '28P01' } })
      expect(describeError(error)).toContain('DATABASE_URL')
      expect(describeError(error)).not.toContain(PASSWORD)
    } finally {
      await database.sql.unsafe(`drop role ${name}`)
    }
  })

  test('there is no such database', async () => {
    const error = await withPool(
      url => {
        url.pathname = '/absent'
      },
      other => refusalOf(read(other`select 1`)),
    )
    expect(error).toMatchObject({ code: 'DB_REJECTED', facts: { sqlstate: '3D000' } })
    expect(describeError(error)).toContain('DATABASE_URL')
  })

  test('a URL within a message of others is taken out', async () => {
    const secret = `postgres://user:${PASSWORD}@host/db`
    const error = await refusalOf(read(Promise.reject(new Error(`could not connect to ${secret} at all`))))
    expect(describeError(error)).toBe('Postgres refused a statement: could not connect to <database> at all.')
  })
})

test('a server that vanished without a word is given up by its silence, and the next one is asked', async () => {
  const forwarder = await openForwarder(Number(new URL(database.url).port))
  const url = new URL(database.url)
  url.port = String(forwarder.port)
  const other = connect(url.href, { maxConnections: 1, maxSilenceMs: 1_000 })
  try {
    const [before] = await read(other<{ pid: number }[]>`select pg_backend_pid() as pid`)
    // One that is slow is not silent for longer than it may be.
    expect(await read(other`select pg_sleep(0.7)`)).toHaveLength(1)
    forwarder.lose()
    expect(await codeOf(inTransaction(other, tx => tx`select 1`))).toBe('DB_UNAVAILABLE')
    const [after] = await read(other<{ pid: number }[]>`select pg_backend_pid() as pid`)
    expect(after?.pid).not.toBe(before?.pid)
  } finally {
    await other.end({ timeout: 0 })
    await forwarder.close()
  }
})

describe('what passes by trying again', () => {
  test('two that wait for each other: one is tried again, both get through', async () => {
    let attempts = 0
    let arrived = 0
    const { promise: met, resolve: meet } = Promise.withResolvers<void>()
    const update = (first: number, second: number) =>
      inTransaction(sql, async tx => {
        attempts += 1
        await tx`update things set value = value + 1 where id = ${first}`
        arrived += 1
        if (arrived === 2) meet()
        await met
        await tx`update things set value = value + 1 where id = ${second}`
      })
    await Promise.all([update(1, 2), update(2, 1)])
    expect(attempts).toBe(3)
    expect(await sql`select value from things`).toMatchObject([{ value: 2 }, { value: 2 }])
  })

  test.each(['40001', '40P01', '23505', '55P03'])('%s is tried again, in a new transaction', async state => {
    const transactions = new Set<string>()
    const result = await inTransaction(sql, async tx => {
      const [row] = await tx<
        { id: string }[]
      >`update things set value = value + 1 where id = 1 returning pg_current_xact_id()::text as id`
      transactions.add(row?.id ?? '')
      if (transactions.size < 3) await raise(state)(tx)
      return 'done'
    })
    expect(result).toBe('done')
    expect(transactions.size).toBe(3)
    expect(await sql`select value from things where id = 1`).toMatchObject([{ value: 1 }])
  })

  test('what never passes is given up after a few times', async () => {
    let attempts = 0
    const work = inTransaction(sql, async tx => {
      attempts += 1
      await raise('40001')(tx)
    })
    expect(await codeOf(work)).toBe('DB_CONFLICT')
    expect(attempts).toBe(6)
  })

  test.each(['22001', '42P01', '57P03'])('%s is not tried again here', async state => {
    let attempts = 0
    await codeOf(
      inTransaction(sql, async tx => {
        attempts += 1
        await raise(state)(tx)
      }),
    )
    expect(attempts).toBe(1)
  })
})

async function terminate(pid: number): Promise<void> {
  await database.sql`select pg_terminate_backend(${pid}, 10000)`
}

describe('a connection that is ended from outside', () => {
  test('between two statements of a transaction: nothing is written, and the pool goes on', async () => {
    const work = inTransaction(sql, async tx => {
      const [row] = await tx<{ pid: number }[]>`update things set value = 9 returning pg_backend_pid() as pid`
      await terminate(row?.pid ?? 0)
      await tx`update things set value = 10`
    })
    expect(await codeOf(work)).toBe('DB_UNAVAILABLE')
    expect(await read(sql`select value from things`)).toMatchObject([{ value: 0 }, { value: 0 }])
    await inTransaction(sql, tx => tx`update things set value = 1`)
  })

  test('while a statement waits', async () => {
    let pid = 0
    let work: Promise<string> = Promise.resolve('')
    await database.sql.begin(async application => {
      await application`update things set value = 5`
      work = codeOf(
        inTransaction(sql, async tx => {
          const [row] = await tx<{ pid: number }[]>`select pg_backend_pid() as pid`
          pid = row?.pid ?? 0
          await tx`update things set value = 6`
        }),
      )
      await untilBlocked(database.sql, work)
      await terminate(pid)
      expect(await work).toBe('DB_UNAVAILABLE')
    })
    expect(await read(sql`select value from things`)).toMatchObject([{ value: 5 }, { value: 5 }])
  })

  test('because it was idle within a transaction for too long', async () => {
    const work = inTransaction(sql, async tx => {
      await tx`set local idle_in_transaction_session_timeout = '10ms'`
      const [row] = await tx<{ pid: number }[]>`update things set value = 9 returning pg_backend_pid() as pid`
      while ((await database.sql`select 1 from pg_stat_activity where pid = ${row?.pid ?? 0}`).length > 0);
      await tx`update things set value = 10`
    })
    expect(await codeOf(work)).toBe('DB_UNAVAILABLE')
    expect(await read(sql`select value from things`)).toMatchObject([{ value: 0 }, { value: 0 }])
  })

  test('all of them at once', async () => {
    await Promise.all([1, 2, 3].map(() => read(sql`select pg_sleep(0.02)`)))
    await database.sql`
      select pg_terminate_backend(pid, 10000) from pg_stat_activity
      where datname = current_database() and pid <> pg_backend_pid() and application_name = 'linkdao-indexer'`
    expect(await read(sql`select 1 as one`)).toMatchObject([{ one: 1 }])
  })
})

test('every session is in UTC, nothing is prepared, and every transaction has its limits', async () => {
  await database.sql.unsafe(`alter database ${database.name} set timezone to 'Asia/Kolkata'`)
  const [row] = await inTransaction(
    sql,
    tx => tx`
      select current_setting('TimeZone') as zone, current_setting('statement_timeout') as statement,
        current_setting('idle_in_transaction_session_timeout') as idle,
        (select count(*)::int from pg_prepared_statements where statement not like '%pg_prepared_statements%') as prepared`,
  )
  expect(row).toEqual({ zone: 'UTC', statement: '1min', idle: '5s', prepared: 0 })
  // They end with the transaction: behind a pooler the session is somebody else's next.
  const [after] = await sql`select current_setting('statement_timeout') as statement`
  expect(after).toEqual({ statement: '0' })
})
