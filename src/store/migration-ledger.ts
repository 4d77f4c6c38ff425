/**
 * The ledger `indexer.migrations`: which files were applied, with which text, and what each created. The runner makes it, and
 * `indexer.leases`, before the first file.
 *
 * Always holds: a row is in the ledger if and only if its file was applied; `created` names only what was not there before.
 */

import type postgres from 'postgres'

import { randomFloat } from '../runtime/random.ts'
import { sleep } from '../runtime/sleep.ts'
import { readCatalog } from './migration-catalog.ts'
import { sqlstateOf } from './migration-error.ts'
import type { MigrationFile } from './migration-files.ts'

/** Files below stand in for the application's own: what it later does to single parts of those tables is its own affair. */
const FIRST_OWN_NUMBER = 10

const CREATION_ATTEMPTS = 20
const CREATION_PAUSE_MS = 100
/** Two that create the same at the same time: one of them gets one of these, whatever `if not exists` promises. */
const CREATION_RACES = new Set(['23505', '42P06', '42P07', 'XX000'])

export type LedgerRow = {
  readonly number: number
  readonly name: string
  readonly checksum: string
  readonly created: readonly string[]
}

/** Names of files, and identities of the catalog in `missing`. */
export type MigrationState = {
  readonly applied: readonly string[]
  readonly pending: readonly string[]
  /** Applied, but the file is another by now. */
  readonly changed: readonly string[]
  /** Applied by a newer program: there is no such file. */
  readonly unknown: readonly string[]
  /** Created by a migration and not there any more. */
  readonly missing: readonly string[]
}

export async function ledgerExists(sql: postgres.ISql): Promise<boolean> {
  const [row] = await sql<{ count: number }[]>`
    select count(*)::int as count from pg_catalog.pg_class c
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where n.nspname = 'indexer' and c.relname in ('migrations', 'leases') and c.relkind = 'r'
  `
  return row?.count === 2
}

/** Creates schema, ledger and leases where they are not. Safe beside another that does the same. */
export async function createLedger(sql: postgres.Sql): Promise<void> {
  for (let attempt = 1; !(await ledgerExists(sql)); attempt += 1) {
    try {
      await sql.begin(createLedgerObjects)
    } catch (error) {
      if (attempt >= CREATION_ATTEMPTS || !CREATION_RACES.has(sqlstateOf(error) ?? '')) throw error
      await sleep(CREATION_PAUSE_MS * (0.5 + randomFloat()))
    }
  }
}

async function createLedgerObjects(tx: postgres.TransactionSql): Promise<void> {
  // `if not exists` asks for the privilege even where the schema is there, made by somebody who had it.
  const [schema] = await tx`select from pg_catalog.pg_namespace where nspname = 'indexer'`
  if (schema === undefined) await tx`create schema indexer`
  await tx`
    create table if not exists indexer.migrations (
      number integer primary key,
      name text not null,
      checksum text not null,
      created text[] not null,
      applied_at timestamptz not null default now()
    )
  `
  await tx`
    create table if not exists indexer.leases (
      name text primary key,
      holder text not null,
      fencing bigint not null,
      expires_at timestamptz not null
    )
  `
}

/** Ascending by number; empty where there is no ledger. */
export async function readLedger(sql: postgres.ISql): Promise<LedgerRow[]> {
  if (!(await ledgerExists(sql))) return []
  // As JSON, for drivers that were told not to ask for the types of arrays.
  return sql<LedgerRow[]>`
    select number, name, checksum, array_to_json(created) as created from indexer.migrations order by number
  `
}

export async function enterInLedger(
  sql: postgres.ISql,
  file: MigrationFile,
  created: readonly string[],
): Promise<void> {
  await sql`
    insert into indexer.migrations (number, name, checksum, created)
    values (
      ${file.number}, ${file.name}, ${file.checksum},
      array(select json_array_elements_text(${JSON.stringify(created)}::text::json))
    )
  `
}

export async function amendLedger(sql: postgres.ISql, number: number, created: readonly string[]): Promise<void> {
  await sql`
    update indexer.migrations
    set created = array(select json_array_elements_text(${JSON.stringify(created)}::text::json))
    where number = ${number}
  `
}

/** What a row of the ledger created, that should be there and is not. */
export function missingOf(row: LedgerRow, present: { has(identity: string): boolean }): string[] {
  const isOurs = (identity: string) => row.number >= FIRST_OWN_NUMBER || identity.startsWith('table ')
  return row.created.filter(identity => isOurs(identity) && !present.has(identity))
}

/** Compares files, ledger and catalog. Changes nothing, needs no privilege but reading. */
export async function compareWithLedger(sql: postgres.ISql, files: readonly MigrationFile[]): Promise<MigrationState> {
  const ledger = await readLedger(sql)
  const rows = new Map(ledger.map(row => [row.number, row]))
  const numbers = new Set(files.map(file => file.number))
  const present = ledger.length === 0 ? new Map<string, null>() : await readCatalog(sql)
  const hasRow = (file: MigrationFile) => rows.has(file.number)
  const isChanged = (file: MigrationFile) => hasRow(file) && rows.get(file.number)?.checksum !== file.checksum
  return {
    applied: ledger.map(row => row.name),
    pending: files.filter(file => !hasRow(file)).map(file => file.name),
    changed: files.filter(isChanged).map(file => file.name),
    unknown: ledger.filter(row => !numbers.has(row.number)).map(row => row.name),
    missing: ledger.flatMap(row => missingOf(row, present)),
  }
}
