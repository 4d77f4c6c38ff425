/**
 * Value that a wallet got or paid inside of somebody's transaction, as its balance shows it: facts about a block, of which only a trace
 * would tell the moves.
 */

import type { Address, Hash } from '../core/types.ts'
import { read, type Sql, type Tx } from './connection.ts'

export type InternalValue = {
  readonly wallet: Address
  readonly blockNumber: number
  /** In the smallest unit; below zero where value left. */
  readonly amount: bigint
  /** The transaction, where it can have been only one. */
  readonly transactionHash: Hash | null
}

/** Writes what is not known yet. */
export async function insertInternal(tx: Tx, chainId: number, values: readonly InternalValue[]): Promise<void> {
  if (values.length === 0) return
  await tx`
    insert into indexer.internal_value (chain_id, address, block_number, amount, tx_hash)
    select ${chainId}, * from unnest(
      ${values.map(({ wallet }) => wallet)}::text[], ${values.map(({ blockNumber }) => blockNumber)}::bigint[],
      ${values.map(({ amount }) => amount.toString())}::numeric[], ${values.map(each => each.transactionHash)}::text[]
    )
    on conflict (chain_id, address, block_number) do update set amount = excluded.amount, tx_hash = excluded.tx_hash`
}

/** What is known of a wallet, the newest first. */
export async function loadInternal(
  sql: Sql,
  chainId: number,
  address: Address,
  limit: number,
): Promise<InternalValue[]> {
  const rows = await read(sql<{ block_number: string; amount: string; tx_hash: Hash | null }[]>`
    select block_number, amount::text, tx_hash from indexer.internal_value
    where chain_id = ${chainId} and address = ${address} order by block_number desc limit ${limit}`)
  return rows.map(row => ({
    wallet: address,
    blockNumber: Number(row.block_number),
    amount: BigInt(row.amount),
    transactionHash: row.tx_hash,
  }))
}
