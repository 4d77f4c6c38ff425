/**
 * One writer per chain: a row that says who, until when by the database's clock, and with which fencing number.
 *
 * A holder renews it; whoever finds it expired takes it with a higher number. Every writing transaction shares a lock on the row
 * and compares the number, so a holder that was paused and revived can write nothing. No session-level lock: it works behind a
 * pooler.
 *
 * The shared lock is `for key share`: it excludes the claim, which locks `for update`, and lets the heartbeat through, so that a
 * commit that takes long does not lose the lease that it holds. Of a holder that was frozen inside a transaction the next one ends
 * that transaction; one that the server works on, or that waits for a lock, is left alone: it is alive.
 *
 * The database's clock may be moved. Set forward, a lease that is held seems to be over: somebody else takes it, and the fencing
 * number keeps the old holder from writing. Set back, one that nobody renews would last until the clock has caught up: a lease that
 * ends later than any renewal could have made it is therefore over too.
 */

import { AppError } from '../errors.ts'
import { APPLICATION_NAME, inTransaction, read, type Sql, type Tx } from './connection.ts'

export const LEASE_TTL_MS = 6_000
/** A transaction under an expired lease that has waited for its client this long has no client any more. */
const FROZEN_AFTER_MS = 2_000

/** Whether a lease is over: expired, or of a time that the clock was set back from. Small steps of a clock are no reason. */
const isOver = (sql: Sql | Tx) => sql`
  (expires_at < clock_timestamp() or expires_at > clock_timestamp() + ${2 * LEASE_TTL_MS} * interval '1 millisecond')`

export type Lease = { readonly name: string; readonly holder: string; readonly fencing: number }

/** Takes the lease if it is free, expired, or already this holder's; null while another one holds it. */
export async function claimLease(sql: Sql, name: string, holder: string): Promise<Lease | null> {
  const [known] = await read(sql<{ own: boolean; expired: boolean }[]>`
    select holder = ${holder} as own, ${isOver(sql)} as expired from indexer.leases where name = ${name}`)
  if (known !== undefined && !known.own && !known.expired) return null
  const rows = await inTransaction(sql, async tx => {
    if (known !== undefined) {
      // A step under way is waited for; when that takes long it is looked at again.
      await tx`select set_config('lock_timeout', ${String(FROZEN_AFTER_MS)}, true)`
      await endFrozenTransactions(tx)
    } else {
      await tx`
        insert into indexer.leases (name, holder, fencing, expires_at)
        values (${name}, ${holder}, 0, clock_timestamp() - interval '1 second') on conflict (name) do nothing`
    }
    return tx<{ fencing: string }[]>`
      update indexer.leases set
        holder = ${holder}, fencing = fencing + 1, expires_at = clock_timestamp() + ${LEASE_TTL_MS} * interval '1 millisecond'
      where name = (
        select name from indexer.leases
        where name = ${name} and (${isOver(tx)} or holder = ${holder}) for update
      )
      returning fencing`
  })
  const row = rows[0]
  return row === undefined ? null : { name, holder, fencing: Number(row.fencing) }
}

/**
 * Ends transactions of ours that hold a lease and wait for a client that does not come back, be it to ask or to take an answer.
 * The server's own limit (`idle_in_transaction_session_timeout`) knows only the first. A role may always end its own sessions.
 */
async function endFrozenTransactions(tx: Tx): Promise<void> {
  await tx`
    select pg_terminate_backend(pid) from pg_stat_activity
    where datname = current_database() and usename = current_user and application_name = ${APPLICATION_NAME}
      and state <> 'idle' and wait_event_type = 'Client'
      and state_change < clock_timestamp() - ${FROZEN_AFTER_MS} * interval '1 millisecond'
      and pid in (
        select pid from pg_locks where relation = 'indexer.leases'::regclass and mode = 'RowShareLock' and granted
      )`
}

/** Extends the lease. False: it belongs to somebody else by now. */
export async function renewLease(sql: Sql, lease: Lease): Promise<boolean> {
  const rows = await read(sql`
    update indexer.leases set expires_at = clock_timestamp() + ${LEASE_TTL_MS} * interval '1 millisecond'
    where name = ${lease.name} and holder = ${lease.holder} and fencing = ${lease.fencing}
    returning name`)
  return rows.length > 0
}

/** Gives the lease back, so that the next one need not wait for its expiry. The number stays, for the next one to raise. */
export async function releaseLease(sql: Sql, lease: Lease): Promise<void> {
  await read(sql`
    update indexer.leases set expires_at = clock_timestamp() - interval '1 second'
    where name = ${lease.name} and holder = ${lease.holder} and fencing = ${lease.fencing}`)
}

/** Who holds a lease now, or null. */
export async function leaseHolder(sql: Sql, name: string): Promise<string | null> {
  const rows = await read(sql<{ holder: string }[]>`
    select holder from indexer.leases where name = ${name} and not ${isOver(sql)}`)
  return rows[0]?.holder ?? null
}

/** Makes a transaction valid only while the lease is held: a new holder must wait for it, an old one fails. */
export async function fence(tx: Tx, lease: Lease): Promise<void> {
  const rows = await tx`
    select 1 from indexer.leases where name = ${lease.name} and holder = ${lease.holder} and fencing = ${lease.fencing}
    for key share`
  if (rows.length === 0) throw lostLease(lease)
}

export function lostLease(lease: Lease): AppError {
  return new AppError('LEASE_LOST', `Another process follows this chain now.`, {
    facts: { lease: lease.name, fencing: lease.fencing },
    hint: 'This process stands by and takes over when the other one stops.',
  })
}
