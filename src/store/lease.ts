/**
 * One writer per chain: a row that says who, until when by the database's clock, and with which fencing number.
 *
 * A holder renews it; whoever finds it expired takes it with a higher number. Every writing transaction locks the row `for share`
 * and compares the number, so a holder that was paused and revived can write nothing. No session-level lock: it works behind a
 * pooler.
 */

import { AppError } from '../errors.ts'
import { inTransaction, read, type Sql, type Tx } from './connection.ts'

export const LEASE_TTL_MS = 6_000

export type Lease = { readonly name: string; readonly holder: string; readonly fencing: number }

/** Takes the lease if it is free, expired, or already this holder's; null while another one holds it. */
export async function claimLease(sql: Sql, name: string, holder: string): Promise<Lease | null> {
  const rows = await inTransaction(
    sql,
    tx => tx<{ fencing: string }[]>`
      insert into indexer.leases as held (name, holder, fencing, expires_at)
      values (${name}, ${holder}, 1, clock_timestamp() + ${LEASE_TTL_MS} * interval '1 millisecond')
      on conflict (name) do update set
        holder = excluded.holder,
        fencing = held.fencing + 1,
        expires_at = excluded.expires_at
      where held.expires_at < clock_timestamp() or held.holder = excluded.holder
      returning fencing`,
  )
  const row = rows[0]
  return row === undefined ? null : { name, holder, fencing: Number(row.fencing) }
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
    select holder from indexer.leases where name = ${name} and expires_at >= clock_timestamp()`)
  return rows[0]?.holder ?? null
}

/** Makes a transaction valid only while the lease is held: a new holder must wait for it, an old one fails. */
export async function fence(tx: Tx, lease: Lease): Promise<void> {
  const rows = await tx`
    select 1 from indexer.leases where name = ${lease.name} and holder = ${lease.holder} and fencing = ${lease.fencing} for share`
  if (rows.length === 0) {
    throw new AppError('LEASE_LOST', `Another process follows this chain now.`, {
      facts: { lease: lease.name, fencing: lease.fencing },
      hint: 'This process stands by and takes over when the other one stops.',
    })
  }
}
