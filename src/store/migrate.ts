/**
 * Brings a database to the schema of this program, and back.
 *
 * Always holds: files are applied in the order of their numbers, one migrator at a time, each entered in the ledger with what it
 * created; what the application made is neither changed nor dropped. A database that is as it should be is only read.
 *
 * Nothing relies on the state of a session, so a pooler in transaction mode may stand between: every setting is local to its
 * transaction, and waiting for another migrator is polling (see migration-lease.ts).
 */

import postgres from 'postgres'

import { AppError } from '../errors.ts'
import { uniqueName } from '../runtime/random.ts'
import { readCatalog } from './migration-catalog.ts'
import { refuseDown, revertAll } from './migration-down.ts'
import { migrationError } from './migration-error.ts'
import { type MigrationFile, readMigrationFiles } from './migration-files.ts'
import { type MigrationLease, type MigrationLog, withMigrationLease } from './migration-lease.ts'
import {
  amendLedger,
  compareWithLedger,
  createLedger,
  ledgerExists,
  missingOf,
  type MigrationState,
  readLedger,
} from './migration-ledger.ts'
import { applyAgain, applyFile, type Migrator } from './migration-run.ts'

export type { MigrationState } from './migration-ledger.ts'

const OLDEST_SERVER = 140_000
const CONNECT_SECONDS = 10

export type MigrateOptions = {
  readonly url: string
  /** Where the files are, such as `sql`. */
  readonly directory: string
  readonly log: MigrationLog
  /** The number of the last file to be applied; without it, all. Down: the last file that stays; without it, none. */
  readonly to?: number
  readonly signal?: AbortSignal
}

/**
 * Applies what is pending and restores what was dropped of ours. Returns the names of the files that were applied now.
 * Throws MIGRATION_FAILED (the file, SQLSTATE and the server's message in the facts), MIGRATION_REFUSED where files and ledger
 * contradict each other, DB_LOCKED or DB_UNAVAILABLE where the same call may succeed later, ABORTED.
 */
export async function migrate(options: MigrateOptions): Promise<{ applied: string[] }> {
  const files = await readMigrationFiles(options.directory)
  return connected(options, async connections => {
    const last = options.to ?? Number.POSITIVE_INFINITY
    const state = await compareWithLedger(connections.sql, files)
    refuseContradictions(state)
    const isDue = files.some(file => file.number <= last && state.pending.includes(file.name))
    if (!isDue && state.missing.length === 0) return { applied: [] }

    await createLedger(connections.sql)
    return underLease(options, connections, async migrator => {
      // Again: another migrator may have done it while this one waited.
      refuseContradictions(await compareWithLedger(migrator.sql, files))
      await restore(migrator, files)
      return { applied: await applyPending(migrator, files, last) }
    })
  })
}

/**
 * Reverts the files above `to`, newest first, and with the last of them the ledger. Throws MIGRATION_REFUSED, before anything is
 * touched, where tables hold rows and `dropData` is not set, or where a daemon is at work.
 */
export async function migrateDown(
  options: MigrateOptions & { readonly dropData: boolean },
): Promise<{ reverted: string[] }> {
  const files = await readMigrationFiles(options.directory)
  return connected(options, async connections => {
    if (!(await ledgerExists(connections.sql))) return { reverted: [] }
    return underLease(options, connections, async (migrator, lease) => {
      const request = { files, directory: options.directory, to: options.to ?? 0, dropData: options.dropData }
      await refuseDown(migrator.sql, request)
      return { reverted: await revertAll(migrator, lease, request) }
    })
  })
}

/** For status and doctor. Only reads. */
export async function migrationState(sql: postgres.ISql, directory: string): Promise<MigrationState> {
  return compareWithLedger(sql, await readMigrationFiles(directory))
}

async function applyPending(migrator: Migrator, files: readonly MigrationFile[], last: number): Promise<string[]> {
  const applied: string[] = []
  const { pending } = await compareWithLedger(migrator.sql, files)
  for (const file of files.filter(each => each.number <= last && pending.includes(each.name))) {
    await applyFile(migrator, file)
    migrator.log('Migration applied.', { file: file.name })
    applied.push(file.name)
  }
  return applied
}

/**
 * Runs the files again from the first that lacks something of what it created: later ones may build upon it. What is not there
 * even then was replaced by the application, and leaves the ledger.
 */
async function restore(migrator: Migrator, files: readonly MigrationFile[]): Promise<void> {
  const ledger = await readLedger(migrator.sql)
  const present = await readCatalog(migrator.sql)
  const missing = ledger.flatMap(row => missingOf(row, present))
  const tables = missing.filter(identity => identity.startsWith('table '))
  if (tables.length > 0) {
    throw new AppError('MIGRATION_FAILED', `Tables that a migration made are gone: ${tables.join(', ')}.`, {
      hint: 'Restore them from a backup, or start anew: migrate --down --drop-data, then migrate.',
    })
  }
  const first = ledger.find(row => missingOf(row, present).length > 0)?.number
  if (first === undefined) return

  for (const row of ledger.filter(each => each.number >= first)) {
    const file = files.find(each => each.number === row.number)
    if (file === undefined) continue
    const createdNow = await applyAgain(migrator, file)
    const after = await readCatalog(migrator.sql)
    await amendLedger(
      migrator.sql,
      row.number,
      [...new Set([...row.created, ...createdNow])].filter(each => after.has(each)),
    )
  }
  const after = await readCatalog(migrator.sql)
  migrator.log('What was dropped of this project is restored.', {
    restored: missing.filter(identity => after.has(identity)),
    replaced: missing.filter(identity => !after.has(identity)),
  })
}

function refuseContradictions(state: MigrationState): void {
  if (state.unknown.length > 0) {
    throw new AppError(
      'MIGRATION_REFUSED',
      `The database is newer than this program: it has ${state.unknown.join(', ')}.`,
      {
        hint: 'Run the program that applied it, or a newer one.',
      },
    )
  }
  if (state.changed.length > 0) {
    throw new AppError(
      'MIGRATION_REFUSED',
      `Applied migrations were changed afterwards: ${state.changed.join(', ')}.`,
      {
        hint: 'Released files never change: bring back the old text, and put the change into a new file.',
      },
    )
  }
}

type Connections = Pick<Migrator, 'sql' | 'control' | 'applicationName'>

async function connected<Result>(
  options: MigrateOptions,
  work: (connections: Connections) => Promise<Result>,
): Promise<Result> {
  const applicationName = `linkdao-indexer migrate ${uniqueName().slice(0, 8)}`
  const opened: postgres.Sql[] = []
  try {
    for (const name of [applicationName, 'linkdao-indexer migrate lease'])
      opened.push(openConnection(options.url, name))
    const [sql, control] = opened
    if (sql === undefined || control === undefined) throw new AppError('INTERNAL', 'Two connections were opened.')
    await refuseOldServer(sql)
    return await work({ sql, control, applicationName })
  } catch (error) {
    throw migrationError(error, 'migrate')
  } finally {
    await Promise.all(opened.map(async sql => sql.end({ timeout: 1 })))
  }
}

function openConnection(url: string, applicationName: string): postgres.Sql {
  try {
    return connectionTo(url, applicationName)
  } catch {
    // Without the cause: what parsing a URL throws carries the URL, and so the password.
    throw new AppError('CONFIG_INVALID', 'The database URL cannot be read.', {
      hint: 'Expected: postgres://user:password@host:port/database, with special characters percent-encoded.',
    })
  }
}

function connectionTo(url: string, applicationName: string): postgres.Sql {
  return postgres(url, {
    max: 1,
    prepare: false,
    fetch_types: false,
    connect_timeout: CONNECT_SECONDS,
    max_lifetime: null,
    connection: { application_name: applicationName, TimeZone: 'UTC' },
    onnotice: () => undefined,
  })
}

async function refuseOldServer(sql: postgres.Sql): Promise<void> {
  const [row] = await sql<{ version: number }[]>`select current_setting('server_version_num')::int as version`
  if (row !== undefined && row.version < OLDEST_SERVER) {
    throw new AppError('MIGRATION_REFUSED', 'The server is older than PostgreSQL 14.', {
      facts: { version: row.version },
    })
  }
}

async function underLease<Result>(
  options: MigrateOptions,
  connections: Connections,
  work: (migrator: Migrator, lease: MigrationLease) => Promise<Result>,
): Promise<Result> {
  const signal = options.signal ?? new AbortController().signal
  return withMigrationLease(connections.control, { log: options.log, signal }, async lease =>
    work({ ...connections, log: options.log, signal: lease.signal }, lease),
  )
}
