/**
 * The files of `sql/`: `NNNN_name.sql` and `NNNN_name.down.sql`.
 *
 * Always holds: a released file never changes, which its checksum in the ledger proves; each may run a second time without harm;
 * a file that runs outside a transaction holds one statement, `create index concurrently`, and names its index, because nothing
 * else can be taken up again after a kill half-way.
 */

import { createHash } from 'node:crypto'
import { readFile, readdir } from 'node:fs/promises'
import { join } from 'node:path'

import { AppError } from '../errors.ts'

const UP_FILE = /^(\d{4})_([a-z0-9_]+)\.sql$/
const OUTSIDE_MARK = '-- runs outside a transaction'
const CONCURRENT_INDEX =
  /^create (?:unique )?index concurrently if not exists ([a-z0-9_]+) on (?:only )?([a-z0-9_]+)\.([a-z0-9_]+) /i

export type ConcurrentIndex = {
  readonly schema: string
  readonly name: string
  readonly table: string
}

export type MigrationFile = {
  readonly number: number
  /** The file's name, such as `0008_standalone_prerequisites.sql`. */
  readonly name: string
  readonly text: string
  /** sha256 in hex, of the text with line ends as in the repository. */
  readonly checksum: string
  /** What a file that runs outside a transaction builds; null for all others. */
  readonly index: ConcurrentIndex | null
}

/** Ascending by number. Throws MIGRATION_FAILED where the directory or a file is not as it should be. */
export async function readMigrationFiles(directory: string): Promise<MigrationFile[]> {
  const names = await readdir(directory).catch((cause: unknown) => {
    throw new AppError('MIGRATION_FAILED', 'The directory of the migrations cannot be read.', {
      cause,
      facts: { directory },
    })
  })
  const files: MigrationFile[] = []
  for (const name of names.filter(each => UP_FILE.test(each)).sort()) {
    const file = await readMigrationFile(directory, name)
    if (files.at(-1)?.number === file.number) {
      throw new AppError('MIGRATION_FAILED', `Two migrations have the number of ${name}.`, {
        hint: 'Renumber the newer one.',
      })
    }
    files.push(file)
  }
  if (files.length === 0) {
    throw new AppError('MIGRATION_FAILED', 'There are no migrations.', { facts: { directory } })
  }
  return files
}

async function readMigrationFile(directory: string, name: string): Promise<MigrationFile> {
  const text = (await readFile(join(directory, name), 'utf8')).replaceAll('\r\n', '\n')
  return {
    number: Number(name.slice(0, 4)),
    name,
    text,
    checksum: createHash('sha256').update(text).digest('hex'),
    index: text.startsWith(`${OUTSIDE_MARK}\n`) ? parseConcurrentIndex(name, text) : null,
  }
}

/** The text that reverts a file. */
export async function readDownText(directory: string, file: MigrationFile): Promise<string> {
  const name = file.name.replace(/\.sql$/, '.down.sql')
  return readFile(join(directory, name), 'utf8').catch((cause: unknown) => {
    throw new AppError('MIGRATION_FAILED', `${file.name} cannot be reverted: ${name} cannot be read.`, { cause })
  })
}

function parseConcurrentIndex(fileName: string, text: string): ConcurrentIndex {
  const statement = text
    .replaceAll(/^--.*$/gm, '')
    .trim()
    .replaceAll(/\s+/g, ' ')
  const [, name, schema, table] = CONCURRENT_INDEX.exec(statement) ?? []
  if (name === undefined || schema === undefined || table === undefined || statement.slice(0, -1).includes(';')) {
    throw new AppError('MIGRATION_FAILED', `${fileName} runs outside a transaction and is not a concurrent index.`, {
      hint: 'Such a file holds one statement: create index concurrently if not exists <name> on <schema>.<table> ….',
    })
  }
  return { schema, name, table }
}
