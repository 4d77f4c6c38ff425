/**
 * The connection to Postgres and the one way to write: a bounded transaction that is tried again where that helps.
 *
 * Always holds: every session is in UTC; nothing relies on session state, so that a pooler in transaction mode may stand between
 * (no prepared statements, no session locks, settings are local to a transaction); every transaction has a limit on the server for
 * its statements and its idleness and one here for the whole, so that neither side can hang on the other; errors leave as AppError.
 */

import postgres from 'postgres'
import { backoffMs } from '../core/backoff.ts'
import { AppError } from '../errors.ts'
import { randomFloat } from '../runtime/random.ts'
import { sleep } from '../runtime/sleep.ts'

const MAX_CONNECTIONS = 8
const CONNECT_TIMEOUT_SECONDS = 10
const IDLE_TIMEOUT_SECONDS = 60
const STATEMENT_TIMEOUT_MS = 60_000
const IDLE_IN_TRANSACTION_TIMEOUT_MS = 10_000
const TRANSACTION_DEADLINE_MS = 120_000
const MAX_TRIES = 6
const RETRY = { baseMs: 20, maxMs: 500 }

export type Sql = postgres.Sql
/** A query runner within a transaction. */
export type Tx = postgres.TransactionSql

export function connect(url: string, options: { readonly maxConnections?: number } = {}): Sql {
  return postgres(url, {
    max: options.maxConnections ?? MAX_CONNECTIONS,
    prepare: false,
    connect_timeout: CONNECT_TIMEOUT_SECONDS,
    idle_timeout: IDLE_TIMEOUT_SECONDS,
    connection: { TimeZone: 'UTC', application_name: 'linkdao-indexer' },
    onnotice: () => undefined,
  })
}

/**
 * Runs `work` in one transaction. After a deadlock, a serialization failure or a concurrent insert of the same key the whole is
 * run again, so `work` must not change anything but the database.
 *
 * @throws AppError: DB_UNAVAILABLE, DB_CONFLICT (every try lost), DB_SCHEMA, DB_REJECTED, REGISTRY_STALE, or what `work` throws
 */
export async function inTransaction<T>(sql: Sql, work: (tx: Tx) => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await withDeadline(
        sql.begin(async tx => {
          await tx`select set_config('statement_timeout', ${String(STATEMENT_TIMEOUT_MS)}, true),
            set_config('idle_in_transaction_session_timeout', ${String(IDLE_IN_TRANSACTION_TIMEOUT_MS)}, true)`
          return { value: await work(tx) }
        }),
      ).then(({ value }) => value)
    } catch (error) {
      const wrapped = wrapStoreError(error)
      if (wrapped.code !== 'DB_CONFLICT' || attempt >= MAX_TRIES) throw wrapped
      await sleep(backoffMs(attempt - 1, RETRY, randomFloat()))
    }
  }
}

/** Runs one read; its errors leave as AppError. */
export async function read<T>(query: PromiseLike<T>): Promise<T> {
  try {
    return await withDeadline(query)
  } catch (error) {
    throw wrapStoreError(error)
  }
}

async function withDeadline<T>(work: PromiseLike<T>): Promise<T> {
  const done = new AbortController()
  const deadline = sleep(TRANSACTION_DEADLINE_MS, done.signal).then(() => {
    if (done.signal.aborted) return undefined as never
    throw new AppError('DB_UNAVAILABLE', `Postgres did not answer within ${TRANSACTION_DEADLINE_MS / 1000} s.`, {
      hint: 'The daemon reads its checkpoint again and goes on; look at the load and the locks of the server.',
    })
  })
  try {
    return await Promise.race([work, deadline])
  } finally {
    done.abort()
  }
}

const UNAVAILABLE_CODES = new Set([
  // A standby; our own limits on a transaction's idleness and length, and on a statement's time (a lock that is held for long).
  '25006',
  '25P03',
  '25P04',
  '57014',
  'CONNECTION_CLOSED',
  'CONNECTION_ENDED',
  'CONNECTION_DESTROYED',
  'CONNECT_TIMEOUT',
])
const CONFLICT_CODES = new Set(['40001', '40P01', '23505', '55P03'])
const SCHEMA_CODES = new Set(['42P01', '42703', '42883', '3F000'])

/** Brings whatever postgres.js throws into the catalogue. Never repeats parameters or the connection string. */
export function wrapStoreError(error: unknown): AppError {
  if (error instanceof AppError) return error
  const { code, message, table, column, constraint } = pick(error)
  const facts = { sqlstate: code === '' ? undefined : code, table, column, constraint }
  if (CONFLICT_CODES.has(code)) return new AppError('DB_CONFLICT', `Postgres: ${message}.`, { facts, cause: error })
  if (code === '23503') {
    return new AppError('REGISTRY_STALE', 'A user was deleted while a row of theirs was written.', {
      facts,
      cause: error,
    })
  }
  if (SCHEMA_CODES.has(code)) {
    return new AppError('DB_SCHEMA', `The database lacks something that the daemon needs: ${message}.`, {
      facts,
      hint: 'Run `migrate`; it also restores columns that another tool dropped.',
      cause: error,
    })
  }
  if (UNAVAILABLE_CODES.has(code) || /^(?:08|53|57P|58|E[A-Z])/.test(code)) {
    return new AppError('DB_UNAVAILABLE', `Postgres can't be used right now: ${message}.`, {
      facts,
      hint: 'The daemon waits and goes on by itself.',
      cause: error,
    })
  }
  if (code.startsWith('28') || code === '3D000') {
    return new AppError('DB_REJECTED', `Postgres lets nobody in: ${message}.`, {
      facts,
      hint: 'Check user, password and database in DATABASE_URL.',
      cause: error,
    })
  }
  return new AppError('DB_REJECTED', `Postgres refused a statement: ${message}.`, { facts, cause: error })
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}

function pick(error: unknown) {
  if (typeof error !== 'object' || error === null) return { code: '', message: String(error) }
  const { code, message, table_name, column_name, constraint_name } = error as Record<string, unknown>
  return {
    code: text(code) ?? '',
    message: (text(message) ?? 'unknown error').replace(/postgres(?:ql)?:\/\/\S+/gi, '<database>'),
    table: text(table_name),
    column: text(column_name),
    constraint: text(constraint_name),
  }
}
