/**
 * Counts for `status`.
 */

import { read, type Sql } from './connection.ts'

export type Totals = {
  readonly wallets: { readonly users: number; readonly watched: number; readonly waitingForAttribution: number }
  readonly transactions: {
    readonly pending: number
    readonly confirmed: number
    readonly failed: number
    /** Rows of the application that no chain has shown yet. */
    readonly sought: number
    /** Rows whose hash is none. */
    readonly malformed: number
  }
}

export async function loadTotals(sql: Sql): Promise<Totals> {
  const [row] = await read(sql<Record<string, number>[]>`
    select
      (select count(*)::int from indexer.wallets where tracked and user_id is not null) as users,
      (select count(*)::int from indexer.wallets where tracked and user_id is null) as watched,
      (select count(*)::int from indexer.attribution_queue) as waiting,
      count(*) filter (where status = 'pending')::int as pending,
      count(*) filter (where status = 'confirmed')::int as confirmed,
      count(*) filter (where status = 'failed')::int as failed,
      count(*) filter (where chain_id is null and not malformed)::int as sought,
      count(*) filter (where malformed)::int as malformed
    from indexer.transactions`)
  const count = (name: string) => row?.[name] ?? 0
  return {
    wallets: { users: count('users'), watched: count('watched'), waitingForAttribution: count('waiting') },
    transactions: {
      pending: count('pending'),
      confirmed: count('confirmed'),
      failed: count('failed'),
      sought: count('sought'),
      malformed: count('malformed'),
    },
  }
}

/** Pending rows that say this chain. */
export async function countPending(sql: Sql, label: string): Promise<number> {
  const [row] = await read(sql<{ count: number }[]>`
    select count(*)::int as count from user_transactions where status = 'pending' and chain = ${label}`)
  return row?.count ?? 0
}
