/**
 * Long work that an operator started, so that `status` can tell how far it is.
 */

import type { Range } from '../core/range.ts'
import type { Address } from '../core/types.ts'
import { read, type Sql } from './connection.ts'

export type JobState = 'running' | 'done' | 'failed'

export type Job = {
  readonly id: string
  readonly kind: string
  readonly chainId: number
  readonly range: Range
  readonly wallets: readonly Address[] | null
  readonly state: JobState
  readonly blocksDone: number
  readonly blocksTotal: number
  readonly updatedSecondsAgo: number
}

export async function openJob(
  sql: Sql,
  job: { chainId: number; range: Range; wallets: readonly Address[] | null; blocksTotal: number },
): Promise<string> {
  const rows = await read(sql<{ id: string }[]>`
    insert into indexer.jobs (kind, chain_id, from_block, to_block, wallets, blocks_total)
    values ('backfill', ${job.chainId}, ${job.range.from}, ${job.range.to}, ${job.wallets === null ? null : [...job.wallets]}::text[],
      ${job.blocksTotal})
    returning id`)
  return rows[0]?.id ?? ''
}

export async function updateJob(sql: Sql, id: string, blocksDone: number, state: JobState): Promise<void> {
  await read(
    sql`update indexer.jobs set blocks_done = ${blocksDone}, state = ${state}, updated_at = now() where id = ${id}`,
  )
}

/** The newest jobs first. */
export async function listJobs(sql: Sql, limit: number): Promise<Job[]> {
  const rows = await read(sql<
    {
      id: string
      kind: string
      chain_id: number
      from_block: string
      to_block: string
      wallets: Address[] | null
      state: JobState
      blocks_done: string
      blocks_total: string
      age: number
    }[]
  >`
    select *, extract(epoch from now() - updated_at)::float8 as age from indexer.jobs order by created_at desc limit ${limit}`)
  return rows.map(row => ({
    id: row.id,
    kind: row.kind,
    chainId: row.chain_id,
    range: { from: Number(row.from_block), to: Number(row.to_block) },
    wallets: row.wallets,
    state: row.state,
    blocksDone: Number(row.blocks_done),
    blocksTotal: Number(row.blocks_total),
    updatedSecondsAgo: row.age,
  }))
}
