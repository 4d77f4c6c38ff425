/**
 * THE write: blocks, their rows and the checkpoint, in one transaction; and its reverse after a reorg.
 *
 * Always holds, after a kill at any instant: either all of a step is there or nothing of it. Whatever guards a step (the lease, the
 * version of the wallets, the place of the checkpoint) is checked within the same transaction that writes.
 */

import type { Chain } from '../core/chain.ts'
import { summarizeUsers } from '../core/classify.ts'
import { settledHeight } from '../core/lifecycle.ts'
import type { Proof } from '../core/proof.ts'
import type { Range } from '../core/range.ts'
import type { ActivityRow, Address, Hash, Header, TransactionFacts } from '../core/types.ts'
import {
  deleteActivitiesAbove,
  deleteActivitiesOfBlock,
  deletingActivitiesOfOtherBlocks,
  insertActivities,
  loadActivities,
  type MetadataType,
} from './activities.ts'
import { type Claim, underClaim } from './claims.ts'
import {
  addingHeaders,
  type CheckpointMove,
  wrongCheckpoint,
  loadCheckpoint,
  moveCheckpoint,
  moving,
  windowFrom,
} from './checkpoint.ts'
import { inTransaction, type Sql, type Tx } from './connection.ts'
import { addCoverage, addWalletCoverage, cutCoverage, extendCoverage, joinCoverage, noteLacking } from './coverage.ts'
import { writeFresh } from './fresh.ts'
import { holdAll } from './guard.ts'
import { type InternalValue, insertInternal } from './internal-value.ts'
import { fence, type Lease } from './lease.ts'
import { holdRegistry, ownersOf } from './registry.ts'
import { reopenReplaced } from './unseen.ts'
import { orphanTransactions, settleTransactions } from './settlement.ts'
import { rederiveTransactions, writeTransactions } from './transactions.ts'

export type BlockRows = {
  readonly activities: readonly ActivityRow[]
  readonly transactions: readonly TransactionFacts[]
}

export type Advance = BlockRows & {
  readonly chain: Chain
  readonly lease: Lease
  readonly registryVersion: number
  readonly headers: readonly Header[]
  readonly move: CheckpointMove
  /** The highest block that is deep enough for a status. */
  readonly settledHeight: number
}

export type Written = { readonly activities: number; readonly settled: number }

/**
 * The follower's step forward.
 *
 * @throws AppError LEASE_LOST, REGISTRY_STALE (match again), DB_UNAVAILABLE (nothing is known: read the checkpoint again)
 */
export function commitAdvance(sql: Sql, step: Advance): Promise<Written> {
  const { chain } = step
  return inTransaction(sql, async tx => {
    const type = await holdAll(tx, { lease: step.lease, registryVersion: step.registryVersion, chainId: chain.id })
    await takePlace(tx, step)
    const activities = await writeRows(tx, chain, step, step.settledHeight, type)
    const settled = await settleTransactions(tx, chain.id, step.settledHeight)
    return { activities, settled }
  })
}

/** Checkpoint, window and coverage are moved on, in one statement: nothing in it depends on another part of it. */
async function takePlace(tx: Tx, { chain, headers, move }: Advance): Promise<void> {
  const range = { from: headers[0]?.number ?? move.to.number, to: move.to.number, proof: chain.verification }
  const keepFrom = windowFrom(headers, move.finalizedNumber)
  const [taken] = await tx<{ moved: boolean; extended: boolean }[]>`
    with moved as (${moving(tx, move)}),
      added as (${addingHeaders(tx, chain.id, headers, keepFrom)}),
      forgotten as (delete from indexer.headers where chain_id = ${chain.id} and number < ${keepFrom}),
      leftover as (${deletingActivitiesOfOtherBlocks(tx, chain.id, headers)}),
      extended as (${extendCoverage(tx, chain.id, range)})
    select exists (select 1 from moved) as moved, exists (select 1 from extended) as extended`
  if (taken?.moved !== true) throw wrongCheckpoint(move)
  if (!taken.extended) await joinCoverage(tx, chain.id, range)
}

export type BackfillCommit = BlockRows & {
  readonly chain: Chain
  readonly registryVersion: number
  /** Of the set of wallets for which the blocks were sieved: whoever was linked since lacks them. Absent: nothing was left out. */
  readonly sievedVersion?: number
  readonly range: Range
  /** Only these wallets were matched; null: the whole set. */
  readonly wallets: readonly Address[] | null
  readonly settledHeight: number
  /** Under which the piece is taken, where it is one of a job that several processes may share. */
  readonly claim?: Claim | undefined
  /** How the piece is known to be complete for its wallets; absent: all of its blocks were read. */
  readonly proof?: Proof
  /** Value that came or went inside of transactions. */
  readonly internal?: readonly InternalValue[]
}

/**
 * A piece of history: blocks that are final, so neither checkpoint nor lease is concerned.
 *
 * @param mayCopy whether rows may go in by COPY where nothing is known of them; the rows are the same
 * @throws AppError LEASE_LOST (somebody else has the piece: nothing was written), REGISTRY_STALE (match again)
 */
export function commitBackfill(sql: Sql, piece: BackfillCommit, mayCopy = true): Promise<Written> {
  const { chain, range, wallets, settledHeight: deepHeight } = piece
  const write = async (tx: Tx, tryCopy: boolean): Promise<Written> => {
    await holdRegistry(tx, piece.registryVersion)
    if (wallets === null) {
      const isCopied = tryCopy && (await writeFresh(tx, chain, piece, deepHeight))
      const activities = isCopied ? piece.activities.length : await writeRows(tx, chain, piece, deepHeight)
      // Last, so that a block at the head, and others who take pieces, wait for this moment and not for all of the rows.
      await addCoverage(tx, chain.id, range, chain.verification)
      if (piece.sievedVersion !== undefined && piece.sievedVersion !== piece.registryVersion)
        await noteLacking(tx, chain.id, piece.sievedVersion, range)
      return { activities, settled: 0 }
    }
    const activities = await insertActivities(tx, piece.activities)
    const transactions = await withOtherParticipants(tx, chain, piece.transactions)
    await writeTransactions(tx, chain, transactions, deepHeight)
    await insertInternal(tx, chain.id, piece.internal ?? [])
    await addWalletCoverage(tx, chain.id, wallets, range, piece.proof ?? chain.verification)
    return { activities, settled: 0 }
  }
  // The second try, after a conflict, is made the careful way.
  let isFirst = true
  return inTransaction(sql, tx => {
    const tryCopy = mayCopy && isFirst
    isFirst = false
    return underClaim(tx, piece.claim, range, () => write(tx, tryCopy))
  })
}

/** Facts that were matched for some wallets only, with the others that the database knows: the sender's user comes first. */
async function withOtherParticipants(
  tx: Tx,
  chain: Chain,
  transactions: readonly TransactionFacts[],
): Promise<TransactionFacts[]> {
  const hashes = transactions.map(({ inclusion }) => inclusion.transactionHash)
  const activities = await loadActivities(tx, chain.id, hashes)
  const ownerOf = await ownersOf(tx, hashes)
  return transactions.map(({ inclusion }) => {
    const own = activities.get(inclusion.transactionHash) ?? []
    return { inclusion, summaries: summarizeUsers(own, inclusion.sender, chain, ownerOf) }
  })
}

export type Rewind = {
  readonly chain: Chain
  /** All chains that are configured: a transaction may stand on another one too. */
  readonly chains: ReadonlyMap<number, Chain>
  readonly lease: Lease
  readonly move: CheckpointMove
}

export type Rewound = { readonly activities: number; readonly toNumber: number }

/** Takes back everything above the common ancestor. */
export function commitRewind(sql: Sql, { chain, chains, lease, move }: Rewind): Promise<Rewound> {
  const above = move.to.number
  return inTransaction(sql, async tx => {
    await fence(tx, lease)
    await moveCheckpoint(tx, move)
    await tx`delete from indexer.headers where chain_id = ${chain.id} and number > ${above}`
    await cutCoverage(tx, chain.id, above)
    const activities = await deleteActivitiesAbove(tx, chain.id, above)
    const elsewhere = await orphanTransactions(tx, chain.id, above)
    await reopenReplaced(tx, chain.id, above)
    await rederiveTransactions(tx, chains, elsewhere, await ownersOf(tx, elsewhere))
    return { activities, toNumber: above }
  })
}

/**
 * What the sweep found: transactions that the application asked about, in blocks that were committed before.
 *
 * The block must still be the one in our window, or be final: else nothing is written and the next sweep asks again.
 */
export function commitFound(
  sql: Sql,
  found: BlockRows & {
    readonly chain: Chain
    readonly registryVersion: number
    readonly block: { readonly number: number; readonly hash: Hash }
  },
): Promise<boolean> {
  const { chain, block } = found
  return inTransaction(sql, async tx => {
    await holdRegistry(tx, found.registryVersion)
    if (!(await isTaken(tx, chain.id, block))) return false
    await writeTaken(tx, chain, block, found)
    return true
  })
}

export type Repair = BlockRows & {
  readonly chain: Chain
  readonly registryVersion: number
  readonly block: { readonly number: number; readonly hash: Hash }
  /** Whose rows are taken away and written again. */
  readonly wallets: readonly Address[]
}

/** Writes a block's rows again, whatever they are now. @returns false: our window has another block there */
export function commitRepair(sql: Sql, repair: Repair): Promise<boolean> {
  const { chain, block, wallets } = repair
  return inTransaction(sql, async tx => {
    await holdRegistry(tx, repair.registryVersion)
    if (!(await isTaken(tx, chain.id, block))) return false
    await deleteActivitiesOfBlock(tx, chain.id, block.number, wallets, repair.activities)
    const transactions = await withoutOwnerless(tx, repair.transactions)
    await writeTaken(tx, chain, block, { activities: repair.activities, transactions })
    return true
  })
}

/** Leaves out what no user is left of: such a row stays as it is, unless it is the application's. */
async function withoutOwnerless(tx: Tx, transactions: readonly TransactionFacts[]): Promise<TransactionFacts[]> {
  const ownerless = transactions.filter(({ summaries }) => summaries.length === 0)
  const adopted = await tx<{ tx_hash: Hash }[]>`
    select tx_hash from indexer.transactions
    where tx_hash = any(${ownerless.map(({ inclusion }) => inclusion.transactionHash)}::text[]) and application_hash is not null`
  const kept = new Set(adopted.map(row => row.tx_hash))
  return transactions.filter(({ inclusion, summaries }) => summaries.length > 0 || kept.has(inclusion.transactionHash))
}

/**
 * Whether this very block was taken: it is in our window, or below that and final; above the checkpoint only backfill was, which
 * takes final blocks. No rewind can come between, because it waits for the checkpoint that is held here.
 */
async function isTaken(
  tx: Tx,
  chainId: number,
  block: { readonly number: number; readonly hash: Hash },
): Promise<boolean> {
  const [checkpoint] = await tx<{ passed: boolean; final: boolean }[]>`
    select ${block.number} <= block_number as passed, ${block.number} <= least(finalized_number, block_number) as final
    from indexer.checkpoints where chain_id = ${chainId} for share`
  // A statement of its own: it sees what was committed while the one above waited.
  const [own] = await tx<{ hash: Hash }[]>`
    select hash from indexer.headers where chain_id = ${chainId} and number = ${block.number}`
  if (checkpoint?.passed) return own === undefined ? checkpoint.final : own.hash === block.hash
  const [covered] = await tx`
    select 1 from indexer.coverage where chain_id = ${chainId} and ${block.number} between from_block and to_block
    union all
    select 1 from indexer.wallet_coverage
    where chain_id = ${chainId} and covered and ${block.number} between from_block and to_block limit 1`
  return covered !== undefined
}

/**
 * Writes rows of a block that was taken before. What is deep enough is decided by the checkpoint as it is now, not as it was when the
 * block was fetched: if the chain stands still, no later step would decide it.
 */
async function writeTaken(tx: Tx, chain: Chain, block: { readonly number: number }, rows: BlockRows): Promise<void> {
  const checkpoint = await loadCheckpoint(tx, chain.id)
  // Above the checkpoint only a backfill was, which takes final blocks.
  const height =
    checkpoint === null || block.number > checkpoint.number
      ? block.number
      : settledHeight({
          confirmations: chain.confirmations,
          checkpointNumber: checkpoint.number,
          tagNumber: null,
          finalizedNumber: checkpoint.finalizedNumber,
        })
  await writeRows(tx, chain, rows, height)
  await settleTransactions(tx, chain.id, height)
}

async function writeRows(
  tx: Tx,
  chain: Chain,
  rows: BlockRows,
  deepHeight: number,
  type?: MetadataType,
): Promise<number> {
  const inserted = await insertActivities(tx, rows.activities, type)
  await writeTransactions(tx, chain, rows.transactions, deepHeight)
  return inserted
}
