/**
 * What the tests of the migrations share: the directory, copies of it that may be changed, and a log that can be read.
 */

import { type SpawnSyncReturns, spawnSync } from 'node:child_process'
import { cp, mkdtemp, readFile, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { type MigrateOptions, migrate, migrateDown } from '../../src/store/migrate.ts'

export const SQL_DIRECTORY = fileURLToPath(new URL('../../sql', import.meta.url))
export const SNAPSHOT_FILE = join(SQL_DIRECTORY, 'schema.snapshot.sql')

export type LogLine = { readonly message: string; readonly facts: Record<string, unknown> }

/** Options for a database, and the lines that were logged with them. */
export function optionsFor(
  url: string,
  extra: Partial<MigrateOptions> = {},
): MigrateOptions & { readonly lines: LogLine[] } {
  const lines: LogLine[] = []
  return {
    url,
    directory: SQL_DIRECTORY,
    log: (message, facts = {}) => void lines.push({ message, facts }),
    lines,
    ...extra,
  }
}

export async function migrateUp(url: string, extra: Partial<MigrateOptions> = {}): Promise<string[]> {
  return (await migrate(optionsFor(url, extra))).applied
}

export async function revert(
  url: string,
  extra: Partial<MigrateOptions> & { dropData?: boolean } = {},
): Promise<string[]> {
  const { dropData = false, ...rest } = extra
  return (await migrateDown({ ...optionsFor(url, rest), dropData })).reverted
}

/** The names of all files that go up, in order. */
export async function upFiles(): Promise<string[]> {
  return (await readdir(SQL_DIRECTORY)).filter(name => /^\d{4}_\w+\.sql$/.test(name)).sort()
}

export async function readSqlFile(start: string): Promise<string> {
  const name = (await upFiles()).find(each => each.startsWith(start))
  return readFile(join(SQL_DIRECTORY, name ?? start), 'utf8')
}

/** Runs `work` with a copy of the files that it may change. */
export async function withCopiedFiles(work: (directory: string) => Promise<void>): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'linkdao-indexer-sql-'))
  try {
    await cp(SQL_DIRECTORY, directory, { recursive: true })
    await work(directory)
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

const PSQL = 'psql'

/** Runs a file of the directory as an operator would; undefined where there is no psql. */
export function runByPsql(url: string, name: string): SpawnSyncReturns<string> | undefined {
  const args = ['--no-psqlrc', '-v', 'ON_ERROR_STOP=1', '-d', url, '-f', join(SQL_DIRECTORY, name)]
  const run = spawnSync(PSQL, args, { encoding: 'utf8' })
  return run.error === undefined ? run : undefined
}
