/**
 * Inclusions: that a transaction stands in a block of a chain. What its status is decided by.
 */

import type { Address, Hash, Inclusion } from '../core/types.ts'
import { booleans } from './array-types.ts'
import type { Tx } from './connection.ts'

type InclusionRow = {
  tx_hash: Hash
  chain_id: number
  block_number: string
  block_hash: Hash
  transaction_index: number
  block_timestamp: string
  sender: Address
  nonce: string
  succeeded: boolean | null
  settled: boolean
  needs: string | null
}

export type StoredInclusion = Inclusion & { readonly settled: boolean }

/** Whether its status can be decided by its depth alone. What needs more is settled with the checkpoint at hand. */
export function isDeep({ succeeded, needs, blockNumber }: Inclusion, settledHeight: number): boolean {
  return succeeded !== null && needs === null && blockNumber <= settledHeight
}

/** By hash: those on all chains, the lowest first. */
export async function loadInclusions(tx: Tx, hashes: readonly Hash[]): Promise<Map<Hash, StoredInclusion[]>> {
  // Locked, before the ledger and the rows are, as settling does: whoever decides by what is read here would else overwrite a status
  // that another one settles at the same moment.
  const rows = await tx<InclusionRow[]>`
    select * from indexer.inclusions where tx_hash = any(${hashes}::text[]) order by tx_hash, chain_id for update`
  return Map.groupBy(
    rows.map(row => ({
      transactionHash: row.tx_hash,
      chainId: row.chain_id,
      blockNumber: Number(row.block_number),
      blockHash: row.block_hash,
      transactionIndex: row.transaction_index,
      timestamp: Number(row.block_timestamp),
      sender: row.sender,
      nonce: Number(row.nonce),
      succeeded: row.succeeded,
      settled: row.settled,
      needs: row.needs === null ? null : row.needs === 'finalized' ? row.needs : Number(row.needs),
    })),
    ({ transactionHash }) => transactionHash,
  )
}

/** @returns the hashes that were not there on this chain */
export async function insertInclusions(tx: Tx, inclusions: readonly StoredInclusion[]): Promise<Set<Hash>> {
  const inserted = await tx<{ tx_hash: Hash }[]>`
    insert into indexer.inclusions
      (tx_hash, chain_id, block_number, block_hash, transaction_index, block_timestamp, sender, nonce, succeeded, settled, needs)
    select * from ${unnestInclusions(tx, inclusions)}
    on conflict (tx_hash, chain_id) do nothing
    returning tx_hash`
  return new Set(inserted.map(row => row.tx_hash))
}

/** Whether an inclusion is stored as it is now: then it need not be sent. */
export function saysTheSame(stored: StoredInclusion | undefined, now: StoredInclusion): boolean {
  return (
    stored !== undefined &&
    stored.blockHash === now.blockHash &&
    stored.settled === now.settled &&
    stored.succeeded === now.succeeded &&
    stored.needs === now.needs
  )
}

export async function updateInclusions(tx: Tx, inclusions: readonly StoredInclusion[]): Promise<void> {
  if (inclusions.length === 0) return
  await tx`
    update indexer.inclusions known set
      block_number = r.block_number, block_hash = r.block_hash, transaction_index = r.transaction_index,
      block_timestamp = r.block_timestamp, succeeded = r.succeeded, settled = r.settled, needs = r.needs
    from ${unnestInclusions(tx, inclusions)} as r
      (tx_hash, chain_id, block_number, block_hash, transaction_index, block_timestamp, sender, nonce, succeeded, settled, needs)
    where known.tx_hash = r.tx_hash and known.chain_id = r.chain_id
      and (known.block_hash, known.settled, known.succeeded, known.needs)
        is distinct from (r.block_hash, r.settled, r.succeeded, r.needs)`
}

const unnestInclusions = (tx: Tx, inclusions: readonly StoredInclusion[]) => tx`
  unnest(
    ${inclusions.map(row => row.transactionHash)}::text[], ${inclusions.map(row => row.chainId)}::integer[],
    ${inclusions.map(row => row.blockNumber)}::bigint[], ${inclusions.map(row => row.blockHash)}::text[],
    ${inclusions.map(row => row.transactionIndex)}::integer[], ${inclusions.map(row => row.timestamp)}::bigint[],
    ${inclusions.map(row => row.sender)}::text[], ${inclusions.map(row => row.nonce)}::bigint[],
    ${booleans(inclusions.map(row => row.succeeded))}::text[]::boolean[], ${booleans(inclusions.map(row => row.settled))}::text[]::boolean[],
    ${inclusions.map(row => row.needs?.toString() ?? null)}::text[]
  )`
