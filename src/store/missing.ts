/**
 * Transactions that are recorded as ours and whose rows are not there: what a partial restore leaves, where the application's tables
 * come from an older dump than the schema `indexer`.
 *
 * This is a suspicion and no proof: a user who was erased takes rows along. Rows that only the application asked for are left out.
 */

import type { Hash } from '../core/types.ts'
import { read, type Sql } from './connection.ts'

/** The newest ones that are looked at: by block, and by when they were written, where a backfill comes last. */
const NEWEST = 200

export type Suspect = {
  readonly transactionHash: Hash
  readonly blockNumber: number
  readonly blockHash: Hash
  /** What is there of it: one of them is not. */
  readonly hasActivity: boolean
  readonly hasRow: boolean
}

/** That a transaction i, in the ledger as k, should have activities and has none. */
const lacksActivity = (sql: Sql) => sql`
  (k.application_hash is null or exists (select 1 from indexer.wallets w where w.address = i.sender and w.tracked))
    and not exists (
      select 1 from wallet_activity a where a.tx_hash = i.tx_hash and a.chain_id = i.chain_id and a.block_hash is not null
    )`

/**
 * That it is shown in user_transactions, is not the application's, somebody owns it still, and its row is gone. A row goes with its
 * user, and another one who takes part gets it: so nobody may wait for attribution.
 */
const lacksRow = (sql: Sql) => sql`
  k.chain_id = i.chain_id and k.application_hash is null
    and not exists (select 1 from user_transactions u where lower(u.tx_hash) = i.tx_hash)
    and exists (
      select 1 from wallet_activity a
      where a.tx_hash = i.tx_hash and a.chain_id = i.chain_id and a.block_hash is not null and a.user_id is not null
    )
    and not exists (
      select 1 from wallet_activity a join indexer.attribution_queue q on q.address = a.wallet_address
      where a.tx_hash = i.tx_hash and a.chain_id = i.chain_id
    )`

/** Suspects among the newest transactions of a chain, the newest first. Costs some hundred look-ups by key. */
export async function loadSuspects(sql: Sql, chainId: number): Promise<Suspect[]> {
  const rows = await read(sql<
    { tx_hash: Hash; block_number: string; block_hash: Hash; no_activity: boolean; no_row: boolean }[]
  >`
    select * from (
      select i.tx_hash, i.block_number, i.block_hash, ${lacksActivity(sql)} as no_activity, ${lacksRow(sql)} as no_row
      from (
        (select tx_hash from indexer.inclusions where chain_id = ${chainId} order by block_number desc limit ${NEWEST})
        union
        select tx_hash from (select tx_hash, chain_id from indexer.transitions order by id desc limit ${NEWEST}) written
        where chain_id = ${chainId}
      ) newest
      join indexer.inclusions i on i.tx_hash = newest.tx_hash and i.chain_id = ${chainId}
      left join indexer.transactions k on k.tx_hash = i.tx_hash
    ) looked where no_activity or no_row
    order by block_number desc, tx_hash`)
  return rows.map(row => ({
    transactionHash: row.tx_hash,
    blockNumber: Number(row.block_number),
    blockHash: row.block_hash,
    hasActivity: !row.no_activity,
    hasRow: !row.no_row,
  }))
}

/** The lowest block with a suspect in it. Goes through all transactions of the chain: for when something is missing. */
export async function lowestSuspect(sql: Sql, chainId: number): Promise<number | null> {
  const rows = await read(sql<{ lowest: string | null }[]>`
    select min(i.block_number) as lowest
    from indexer.inclusions i left join indexer.transactions k on k.tx_hash = i.tx_hash
    where i.chain_id = ${chainId} and ((${lacksActivity(sql)}) or (${lacksRow(sql)}))`)
  const lowest = rows[0]?.lowest ?? null
  return lowest === null ? null : Number(lowest)
}
