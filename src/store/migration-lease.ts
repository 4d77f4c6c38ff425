/**
 * One migrator at a time: the row `migrate` of `indexer.leases`, claimed by trying, never by waiting in a lock.
 *
 * Always holds: whoever holds the lease has the highest fencing number; the database's clock alone decides what has expired; a
 * killed migrator stops nobody for longer than LEASE_SECONDS. A migrator that lost its lease while it stood still does no harm
 * either: each file is entered in the ledger in the transaction that applies it, under a primary key.
 *
 * Why a row: a migrator that waits in a lock holds back `create index concurrently` of the one that it waits for, and both stand
 * still; session-level locks do not work behind a pooler that changes the session with every transaction.
 */

import type postgres from 'postgres'

import { AppError } from '../errors.ts'
import { randomFloat, uniqueName } from '../runtime/random.ts'
import { sleep } from '../runtime/sleep.ts'
import { abortedError } from './migration-error.ts'

const LEASE_NAME = 'migrate'
const LEASE_SECONDS = 10
const RENEW_MS = 3_000
const RENEW_FAILURES = 3

const POLL_MS = 300
/** About ten minutes: longer than a kill, shorter than an operator's patience. */
const POLLS = 1_500
const POLLS_PER_LOG = 100

export type MigrationLog = (message: string, facts?: Record<string, unknown>) => void

export type MigrationLease = {
  /** Aborts when the caller's signal does, or when the lease is lost. */
  readonly signal: AbortSignal
  /** Stops renewing and does not release: for whoever is about to drop the table of leases. */
  readonly abandon: () => Promise<void>
}

/** `sql` is a connection of its own: it renews while another one runs a file. */
export async function withMigrationLease<Result>(
  sql: postgres.Sql,
  options: { readonly log: MigrationLog; readonly signal: AbortSignal },
  work: (lease: MigrationLease) => Promise<Result>,
): Promise<Result> {
  const holder = uniqueName()
  const fencing = await claim(sql, holder, options)
  const stopped = new AbortController()
  const lost = new AbortController()
  const renewing = renewUntilStopped(sql, { holder, fencing, stopped: stopped.signal, lost })
  const abandon = async () => {
    stopped.abort()
    await renewing
  }
  try {
    return await work({ signal: AbortSignal.any([options.signal, lost.signal]), abandon })
  } finally {
    const abandoned = stopped.signal.aborted
    await abandon()
    if (!abandoned) await release(sql, holder, fencing)
  }
}

async function claim(
  sql: postgres.Sql,
  holder: string,
  options: { readonly log: MigrationLog; readonly signal: AbortSignal },
): Promise<string> {
  for (let poll = 0; poll < POLLS; poll += 1) {
    if (options.signal.aborted) throw abortedError(options.signal)
    const [claimed] = await sql<{ fencing: string }[]>`
      insert into indexer.leases as held (name, holder, fencing, expires_at)
      values (${LEASE_NAME}, ${holder}, 1, clock_timestamp() + make_interval(secs => ${LEASE_SECONDS}))
      on conflict (name) do update
        set holder = excluded.holder, fencing = held.fencing + 1, expires_at = excluded.expires_at
        where held.expires_at <= clock_timestamp()
          -- Later than any renewal makes it: the clock was set back, and nobody may be there to renew it.
          or held.expires_at > clock_timestamp() + 2 * make_interval(secs => ${LEASE_SECONDS})
      returning fencing::text
    `
    if (claimed !== undefined) return claimed.fencing
    if (poll % POLLS_PER_LOG === 0) options.log('Another migrator is at work: waiting for it.')
    await sleep(POLL_MS + POLL_MS * randomFloat(), options.signal)
  }
  throw new AppError('DB_LOCKED', 'Another migrator is still at work.', {
    hint: 'Wait for it to end, or look into pg_stat_activity for what holds it up.',
  })
}

async function renewUntilStopped(
  sql: postgres.Sql,
  lease: {
    readonly holder: string
    readonly fencing: string
    readonly stopped: AbortSignal
    readonly lost: AbortController
  },
): Promise<void> {
  let failures = 0
  // Bounded by the work: whoever claimed stops it.
  while (!lease.stopped.aborted) {
    await sleep(RENEW_MS, lease.stopped)
    if (lease.stopped.aborted) return
    try {
      // Expired but claimed by nobody is still ours: the fencing number says so.
      const renewed = await sql`
        update indexer.leases set expires_at = clock_timestamp() + make_interval(secs => ${LEASE_SECONDS})
        where name = ${LEASE_NAME} and holder = ${lease.holder} and fencing = ${lease.fencing}
        returning 1
      `
      failures = renewed.length === 0 ? RENEW_FAILURES : 0
    } catch {
      failures += 1
    }
    if (failures >= RENEW_FAILURES) {
      lease.lost.abort(new AppError('LEASE_LOST', 'This migrator lost its lease.', { hint: 'Run migrate again.' }))
      return
    }
  }
}

/** A failure is of no consequence: the lease expires by itself. */
async function release(sql: postgres.Sql, holder: string, fencing: string): Promise<void> {
  await sql`
    update indexer.leases set expires_at = clock_timestamp()
    where name = ${LEASE_NAME} and holder = ${holder} and fencing = ${fencing}
  `.catch(() => undefined)
}
