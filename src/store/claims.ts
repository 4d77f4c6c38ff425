/**
 * Who works on which piece of a job: claims that many processes on many machines make, renew, lose and close.
 *
 * Always holds: a piece belongs to whoever claimed it last, by its fencing number, and only who still has it can commit it
 * (`underClaim`, in the transaction that writes the rows). Claims run out by this database's clock alone. No lock outlives its
 * transaction, so it works behind a pooler.
 *
 * Claims of one chain are made one after the other, under an advisory lock that a commit never asks for. A piece that is being
 * committed is locked and passed over, by renewals too: nobody waits for a commit, and no claim runs out within one.
 */

import { chooseClaim, MAX_PIECE_BLOCKS } from '../core/claim.ts'
import type { Range } from '../core/range.ts'
import type { Address } from '../core/types.ts'
import { AppError } from '../errors.ts'
import { loadCommonCoverage } from './common-coverage.ts'
import { inTransaction, read, type Sql, type Tx } from './connection.ts'

/** Pieces that came back and are looked at in one go. */
const MAX_FREE = 64

export type Claim = {
  readonly pieceId: string
  readonly jobId: string
  readonly holder: string
  readonly fencing: number
}

export type ClaimRequest = {
  readonly jobId: string
  readonly chainId: number
  /** A name that no other process has. */
  readonly holder: string
  /** The highest block that may be taken: what this process knows to be final. */
  readonly upTo: number
  /** Blocks that a new piece may have; absent: as many as any. */
  readonly mostBlocks?: number
}

export type ClaimAnswer =
  | { readonly kind: 'piece'; readonly range: Range; readonly claim: Claim }
  /** Nothing to take now; what is not complete yet, others work on. */
  | { readonly kind: 'wait' }
  /** Everything up to the block that was named is complete. */
  | { readonly kind: 'over' }

type JobRow = {
  readonly from_block: string
  readonly to_block: string
  readonly wallets: Address[] | null
  readonly claim_ttl_ms: number
}
type PieceRow = { readonly id: string; readonly from_block: string; readonly to_block: string }

const toRange = (row: { from_block: string; to_block: string }): Range => ({
  from: Number(row.from_block),
  to: Number(row.to_block),
})

/**
 * Whether a piece `p` of a job `j` is nobody's any more: given back, run out, or claimed at a time that the clock was set back from.
 */
export const isFree = (sql: Sql | Tx) => sql`
  (p.holder is null or p.expires_at < clock_timestamp()
    or p.expires_at > clock_timestamp() + 2 * j.claim_ttl_ms * interval '1 millisecond')`

/** Claims and jobs of a chain are made one after the other. */
export async function lockJobs(tx: Tx, chainId: number): Promise<void> {
  await tx`select pg_advisory_xact_lock(hashtextextended('indexer.jobs', ${chainId}))`
}

/**
 * The next piece for a process: one that came back, or a new one of blocks that are neither complete nor anybody's.
 *
 * @throws AppError LEASE_LOST if there is no such job any more
 */
export function claimPiece(sql: Sql, request: ClaimRequest): Promise<ClaimAnswer> {
  const { jobId, chainId, holder, upTo, mostBlocks = MAX_PIECE_BLOCKS } = request
  return inTransaction(sql, async tx => {
    // What needs no answer of another is sent together: a claim is made for each piece, and the way to the database may be long.
    const [, job] = await Promise.all([lockJobs(tx, chainId), loadJob(tx, jobId)])
    if (job === undefined) throw jobGone(jobId)
    // In this order, pieces before coverage: one that is committed in between shows in both, and never in none of them.
    const [pieces, freeIds, elsewhere, complete] = await Promise.all([
      loadUndone(tx, jobId),
      lockFree(tx, jobId, holder),
      loadElsewhere(tx, chainId, jobId, job.wallets),
      loadCommonCoverage(tx, chainId, job.wallets),
    ])
    const undone = pieces.map(piece => ({ ...piece, isFree: freeIds.has(piece.id) }))
    const choice = chooseClaim({ range: toRange(job), upTo, complete, undone, elsewhere, mostBlocks })
    if (choice.closed.length > 0) await closeComplete(tx, choice.closed)
    const { piece } = choice
    const [, claimed] = await Promise.all([
      noteLeft(tx, jobId, choice.blocksLeft),
      piece === null ? null : writeClaim(tx, request, piece, job.claim_ttl_ms),
    ])
    if (piece === null || claimed === null) return { kind: choice.isOver ? 'over' : 'wait' }
    return {
      kind: 'piece',
      range: piece.range,
      claim: { pieceId: claimed.id, jobId, holder, fencing: claimed.fencing },
    }
  })
}

async function loadJob(tx: Tx, jobId: string): Promise<JobRow | undefined> {
  const [job] = await tx<JobRow[]>`
    select from_block, to_block, wallets, claim_ttl_ms from indexer.jobs where id = ${jobId}`
  return job
}

async function loadUndone(tx: Tx, jobId: string) {
  const rows = await tx<PieceRow[]>`
    select id, from_block, to_block from indexer.job_pieces where job_id = ${jobId} and done_at is null`
  return rows.map(row => ({ id: row.id, range: toRange(row) }))
}

/**
 * The pieces that came back, locked; but for one that is being committed at this moment, and those that ran out and are the asker's
 * own: it works on them still, and nobody else has them.
 */
async function lockFree(tx: Tx, jobId: string, holder: string): Promise<Set<string>> {
  const rows = await tx<{ id: string }[]>`
    select p.id from indexer.job_pieces p join indexer.jobs j on j.id = p.job_id
    where p.job_id = ${jobId} and p.done_at is null and p.holder is distinct from ${holder} and ${isFree(tx)}
    order by p.from_block limit ${MAX_FREE} for update of p skip locked`
  return new Set(rows.map(({ id }) => id))
}

async function closeComplete(tx: Tx, ids: readonly string[]): Promise<void> {
  await tx`
    update indexer.job_pieces set done_at = clock_timestamp(), holder = null, expires_at = null
    where id = any(${[...ids]}::bigint[])`
}

async function writeClaim(
  tx: Tx,
  { jobId, holder }: ClaimRequest,
  { id, range }: { readonly id: string | null; readonly range: Range },
  ttlMs: number,
): Promise<{ id: string; fencing: number }> {
  const expiry = tx`clock_timestamp() + ${ttlMs} * interval '1 millisecond'`
  const [claimed] = await (id === null
    ? tx<{ id: string; fencing: number }[]>`
        insert into indexer.job_pieces (job_id, from_block, to_block, holder, expires_at)
        values (${jobId}, ${range.from}, ${range.to}, ${holder}, ${expiry}) returning id, fencing`
    : tx<{ id: string; fencing: number }[]>`
        update indexer.job_pieces set from_block = ${range.from}, to_block = ${range.to}, holder = ${holder},
          fencing = fencing + 1, expires_at = ${expiry}
        where id = ${id} returning id, fencing`)
  if (claimed === undefined) throw jobGone(jobId)
  return claimed
}

/** What other jobs of the chain work on now for the same wallets, or for more: a job for the whole set completes everybody's blocks. */
async function loadElsewhere(
  tx: Tx,
  chainId: number,
  jobId: string,
  wallets: readonly Address[] | null,
): Promise<Range[]> {
  const rows = await tx<PieceRow[]>`
    select p.id, p.from_block, p.to_block from indexer.job_pieces p join indexer.jobs j on j.id = p.job_id
    where j.chain_id = ${chainId} and j.id <> ${jobId} and p.done_at is null and not ${isFree(tx)}
      and (j.wallets is null or j.wallets @> ${wallets === null ? null : [...wallets]}::text[])`
  return rows.map(toRange)
}

/** How much of a job is left, by coverage; it may be less than there was to do because somebody else did it. */
export async function noteLeft(tx: Tx, jobId: string, blocksLeft: number): Promise<void> {
  await tx`
    update indexer.jobs set blocks_total = blocks_done + ${blocksLeft}, updated_at = clock_timestamp(), stopped_at = null,
      state = ${blocksLeft === 0 ? 'done' : 'running'},
      finished_at = ${blocksLeft === 0 ? tx`coalesce(finished_at, clock_timestamp())` : null}
    where id = ${jobId}`
}

/** Extends claims. Those that were lost meanwhile, or are being committed, are passed over. */
export async function renewClaims(sql: Sql, claims: readonly Claim[]): Promise<void> {
  await read(sql`
    update indexer.job_pieces p set expires_at = clock_timestamp() + j.claim_ttl_ms * interval '1 millisecond'
    from indexer.jobs j
    where j.id = p.job_id and p.id in (
      select own.id from indexer.job_pieces own
      join unnest(
        ${claims.map(({ pieceId }) => pieceId)}::bigint[], ${claims.map(({ holder }) => holder)}::text[],
        ${claims.map(({ fencing }) => fencing)}::integer[]
      ) as held (id, holder, fencing) using (id)
      where own.holder = held.holder and own.fencing = held.fencing and own.done_at is null
      for no key update of own skip locked
    )`)
}

/** Gives back all that a process holds of a job, so that the next who asks need not wait. */
export async function returnClaims(sql: Sql, jobId: string, holder: string): Promise<void> {
  await read(sql`
    update indexer.job_pieces set holder = null, expires_at = null
    where job_id = ${jobId} and holder = ${holder} and done_at is null`)
}

/**
 * Makes the work of a transaction valid only while the claim is held, ends the claim with it, and counts what was written. The count
 * comes last: whoever else commits for this job waits from there on.
 *
 * @throws AppError LEASE_LOST
 */
export async function underClaim<T extends { readonly activities: number }>(
  tx: Tx,
  claim: Claim | undefined,
  range: Range,
  work: () => Promise<T>,
): Promise<T> {
  if (claim === undefined) return work()
  await closePiece(tx, claim)
  const written = await work()
  const blocks = range.to - range.from + 1
  await tx`
    update indexer.jobs set blocks_done = blocks_done + ${blocks}, activities = activities + ${written.activities},
      blocks_total = greatest(blocks_total, blocks_done + ${blocks}), updated_at = clock_timestamp()
    where id = ${claim.jobId}`
  return written
}

async function closePiece(tx: Tx, { pieceId, holder, fencing }: Claim): Promise<void> {
  const rows = await tx`
    update indexer.job_pieces set done_at = clock_timestamp(), expires_at = null
    where id = ${pieceId} and holder = ${holder} and fencing = ${fencing} and done_at is null
    returning 1`
  if (rows.length > 0) return
  throw new AppError('LEASE_LOST', 'Another process has taken over these blocks.', {
    facts: { piece: pieceId, fencing },
    hint: 'Nothing of them was written here; this process goes on with others.',
  })
}

function jobGone(jobId: string): AppError {
  return new AppError('LEASE_LOST', 'The job that this process works on is not in the database any more.', {
    facts: { job: jobId },
    hint: 'Run the same command again: it goes on from what is complete.',
  })
}
