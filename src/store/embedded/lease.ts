/**
 * Who uses the server: every process that does holds a lease, which is a session with a shared advisory lock.
 *
 * A lease proves two things. That the server is ours: it answers with our password (SCRAM: it had to prove that it knows it, too)
 * and names our directory. And that somebody is there: the lock ends with the process, however that ends. The one who leaves asks
 * for the same lock exclusively, and gets it only if nobody else is there; while it is held nobody new comes in, so a server is
 * never stopped under somebody who has just found it.
 */
import { realpath } from 'node:fs/promises'
import postgres from 'postgres'
import { AppError } from '../../errors.ts'
import { SUPERUSER } from './cluster.ts'

/** Any number will do: nothing else of ours takes locks in the database `postgres`. */
const LEASE_KEY = 7_105_105
const CONNECT_TIMEOUT_S = 10
const DATABASE = 'linkdao'

export type Lease = {
  /** True when nobody else holds a lease; then nobody new gets one until `close`. Throws when the session is lost. */
  leave(): Promise<boolean>
  close(): Promise<void>
}

export function buildUrl(port: number, password: string): string {
  return `postgres://${SUPERUSER}:${password}@127.0.0.1:${port}/${DATABASE}`
}

/**
 * Takes a lease and makes the database. Undefined: not now, because it does not answer yet or is being stopped. Throws
 * EMBEDDED_UNAVAILABLE when the server at this port is not the one of `data`.
 */
export async function takeLease(port: number, password: string, data: string): Promise<Lease | undefined> {
  const sql = postgres({
    host: '127.0.0.1',
    port,
    database: 'postgres',
    username: SUPERUSER,
    password,
    ssl: false,
    max: 1,
    fetch_types: false,
    connect_timeout: CONNECT_TIMEOUT_S,
    idle_timeout: 0,
    // A session that is renewed would lose its lock.
    max_lifetime: null,
    onnotice: () => undefined,
    connection: { application_name: 'linkdao embedded lease' },
  })
  try {
    const rows = await sql<{ directory: string; held: boolean }[]>`
      select current_setting('data_directory') as directory, pg_try_advisory_lock_shared(${LEASE_KEY}) as held`
    const row = rows[0]
    if (row === undefined || (await realpath(row.directory).catch(() => row.directory)) !== data) {
      throw notOurs(port, data, 'it has another data directory')
    }
    if (row.held) {
      await ensureDatabase(sql)
      return { leave: () => leave(sql), close: () => sql.end({ timeout: 1 }) }
    }
  } catch (cause) {
    await sql.end({ timeout: 1 })
    if (cause instanceof AppError) throw cause
    if (readCode(cause) === '28P01') throw notOurs(port, data, 'it refuses our password')
    return undefined
  }
  await sql.end({ timeout: 1 })
  return undefined
}

async function leave(sql: postgres.Sql): Promise<boolean> {
  const [released] = await sql<{ held: boolean }[]>`select pg_advisory_unlock_shared(${LEASE_KEY}) as held`
  if (released?.held !== true) throw new AppError('DB_UNAVAILABLE', 'The session with the local Postgres was lost.')
  const [row] = await sql<{ alone: boolean }[]>`select pg_try_advisory_lock(${LEASE_KEY}) as alone`
  return row?.alone === true
}

async function ensureDatabase(sql: postgres.Sql): Promise<void> {
  const found = await sql`select 1 from pg_database where datname = ${DATABASE}`
  if (found.length > 0) return
  try {
    // Nobody can be connected to template0, which is what a template must not have.
    await sql`create database ${sql(DATABASE)} template template0`
  } catch (cause) {
    // Another process made it in between: seen by name, or by the index while both were at it.
    if (readCode(cause) !== '42P04' && readCode(cause) !== '23505') throw cause
  }
}

function readCode(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined
}

function notOurs(port: number, data: string, problem: string): AppError {
  return new AppError('EMBEDDED_UNAVAILABLE', 'The Postgres that answers is not the one of the local data directory.', {
    facts: { port, directory: data, problem },
    hint: 'Stop that server, or set DATABASE_URL.',
  })
}
