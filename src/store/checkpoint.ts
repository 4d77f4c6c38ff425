/**
 * How far a chain is committed, and the header window that a reorg is walked back through.
 */

import type { Checkpoint } from '../core/plan.ts'
import type { Hash, Header } from '../core/types.ts'
import { AppError } from '../errors.ts'
import { read, type Sql, type Tx } from './connection.ts'

/** Blocks below finality that are kept in the window, as the ground that a walk back ends on. */
const KEPT_BELOW_FINALITY = 2

export type StoredCheckpoint = Checkpoint & {
  readonly startBlock: number
  readonly headNumber: number
  /** Why the chain stands still until a person acts. */
  readonly halt: { readonly code: string; readonly message: string } | null
}

type CheckpointRow = {
  block_number: string
  block_hash: Hash
  block_timestamp: string
  finalized_number: string
  start_block: string
  head_number: string
  halt_code: string | null
  halt_message: string | null
}

export async function loadCheckpoint(sql: Sql | Tx, chainId: number): Promise<StoredCheckpoint | null> {
  const rows = await read(sql<CheckpointRow[]>`select * from indexer.checkpoints where chain_id = ${chainId}`)
  const row = rows[0]
  if (row === undefined) return null
  return {
    number: Number(row.block_number),
    hash: row.block_hash,
    timestamp: Number(row.block_timestamp),
    finalizedNumber: Number(row.finalized_number),
    startBlock: Number(row.start_block),
    headNumber: Number(row.head_number),
    halt: row.halt_code === null ? null : { code: row.halt_code, message: row.halt_message ?? '' },
  }
}

export type CheckpointMove = {
  readonly chainId: number
  /** Hash of the checkpoint that this move starts from; null: there must be none yet. */
  readonly expectedHash: Hash | null
  readonly to: Header
  readonly finalizedNumber: number
  readonly headNumber: number
  /** Used when the first checkpoint is made. */
  readonly startBlock: number
  /** A person accepted a reorg beyond finality: what is final is what the node says now. */
  readonly resetsFinality?: boolean
}

/** Moves the checkpoint, if it still is where the step began. */
export async function moveCheckpoint(tx: Tx, move: CheckpointMove): Promise<void> {
  const moved = await tx`${moving(tx, move)}`
  if (moved.length === 0) throw wrongCheckpoint(move)
}

/** Gives one row if the checkpoint still was where the step began, and none else. */
export const moving = (tx: Tx, move: CheckpointMove) => {
  const { chainId, expectedHash, to, finalizedNumber, headNumber, startBlock } = move
  const resets = move.resetsFinality ?? false
  return expectedHash === null
    ? tx`
        insert into indexer.checkpoints
          (chain_id, start_block, block_number, block_hash, block_timestamp, finalized_number, head_number)
        values (${chainId}, ${startBlock}, ${to.number}, ${to.hash}, ${to.timestamp}, ${finalizedNumber}, ${headNumber})
        on conflict (chain_id) do nothing
        returning 1`
    : tx`
        update indexer.checkpoints set
          block_number = ${to.number}, block_hash = ${to.hash}, block_timestamp = ${to.timestamp},
          finalized_number = case when ${resets} then ${finalizedNumber} else greatest(finalized_number, ${finalizedNumber}) end,
          head_number = ${headNumber}, halt_code = null, halt_message = null, updated_at = now()
        where chain_id = ${chainId} and block_hash = ${expectedHash} and (halt_code is null or ${resets})
        returning 1`
}

export function wrongCheckpoint({ chainId, expectedHash }: CheckpointMove): AppError {
  return new AppError('LEASE_LOST', 'The checkpoint is not where this step began: somebody else moved it.', {
    facts: { chain: chainId, expected: expectedHash },
    hint: 'It is read again.',
  })
}

/** The lowest block that the window keeps. */
export function windowFrom(headers: readonly Header[], finalizedNumber: number): number {
  return Math.min(finalizedNumber, headers.at(-1)?.number ?? finalizedNumber) - KEPT_BELOW_FINALITY
}

/** Adds headers to the window, those that it keeps. */
export const addingHeaders = (tx: Tx, chainId: number, headers: readonly Header[], keepFrom: number) => {
  const kept = headers.filter(({ number }) => number >= keepFrom)
  return tx`
    insert into indexer.headers (chain_id, number, hash, parent_hash, timestamp)
    select ${chainId}, * from unnest(
      ${kept.map(({ number }) => number)}::bigint[], ${kept.map(({ hash }) => hash)}::text[],
      ${kept.map(({ parentHash }) => parentHash)}::text[], ${kept.map(({ timestamp }) => timestamp)}::bigint[]
    )
    on conflict (chain_id, number) do update set
      hash = excluded.hash, parent_hash = excluded.parent_hash, timestamp = excluded.timestamp`
}

type HeaderRow = { number: string; hash: Hash; parent_hash: Hash; timestamp: string }

const toHeader = (row: HeaderRow): Header => ({
  number: Number(row.number),
  hash: row.hash,
  parentHash: row.parent_hash,
  timestamp: Number(row.timestamp),
})

/** Our header at a height; null if the window does not hold it. */
export async function headerAt(sql: Sql, chainId: number, number: number): Promise<Header | null> {
  const rows = await read(
    sql<HeaderRow[]>`select * from indexer.headers where chain_id = ${chainId} and number = ${number}`,
  )
  return rows[0] === undefined ? null : toHeader(rows[0])
}

/** The whole window from a height on, lowest first. */
export async function loadWindow(sql: Sql, chainId: number, fromNumber: number): Promise<Header[]> {
  const rows = await read(sql<HeaderRow[]>`
    select * from indexer.headers where chain_id = ${chainId} and number >= ${fromNumber} order by number`)
  return rows.map(toHeader)
}

/** Marks a chain as standing still until a person acts, or (null) as free to go on. */
export async function setHalt(
  sql: Sql,
  chainId: number,
  halt: { code: string; message: string } | null,
): Promise<void> {
  await read(sql`
    update indexer.checkpoints set halt_code = ${halt?.code ?? null}, halt_message = ${halt?.message ?? null}, updated_at = now()
    where chain_id = ${chainId}`)
}

/** Blocks that hold rows of ours, lowest first. */
export async function loadAnchors(sql: Sql, chainId: number): Promise<{ number: number; hash: Hash }[]> {
  const rows = await read(sql<{ number: string; hash: Hash }[]>`
    select block_number as number, block_hash as hash from indexer.inclusions where chain_id = ${chainId}
    union
    select block_number, block_hash from wallet_activity where chain_id = ${chainId} and block_hash is not null
    order by number`)
  return rows.map(row => ({ number: Number(row.number), hash: row.hash }))
}
