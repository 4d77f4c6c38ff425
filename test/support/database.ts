/**
 * A database of its own for every test file, cloned in a fraction of the time that migrating takes.
 *
 * Always holds: a clone starts as its template is, and nobody else knows its name. Postgres refuses to clone a template while
 * somebody is connected to it, and workers are separate processes: building and cloning are serialised by an advisory lock on the
 * database `postgres`. A template that was not finished (its builder was killed) is not marked as one, and is built again.
 */
import { randomBytes } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import postgres from 'postgres'
import { inject } from 'vitest'
import { migrate } from '../../src/store/migrate.ts'

export type TestDatabase = {
  readonly url: string
  readonly name: string
  /** A small pool whose sessions have time zone UTC. */
  readonly sql: postgres.Sql
  /** Ends the pool and removes the database, with whoever is still connected to it. */
  drop(): Promise<void>
}

const MIGRATED_TEMPLATE = 'template_migrated'
/** Nobody can connect to it, so it can always be cloned. */
const EMPTY_TEMPLATE = 'template0'
const TEMPLATE_LOCK = 2_000_001
const MAX_CONNECTIONS = 5
const SQL_DIRECTORY = fileURLToPath(new URL('../../sql', import.meta.url))

/** Makes a database: with the schema of `sql/`, or empty where `migrated` is false. */
export async function createDatabase(options: { readonly migrated?: boolean } = {}): Promise<TestDatabase> {
  const name = `test_${randomBytes(6).toString('hex')}`
  const admin = connect('postgres', 1)
  try {
    await underLock(admin, async () => {
      const template = (options.migrated ?? true) ? await ensureMigrated(admin) : EMPTY_TEMPLATE
      await admin`create database ${admin(name)} template ${admin(template)}`
    })
  } finally {
    await admin.end()
  }
  const sql = connect(name, MAX_CONNECTIONS)
  return { url: buildUrl(name), name, sql, drop: () => drop(name, sql) }
}

/** One connection only: the lock belongs to the session. */
async function underLock(admin: postgres.Sql, work: () => Promise<void>): Promise<void> {
  await admin`select pg_advisory_lock(${TEMPLATE_LOCK})`
  try {
    await work()
  } finally {
    await admin`select pg_advisory_unlock(${TEMPLATE_LOCK})`
  }
}

async function ensureMigrated(admin: postgres.Sql): Promise<string> {
  const [found] = await admin<{ finished: boolean }[]>`
    select datistemplate as finished from pg_database where datname = ${MIGRATED_TEMPLATE}`
  if (found?.finished) return MIGRATED_TEMPLATE
  if (found !== undefined) await admin`drop database ${admin(MIGRATED_TEMPLATE)} with (force)`
  await admin`create database ${admin(MIGRATED_TEMPLATE)} template ${admin(EMPTY_TEMPLATE)}`
  await migrate({ url: buildUrl(MIGRATED_TEMPLATE), directory: SQL_DIRECTORY, log: () => undefined })
  await admin`alter database ${admin(MIGRATED_TEMPLATE)} with is_template true`
  return MIGRATED_TEMPLATE
}

async function drop(name: string, sql: postgres.Sql): Promise<void> {
  await sql.end({ timeout: 1 })
  const admin = connect('postgres', 1)
  try {
    await admin`drop database if exists ${admin(name)} with (force)`
  } finally {
    await admin.end()
  }
}

function connect(database: string, max: number): postgres.Sql {
  return postgres(buildUrl(database), { max, onnotice: () => undefined, connection: { TimeZone: 'UTC' } })
}

function buildUrl(database: string): string {
  const url = new URL(inject('postgresUrl'))
  url.pathname = `/${database}`
  return url.href
}
