import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

import { afterEach, beforeEach, describe, expect, test } from 'vitest'

import { sleep } from '../../src/runtime/sleep.ts'
import { migrate } from '../../src/store/migrate.ts'
import { readSnapshot } from '../../src/store/snapshot.ts'
import { createDatabase, type TestDatabase } from '../support/database.ts'
import { migrateUp, optionsFor, SQL_DIRECTORY, upFiles } from '../support/migrations.ts'

const CHILD = fileURLToPath(new URL('../support/migrate-child.ts', import.meta.url))
const BUILD = '0012_index_activity_block.sql'

let database: TestDatabase
let children: ChildProcess[] = []

beforeEach(async () => {
  database = await createDatabase({ migrated: false })
})

afterEach(async () => {
  for (const child of children) child.kill('SIGKILL')
  children = []
  await database.drop()
})

function startChild(...args: string[]): ChildProcess {
  const child = spawn(process.execPath, [CHILD, database.url, SQL_DIRECTORY, ...args], { stdio: 'ignore' })
  children.push(child)
  return child
}

async function until(holds: () => Promise<boolean>): Promise<void> {
  for (let poll = 0; poll < 200; poll += 1) {
    if (await holds()) return
    await sleep(50)
  }
  throw new Error('It never came to that.')
}

/** The index builds that the server works on, by process id of the server. */
async function readBuilders(): Promise<number[]> {
  const rows = await database.sql<{ pid: number }[]>`
    select pid from pg_stat_progress_create_index where datname = current_database()
  `
  return rows.map(row => row.pid)
}

/** Holds a transaction open that has written to a table: an index build waits for it, and a change of the table cannot start. */
async function holdTable(table: string): Promise<{ letGo: () => Promise<void> }> {
  const held = Promise.withResolvers<undefined>()
  const release = Promise.withResolvers<undefined>()
  const transaction = database.sql.begin(async tx => {
    await tx.unsafe(`lock table ${table} in row exclusive mode`)
    held.resolve(undefined)
    await release.promise
  })
  await held.promise
  const letGo = async () => {
    release.resolve(undefined)
    await transaction
  }
  return { letGo }
}

/** As after a complete run in one piece. */
async function expectComplete(): Promise<void> {
  const complete = await createDatabase({ migrated: true })
  try {
    expect(await readSnapshot(database.sql)).toBe(await readSnapshot(complete.sql))
    const ledgers = await Promise.all(
      [database, complete].map(({ sql }) => sql`select number, name, created from indexer.migrations order by number`),
    )
    expect(ledgers[0]).toEqual(ledgers[1])
  } finally {
    await complete.drop()
  }
}

/** A killed migrator's lease would be waited for otherwise. */
async function expireLease(): Promise<void> {
  await database.sql`update indexer.leases set expires_at = now() - interval '1 s'`
}

describe('Migrators at the same time', () => {
  test('share the work: each file is applied once', async () => {
    const applied = await Promise.all([1, 2, 3, 4].map(async () => migrateUp(database.url)))
    expect(applied.flat().sort()).toEqual(await upFiles())
    await expectComplete()
  })

  test('wait for one that is at work by polling, so that its index build goes on', async () => {
    await migrateUp(database.url, { to: 11 })
    const table = await holdTable('wallet_activity')
    const first = migrateUp(database.url)
    await until(async () => (await readBuilders()).length === 1)
    const second = optionsFor(database.url)
    const waiting = migrate(second)
    await until(() => Promise.resolve(second.lines.length > 0))
    expect(second.lines[0]?.message).toBe('Another migrator is at work: waiting for it.')
    await table.letGo()
    expect(await first).toEqual((await upFiles()).slice(4))
    expect(await waiting).toEqual({ applied: [] })
  })
})

describe('A migrator that is killed', () => {
  test('between two files is taken over after its lease has expired', async () => {
    const child = startChild('0010_indexer_schema.sql')
    expect(await once(child, 'exit')).toEqual([null, 'SIGKILL'])
    expect(await migrateUp(database.url)).toEqual((await upFiles()).slice(3))
    await expectComplete()
  })

  test('in the middle of an index build: the build of the forgotten backend is waited for', async () => {
    await migrateUp(database.url, { to: 11 })
    const table = await holdTable('wallet_activity')
    const child = startChild()
    await until(async () => (await readBuilders()).length === 1)
    child.kill('SIGKILL')
    await once(child, 'exit')
    await expireLease()
    const options = optionsFor(database.url)
    const next = migrate(options)
    await until(() => Promise.resolve(options.lines.length > 0))
    expect(options.lines[0]).toMatchObject({
      message: 'An index is still being built: waiting for it.',
      facts: { file: BUILD },
    })
    await table.letGo()
    expect((await next).applied).toEqual((await upFiles()).slice(4))
    await expectComplete()
  })

  test('in the middle of an index build: an index that stayed invalid is built again', async () => {
    await migrateUp(database.url, { to: 11 })
    const table = await holdTable('wallet_activity')
    const child = startChild()
    await until(async () => (await readBuilders()).length === 1)
    child.kill('SIGKILL')
    await once(child, 'exit')
    await database.sql`select pg_terminate_backend(pid) from pg_stat_progress_create_index where datname = current_database()`
    await until(async () => (await readBuilders()).length === 0)
    await table.letGo()
    await expireLease()
    const [index] = await database.sql`
      select indisvalid as valid from pg_index where indexrelid = 'wallet_activity_indexer_block'::regclass
    `
    expect(index).toEqual({ valid: false })

    const options = optionsFor(database.url)
    await migrate(options)
    expect(options.lines[0]).toMatchObject({
      message: 'An index was left unfinished: it is built again.',
      facts: { file: BUILD },
    })
    await expectComplete()
  })
})

describe('A table that the application holds', () => {
  test('is not waited for in a lock: the file is tried again', async () => {
    await migrateUp(database.url, { to: 10 })
    const table = await holdTable('wallet_activity')
    const options = optionsFor(database.url)
    const migrating = migrate(options)
    await until(() => Promise.resolve(options.lines.length > 0))
    expect(options.lines[0]).toMatchObject({
      message: 'A migration did not get its locks: it is tried again.',
      facts: { file: '0011_application_columns.sql', attempt: 1 },
    })
    await table.letGo()
    expect((await migrating).applied).toEqual((await upFiles()).slice(3))
  })

  test('does not keep a migrator that is told to stop: the build is cancelled, and the next run begins it anew', async () => {
    await migrateUp(database.url, { to: 11 })
    const table = await holdTable('wallet_activity')
    const stop = new AbortController()
    const migrating = migrate(optionsFor(database.url, { signal: stop.signal })).catch((error: unknown) => error)
    await until(async () => (await readBuilders()).length === 1)
    stop.abort()
    expect(await migrating).toMatchObject({ code: 'ABORTED' })
    expect(await readBuilders()).toEqual([])
    await table.letGo()
    await migrateUp(database.url)
    await expectComplete()
  })
})
