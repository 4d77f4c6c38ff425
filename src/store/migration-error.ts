/**
 * Failures of migrations, told so that an operator can act: which file, which line, SQLSTATE, the server's message, what to do.
 *
 * Always holds: never the connection string, never a password. The server's message is shown, its detail only where it names
 * dependent objects, because details of other errors quote rows.
 */

import postgres from 'postgres'

import { AppError } from '../errors.ts'

/** A lock that was not to be had, a deadlock, a serialization failure: the same file may succeed a moment later. */
const PASSING_STATES = new Set(['55P03', '40P01', '40001'])

const UNAVAILABLE_STATES = /^(08...|57P0[1-3]|53300)$/

const HINTS: Readonly<Record<string, string>> = {
  '28000': 'Check user and password of the database URL, and pg_hba.conf of the server.',
  '28P01': 'Check user and password of the database URL.',
  '2BP01': 'Something that this project did not make depends on it: drop that first, or keep this migration.',
  '23503': 'Rows point to rows that do not exist: mend them, then run migrate again.',
  '25006': 'The database is read-only: give the URL of the primary server.',
  '3D000': 'Create the database, or correct its name in the URL.',
  '42501': 'Grant the role what the message names, or run migrate as the owner of the tables.',
  '42P01': 'Run migrate against the database that holds the application, with the schema public.',
  '53100': 'Free space on the disk of the database, then run migrate again.',
  '57014':
    'Somebody cancelled it, or the role has a statement_timeout: run migrate again, it goes on where it stopped.',
}

export function isPassing(error: unknown): boolean {
  return error instanceof postgres.PostgresError && PASSING_STATES.has(error.code)
}

export function sqlstateOf(error: unknown): string | undefined {
  return error instanceof postgres.PostgresError ? error.code : undefined
}

/** Why a migration stops that was told to. */
export function abortedError(signal: AbortSignal): AppError {
  if (signal.reason instanceof AppError) return signal.reason
  return new AppError('ABORTED', 'The migration was stopped.', {
    hint: 'Run migrate again: it goes on where it stopped.',
  })
}

/** The AppError for whatever a driver threw while `work` (a file's name, or what was being done) went on. */
export function migrationError(error: unknown, work: string, text?: string): AppError {
  if (error instanceof AppError) return error
  if (!(error instanceof postgres.PostgresError)) return connectionError(error, work)

  const facts = {
    file: work.endsWith('.sql') ? work : undefined,
    sqlstate: error.code,
    line: lineOf(text, error.position),
  }
  if (UNAVAILABLE_STATES.test(error.code)) {
    return new AppError('DB_UNAVAILABLE', `The database went away during ${work}: ${error.message}.`, {
      cause: error,
      facts,
    })
  }
  if (PASSING_STATES.has(error.code)) {
    return new AppError('DB_LOCKED', `${work} did not get its locks: ${error.message}.`, {
      cause: error,
      facts,
      hint: 'A long transaction holds the table: find it in pg_stat_activity, end it, then run migrate again.',
    })
  }
  if (error.constraint_name === 'migrations_pkey') {
    return new AppError('LEASE_LOST', `Another migrator applied ${work} meanwhile.`, { cause: error, facts })
  }
  const detail = error.code === '2BP01' && error.detail ? ` (${error.detail.replaceAll('\n', '; ')})` : ''
  return new AppError('MIGRATION_FAILED', `${work} failed: ${error.message}${detail}.`, {
    cause: error,
    facts,
    hint: HINTS[error.code] ?? 'Nothing of this file was kept: mend the cause, then run migrate again.',
  })
}

function connectionError(error: unknown, work: string): AppError {
  const code = error instanceof Error && 'code' in error ? String(error.code) : undefined
  if (code === undefined)
    return new AppError('INTERNAL', `Something unforeseen happened during ${work}.`, { cause: error })
  return new AppError('DB_UNAVAILABLE', `The database cannot be reached during ${work}.`, {
    cause: error,
    facts: { code },
    hint: 'Check that the server runs and that the URL names it.',
  })
}

/** The line of a file that the server's position, a count of characters from 1, points to. */
function lineOf(text: string | undefined, position: string | undefined): number | undefined {
  const offset = Number(position)
  if (text === undefined || !Number.isInteger(offset) || offset < 1) return undefined
  return text.slice(0, offset - 1).split('\n').length
}
