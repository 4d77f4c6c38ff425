/**
 * Runs one file, up or down, and enters it in the ledger.
 *
 * Always holds: a file and its row of the ledger commit together; a lock is waited for LOCK_TIMEOUT at most, because whoever waits
 * for a table's lock makes all who come later wait behind it, then tried again after a pause. A file that builds an index
 * concurrently has no transaction to commit with: its index is looked at first, one that a kill left invalid is dropped and built
 * again, one that a forgotten backend still builds is waited for by looking, since waiting in a lock would hold that build up.
 * Such a build waits for locks as long as it takes: it holds nobody up meanwhile.
 */

import type postgres from 'postgres'

import { AppError } from '../errors.ts'
import { randomFloat } from '../runtime/random.ts'
import { sleep } from '../runtime/sleep.ts'
import { createdBetween, readCatalog, readIndexState, type IndexState } from './migration-catalog.ts'
import { abortedError, isPassing, migrationError } from './migration-error.ts'
import type { ConcurrentIndex, MigrationFile } from './migration-files.ts'
import type { MigrationLog } from './migration-lease.ts'
import { enterInLedger } from './migration-ledger.ts'

const LOCK_TIMEOUT = '2s'
const ATTEMPTS = 30
const FIRST_PAUSE_MS = 100
const LONGEST_PAUSE_MS = 5_000

/** An index of the largest tables takes hours, never a day. */
const FILE_LIMIT_MS = 24 * 3_600_000
const CANCEL_TRIES = 120
const CANCEL_PAUSE_MS = 250

const BUILD_POLL_MS = 1_000

export type Migrator = {
  /** One connection, which runs the files. */
  readonly sql: postgres.Sql
  /** Another, which renews the lease and cancels. */
  readonly control: postgres.Sql
  /** How `control` finds the backend of `sql`, also behind a pooler. */
  readonly applicationName: string
  readonly log: MigrationLog
  readonly signal: AbortSignal
}

/** Applies a file and enters it in the ledger. */
export async function applyFile(migrator: Migrator, file: MigrationFile): Promise<void> {
  const { index } = file
  if (index === null) {
    await inTransaction(migrator, file.name, file.text, async (tx, created) => enterInLedger(tx, file, created))
    return
  }
  await retried(migrator, file.name, file.text, async () => {
    await buildIndex(migrator, file, index)
    // Its name is this project's alone: an index that a kill left without a row in the ledger is ours as well.
    await enterInLedger(migrator.sql, file, [`index ${index.schema}.${index.name}`])
  })
}

/** Runs a file that was applied once more, for what somebody dropped. Returns what it created now. */
export async function applyAgain(migrator: Migrator, file: MigrationFile): Promise<string[]> {
  const { index } = file
  if (index !== null) {
    await retried(migrator, file.name, file.text, async () => buildIndex(migrator, file, index))
    return [`index ${index.schema}.${index.name}`]
  }
  let createdNow: string[] = []
  await inTransaction(migrator, file.name, file.text, (_, created) => {
    createdNow = created
    return Promise.resolve()
  })
  return createdNow
}

/** Runs the text that reverts a file, and takes the file out of the ledger. */
export async function revertFile(
  migrator: Migrator,
  file: MigrationFile,
  text: string,
  dropData: boolean,
): Promise<void> {
  const run = async (tx: postgres.TransactionSql) => {
    await tx`
      select
        set_config('lock_timeout', ${LOCK_TIMEOUT}, true),
        set_config('statement_timeout', '0', true),
        set_config('indexer.drop_data', ${dropData ? 'on' : 'off'}, true)
    `
    await tx.unsafe(text).simple()
    await tx`delete from indexer.migrations where number = ${file.number}`
    if (migrator.signal.aborted) throw abortedError(migrator.signal)
  }
  await retried(migrator, file.name.replace(/\.sql$/, '.down.sql'), text, async () => migrator.sql.begin(run))
}

/** Runs `text` and then `finish`, told what the text created, in one transaction. */
async function inTransaction(
  migrator: Migrator,
  name: string,
  text: string,
  finish: (tx: postgres.TransactionSql, created: string[]) => Promise<void>,
): Promise<void> {
  const run = async (tx: postgres.TransactionSql) => {
    await tx`select set_config('lock_timeout', ${LOCK_TIMEOUT}, true), set_config('statement_timeout', '0', true)`
    const before = await readCatalog(tx)
    await tx.unsafe(text).simple()
    await finish(tx, createdBetween(before, await readCatalog(tx)))
    if (migrator.signal.aborted) throw abortedError(migrator.signal)
  }
  // Repeatable reads: what the application creates meanwhile is not taken for ours.
  await retried(migrator, name, text, async () => migrator.sql.begin('isolation level repeatable read', run))
}

async function buildIndex(migrator: Migrator, file: MigrationFile, index: ConcurrentIndex): Promise<void> {
  const state = await settledIndexState(migrator, file, index)
  if (state === 'valid') return
  if (state === 'invalid') {
    migrator.log('An index was left unfinished: it is built again.', { file: file.name, index: index.name })
    await migrator.sql.unsafe(`drop index concurrently if exists ${index.schema}.${index.name}`).simple()
  }
  await migrator.sql.unsafe(file.text).simple()
  if ((await readIndexState(migrator.sql, index)) !== 'valid') {
    throw new AppError('DB_CONFLICT', `${file.name} ran and its index is not valid.`, { hint: 'Run migrate again.' })
  }
}

/** The state once nobody builds it any more. */
async function settledIndexState(
  migrator: Migrator,
  file: MigrationFile,
  index: ConcurrentIndex,
): Promise<Exclude<IndexState, 'building'>> {
  for (let poll = 0; poll * BUILD_POLL_MS < FILE_LIMIT_MS; poll += 1) {
    const state = await readIndexState(migrator.sql, index)
    if (state !== 'building') return state
    if (poll === 0)
      migrator.log('An index is still being built: waiting for it.', { file: file.name, index: index.name })
    await sleep(BUILD_POLL_MS, migrator.signal)
    if (migrator.signal.aborted) throw abortedError(migrator.signal)
  }
  throw new AppError('DB_LOCKED', `${file.name} waits for a build of its index that does not end.`, {
    hint: 'Look into pg_stat_progress_create_index.',
  })
}

async function retried(migrator: Migrator, name: string, text: string, work: () => Promise<unknown>): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    if (migrator.signal.aborted) throw abortedError(migrator.signal)
    try {
      await cancelledWhenDue(migrator, work)
      return
    } catch (error) {
      if (migrator.signal.aborted) throw abortedError(migrator.signal)
      if (!isPassing(error) || attempt >= ATTEMPTS) throw migrationError(error, name, text)
      const pauseMs = Math.min(FIRST_PAUSE_MS * 2 ** (attempt - 1), LONGEST_PAUSE_MS) * (0.5 + randomFloat() / 2)
      migrator.log('A migration did not get its locks: it is tried again.', {
        file: name,
        attempt,
        pauseMs: Math.round(pauseMs),
      })
      await sleep(pauseMs, migrator.signal)
    }
  }
}

/** Cancels the statement at work when the signal aborts or the limit passes: then it fails with 57014. */
async function cancelledWhenDue(migrator: Migrator, work: () => Promise<unknown>): Promise<void> {
  const done = new AbortController()
  const watching = cancelUnlessDone(migrator, done.signal)
  try {
    await work()
  } finally {
    done.abort()
    await watching
  }
}

async function cancelUnlessDone(migrator: Migrator, done: AbortSignal): Promise<void> {
  await sleep(FILE_LIMIT_MS, AbortSignal.any([migrator.signal, done]))
  // More than once: between two statements there is nothing to cancel.
  for (let attempt = 0; attempt < CANCEL_TRIES && !done.aborted; attempt += 1) {
    await migrator.control`
      select pg_cancel_backend(pid) from pg_stat_activity
      where application_name = ${migrator.applicationName} and datname = current_database() and state = 'active'
    `.catch(() => undefined)
    await sleep(CANCEL_PAUSE_MS, done)
  }
}
