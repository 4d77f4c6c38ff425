/**
 * Rows of `wallet_activity` that this daemon owns: those with a block hash. Rows that the application wrote are never touched.
 */

import type { ClassifiedRow } from '../core/classify.ts'
import type { ActivityRow, Address, Hash, Header, Json, Metadata } from '../core/types.ts'
import type { Tx } from './connection.ts'
import { activityId } from './ids.ts'

/** Of the `metadata` column: LinkDAO's own migration made it text, ours jsonb. Both are written correctly. */
export type MetadataType = 'jsonb' | 'text'

/** As a value in SQL. Asked in every commit, in a statement that is made anyway: the application's tool may change it at any time. */
export const metadataType = (tx: Tx) => tx`
  (select case when atttypid = 'jsonb'::regtype then 'jsonb' else 'text' end from pg_attribute
    where attrelid = 'wallet_activity'::regclass and attname = 'metadata' and not attisdropped)`

async function askMetadataType(tx: Tx): Promise<MetadataType> {
  const [column] = await tx<{ type: MetadataType | null }[]>`select ${metadataType(tx)} as type`
  return column?.type ?? 'text'
}

/**
 * Inserts rows that are not there yet; the others stay as they are.
 *
 * @param type where it was asked for in this transaction
 * @returns how many were new
 */
export async function insertActivities(tx: Tx, rows: readonly ActivityRow[], type?: MetadataType): Promise<number> {
  if (rows.length === 0) return 0
  // In the order of their keys: two that insert the same rows in opposite orders would wait for each other.
  const sorted = rows.map(row => ({ ...row, id: activityId(row) })).toSorted((a, b) => (a.id < b.id ? -1 : 1))
  const metadata = (type ?? (await askMetadataType(tx))) === 'jsonb' ? tx`metadata::jsonb` : tx`metadata`
  const inserted = await tx`
    insert into wallet_activity (
      id, wallet_address, user_id, activity_type, tx_hash, amount, raw_amount, token, token_address,
      chain_id, metadata, block_number, block_hash, log_index, "timestamp"
    )
    select
      id, wallet, user_id, type, tx_hash, amount, raw_amount, token, token_address,
      chain_id, ${metadata}, block_number, block_hash, log_index, to_timestamp(block_time) at time zone 'UTC'
    from unnest(
      ${sorted.map(row => row.id)}::uuid[],
      ${sorted.map(row => row.walletAddress)}::text[],
      ${sorted.map(row => row.userId)}::uuid[],
      ${sorted.map(row => row.activityType)}::text[],
      ${sorted.map(row => row.transactionHash)}::text[],
      ${sorted.map(row => row.amount)}::numeric[],
      ${sorted.map(row => row.rawAmount?.toString() ?? null)}::numeric[],
      ${sorted.map(row => row.token)}::text[],
      ${sorted.map(row => row.tokenAddress)}::text[],
      ${sorted.map(row => row.chainId)}::integer[],
      ${sorted.map(row => JSON.stringify(row.metadata))}::text[],
      ${sorted.map(row => row.blockNumber)}::bigint[],
      ${sorted.map(row => row.blockHash)}::text[],
      ${sorted.map(row => row.logIndex)}::integer[],
      ${sorted.map(row => row.timestamp)}::double precision[]
    ) as r (
      id, wallet, user_id, type, tx_hash, amount, raw_amount, token, token_address,
      chain_id, metadata, block_number, block_hash, log_index, block_time
    )
    on conflict (id) do nothing`
  return inserted.count
}

/** Removes our rows above a block: after a rewind. */
export async function deleteActivitiesAbove(tx: Tx, chainId: number, blockNumber: number): Promise<number> {
  const deleted = await tx`
    delete from wallet_activity where chain_id = ${chainId} and block_number > ${blockNumber} and block_hash is not null`
  return deleted.count
}

/**
 * Removes our rows at some heights that are of other blocks: what a restore of the schema `indexer` alone leaves, if the chain was
 * reorganised meanwhile.
 */
export const deletingActivitiesOfOtherBlocks = (tx: Tx, chainId: number, blocks: readonly Header[]) => {
  const numbers = blocks.map(({ number }) => number)
  return tx`
    delete from wallet_activity
    where chain_id = ${chainId} and block_number between ${Math.min(...numbers)} and ${Math.max(...numbers)}
      and block_hash is not null and block_hash <> all(${blocks.map(({ hash }) => hash)}::text[])`
}

/**
 * Removes our rows of one block and some wallets; also those that would be written there again but lack their block hash, because
 * another tool dropped the column.
 */
export async function deleteActivitiesOfBlock(
  tx: Tx,
  chainId: number,
  blockNumber: number,
  wallets: readonly Address[],
  rows: readonly ActivityRow[],
): Promise<void> {
  await tx`
    delete from wallet_activity
    where (chain_id = ${chainId} and block_number = ${blockNumber} and block_hash is not null
        and wallet_address = any(${wallets}::text[]))
      or id = any(${rows.map(activityId)}::uuid[])`
}

type ActivityRecord = {
  wallet_address: Address
  activity_type: string
  tx_hash: Hash
  amount: string | null
  raw_amount: string | null
  token: string | null
  token_address: Address | null
  metadata: unknown
  log_index: number | null
}

/** What classification needs of the activities of some transactions on one chain, by transaction. */
export async function loadActivities(
  tx: Tx,
  chainId: number,
  hashes: readonly Hash[],
): Promise<Map<Hash, ClassifiedRow[]>> {
  const records = await tx<ActivityRecord[]>`
    select wallet_address, activity_type, tx_hash, trim_scale(amount)::text as amount, raw_amount::text as raw_amount, token,
      token_address, metadata, log_index
    from wallet_activity
    where chain_id = ${chainId} and tx_hash = any(${hashes}::text[]) and block_hash is not null`
  return Map.groupBy(records.map(toClassified), row => row.transactionHash)
}

function toClassified(record: ActivityRecord): ClassifiedRow & { transactionHash: Hash } {
  return {
    transactionHash: record.tx_hash,
    walletAddress: record.wallet_address,
    activityType: record.activity_type,
    amount: record.amount,
    rawAmount: record.raw_amount === null ? null : BigInt(record.raw_amount),
    token: record.token,
    tokenAddress: record.token_address,
    metadata: parseMetadata(record.metadata),
    logIndex: record.log_index,
  }
}

/** Metadata of our own rows: an object already (jsonb), or its text. Anything else reads as empty. */
function parseMetadata(value: unknown): Metadata {
  try {
    const parsed: unknown = typeof value === 'string' ? JSON.parse(value) : value
    return typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed)
      ? (parsed as Record<string, Json>)
      : {}
  } catch {
    return {} // Not ours: the daemon writes valid JSON only.
  }
}
