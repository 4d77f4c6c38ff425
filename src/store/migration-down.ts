/**
 * The way back: which files are reverted, and why not.
 *
 * Always holds: nothing is reverted before everything was found to be revertible; rows are dropped only by those who say so; what
 * the ledger does not name stays. The files themselves refuse rows once more, under a lock, because rows may come in between.
 */

import type postgres from 'postgres'

import { AppError } from '../errors.ts'
import { readCatalog } from './migration-catalog.ts'
import { type MigrationFile, readDownText } from './migration-files.ts'
import type { MigrationLease } from './migration-lease.ts'
import { type LedgerRow, readLedger } from './migration-ledger.ts'
import { migrationError, sqlstateOf } from './migration-error.ts'
import { type Migrator, revertFile } from './migration-run.ts'

/** Its one row comes with its migration. */
const TABLES_WITHOUT_DATA = new Set(['indexer.registry'])
/** The column that marks the daemon's rows in a table of the application. */
const MARK_OF_OUR_ROWS = { identity: 'column public.wallet_activity.block_hash', table: 'public.wallet_activity' }

export type DownRequest = {
  readonly files: readonly MigrationFile[]
  readonly directory: string
  /** The number of the last file that stays; 0 for none. */
  readonly to: number
  readonly dropData: boolean
}

/** Throws MIGRATION_REFUSED where the request cannot or must not be carried out. */
export async function refuseDown(sql: postgres.Sql, request: DownRequest): Promise<void> {
  const rows = (await readLedger(sql)).filter(row => row.number > request.to)
  const unknown = rows.filter(row => !request.files.some(file => file.number === row.number))
  if (unknown.length > 0) {
    throw new AppError(
      'MIGRATION_REFUSED',
      `This program has no way back for ${unknown.map(row => row.name).join(', ')}.`,
      {
        hint: 'Revert with the program that applied it.',
      },
    )
  }
  const leases = await sql<{ name: string }[]>`
    select name from indexer.leases where name <> 'migrate' and expires_at > clock_timestamp() order by name
  `
  if (leases.length > 0) {
    throw new AppError(
      'MIGRATION_REFUSED',
      `A daemon is at work: it holds ${leases.map(lease => lease.name).join(', ')}.`,
      {
        hint: 'Stop it first. If it was killed, its leases expire by themselves within a minute.',
      },
    )
  }
  if (request.dropData) return
  const held = await countRows(sql, rows)
  if (held.length > 0) {
    throw new AppError('MIGRATION_REFUSED', `Tables hold rows that would be lost: ${held.join(', ')}.`, {
      hint: 'Add --drop-data to drop them too.',
    })
  }
}

/** `public.users (3 rows)`, for each table that holds some. */
async function countRows(sql: postgres.Sql, ledger: readonly LedgerRow[]): Promise<string[]> {
  const created = ledger.flatMap(row => row.created)
  const tables = created
    .filter(identity => identity.startsWith('table '))
    .map(identity => identity.slice('table '.length))
  const held: string[] = []
  for (const table of tables.filter(each => !TABLES_WITHOUT_DATA.has(each))) {
    const count = await countIn(sql, table, 'true')
    if (count > 0) held.push(`${table} (${count} rows)`)
  }
  const { identity, table } = MARK_OF_OUR_ROWS
  if (created.includes(identity) && !tables.includes(table) && (await readCatalog(sql)).has(identity)) {
    const count = await countIn(sql, table, 'block_hash is not null')
    if (count > 0) held.push(`${table} (${count} rows of the daemon)`)
  }
  return held
}

/** `table` is an identity of the ledger: quoted where it must be. */
async function countIn(sql: postgres.Sql, table: string, condition: string): Promise<number> {
  const [found] = await sql`select from pg_catalog.pg_class where oid = to_regclass(${table})`
  if (found === undefined) return 0
  const [row] = await sql.unsafe<{ count: string }[]>(`select count(*) from ${table} where ${condition}`)
  return Number(row?.count ?? 0)
}

/** Newest first; returns the names of the files. */
export async function revertAll(migrator: Migrator, lease: MigrationLease, request: DownRequest): Promise<string[]> {
  const ledger = await readLedger(migrator.sql)
  const numbers = new Set(ledger.map(row => row.number))
  const reverted: string[] = []
  for (const file of request.files.toReversed()) {
    if (file.number <= request.to || !numbers.has(file.number)) continue
    await revertFile(migrator, file, await readDownText(request.directory, file), request.dropData)
    migrator.log('Migration reverted.', { file: file.name })
    reverted.push(file.name)
  }
  if (ledger.every(row => row.number > request.to)) await dropLedger(migrator, lease)
  return reverted
}

async function dropLedger(migrator: Migrator, lease: MigrationLease): Promise<void> {
  await lease.abandon()
  try {
    await migrator.sql.begin(async tx => {
      await tx`select set_config('lock_timeout', '2s', true)`
      await tx`drop table indexer.migrations, indexer.leases`
    })
    await migrator.sql`drop schema indexer`
  } catch (error) {
    if (sqlstateOf(error) !== '2BP01') throw migrationError(error, 'dropping the schema indexer')
    migrator.log('The schema indexer stays: it holds objects that this project did not make.')
  }
}
