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
import { systemClock } from '../runtime/clock.ts'
import { sleep } from '../runtime/sleep.ts'
import { arrayTypes } from './array-types.ts'
import { socketsOf } from './socket.ts'

const MAX_CONNECTIONS = 8
const CONNECT_TIMEOUT_SECONDS = 10
const IDLE_TIMEOUT_SECONDS = 60
const STATEMENT_TIMEOUT_MS = 60_000
/** Shorter than a lease: what a frozen process has locked must not keep its successor from writing. */
const IDLE_IN_TRANSACTION_TIMEOUT_MS = 5_000
/** The driver's own pause between tries to connect would grow to 20 s; whoever asks has a backoff already, and a probe none. */
const RECONNECT_PAUSE_SECONDS = 0.5
/** How our sessions are known in pg_stat_activity. */
export const APPLICATION_NAME = 'linkdao-indexer'
const LIMITS = `
  select set_config('statement_timeout', '${STATEMENT_TIMEOUT_MS}', true),
    set_config('idle_in_transaction_session_timeout', '${IDLE_IN_TRANSACTION_TIMEOUT_MS}', true)`
const TRANSACTION_DEADLINE_MS = 120_000
const MAX_TRIES = 6
const RETRY = { baseMs: 20, maxMs: 500 }

export type Sql = postgres.Sql
/** A query runner within a transaction. */
export type Tx = postgres.TransactionSql

export type ConnectOptions = {
  readonly maxConnections?: number
  /** A server that was asked something and says nothing for this long is given up; by then nobody waits for the answer. */
  readonly maxSilenceMs?: number
}

export function connect(url: string, options: ConnectOptions = {}): Sql {
  const socket = socketsOf(options.maxSilenceMs ?? TRANSACTION_DEADLINE_MS, systemClock)
  return postgres(url, {
    // Which of several hosts it is, only the driver knows.
    ...(/@[^/]*,/.test(url) ? {} : { socket }),
    max: options.maxConnections ?? MAX_CONNECTIONS,
    prepare: false,
    connect_timeout: CONNECT_TIMEOUT_SECONDS,
    idle_timeout: IDLE_TIMEOUT_SECONDS,
    backoff: () => RECONNECT_PAUSE_SECONDS,
    fetch_types: false,
    types: arrayTypes(),
    connection: { TimeZone: 'UTC', application_name: APPLICATION_NAME },
    onnotice: () => undefined,
  })
}

/**
 * Runs `work` in one transaction. After a deadlock, a serialization failure or a concurrent insert of the same key the whole is
 * run again, so `work` must not change anything but the database.
 *
 * @param mode of the transaction, as SQL has it after `begin`
 * @throws AppError: DB_UNAVAILABLE, DB_CONFLICT (every try lost), DB_SCHEMA, DB_REJECTED, REGISTRY_STALE, or what `work` throws
 */
export async function inTransaction<T>(sql: Sql, work: (tx: Tx) => Promise<T>, mode = ''): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await withDeadline(begin(sql, work, mode))
    } catch (error) {
      const wrapped = wrapStoreError(error)
      if (wrapped.code !== 'DB_CONFLICT' || attempt >= MAX_TRIES) throw wrapped
      await sleep(backoffMs(attempt - 1, RETRY, randomFloat()))
    }
  }
}

/**
 * Listens to a channel, on a connection of its own that is opened again when it breaks. Behind a pooler in transaction mode nothing
 * is ever heard: whoever listens must look by itself too.
 *
 * @returns ends it
 */
export async function listen(sql: Sql, channel: string, onNotify: () => void): Promise<() => Promise<void>> {
  const subscription = await read(sql.listen(channel, onNotify))
  return () => subscription.unlisten()
}

/**
 * One transaction, that asks nothing of its connection once that is lost.
 *
 * The driver (3.4.9) would: it sends `rollback` down a socket that is gone, which ends the whole process by an exception that nobody
 * can catch, or leaves the connection unusable; and a statement that comes later is sent down the next session of that connection,
 * outside of any transaction (porsager/postgres#1154, #1208, #1216). So a loss is kept from it: it learns of it by its own means.
 */
async function begin<T>(sql: Sql, work: (tx: Tx) => Promise<T>, mode: string): Promise<T> {
  let lost: AppError | null = null
  const assertOpen = () => {
    if (lost !== null) throw lost
  }
  const begun = sql.begin(mode, async tx => {
    const guarded = new Proxy(tx, {
      apply(target, self, args) {
        assertOpen()
        return Reflect.apply(target, self, args) as unknown
      },
      get(target, name) {
        assertOpen()
        return Reflect.get(target, name) as unknown
      },
    })
    try {
      // Not waited for: it goes with the first statement of the work, which comes after it.
      const limited = tx.unsafe(LIMITS).execute()
      limited.catch(() => undefined)
      const value = await work(guarded)
      await limited
      return { value }
    } catch (error) {
      // Never settles: `begin` is rejected by the end of the connection, and this is forgotten with it.
      if (lost !== null || isConnectionLost(error)) return new Promise<never>(() => undefined)
      throw error
    }
  })
  begun.catch((error: unknown) => {
    lost = wrapStoreError(error)
  })
  const { value } = await begun
  return value
}

/** The connection is gone, or the server has said that it goes. */
function isConnectionLost(error: unknown): boolean {
  const cause = error instanceof AppError ? error.cause : error
  if (typeof cause !== 'object' || cause === null) return false
  const { code, severity } = cause as Record<string, unknown>
  if (severity === 'FATAL' || severity === 'PANIC') return true
  return typeof code === 'string' && /^(?:CONNECTION_|CONNECT_TIMEOUT$|E[A-Z]+$)/.test(code)
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
