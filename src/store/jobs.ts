/**
 * Long work that an operator started: one job for all who ask for the same, in the database so that they find each other, and so that
 * `status` can tell how far it is.
 *
 * Always holds: of jobs that are not done, no two are for the same; whoever asks joins the one that is there. What a job still has to
 * do is decided by coverage, so nothing is lost with its row: jobs are pruned as soon as there are many.
 */

import type { Range } from '../core/range.ts'
import { countBlocks, mergeRanges, subtractRanges } from '../core/range.ts'
import type { Address } from '../core/types.ts'
import { isFree, lockJobs, noteLeft } from './claims.ts'
import { loadCommonCoverage } from './common-coverage.ts'
import { inTransaction, read, type Sql, type Tx } from './connection.ts'

/** How long a piece of a process that died, or stands still, waits for another one. */
export const CLAIM_TTL_MS = 20_000
/** Jobs of a chain that nobody works on, beyond the newest: they are forgotten, and their pieces. */
const KEPT_JOBS = 50
/** Of jobs that are done, for how long their pieces stay: who took which. */
const KEPT_PIECES_MS = 24 * 3_600_000
/** A job that somebody works on and nobody has touched for so many lives of a claim, nobody works on. */
const SILENT_CLAIMS = 2
/** The rate of a job is taken over this time. */
const RATE_WINDOW_SECONDS = 60

/** `interrupted`: nobody works on it and it is not done; the same command goes on. */
export type JobState = 'running' | 'interrupted' | 'done' | 'failed'

export type Job = {
  readonly id: string
  readonly kind: string
  readonly chainId: number
  readonly range: Range
  readonly wallets: readonly Address[] | null
  readonly state: JobState
  readonly blocksDone: number
  readonly blocksTotal: number
  readonly activities: number
  /** Blocks a second, of the last minute; null while nobody works on it. */
  readonly perSecond: number | null
  readonly secondsLeft: number | null
  /** Who holds pieces now. */
  readonly workers: readonly JobWorker[]
  /** Pieces whose holder was not heard of in time: whoever asks next gets them. */
  readonly expiredClaims: number
  /** Why the last process that gave up did so. */
  readonly problem: string | null
  readonly updatedSecondsAgo: number
}

export type JobWorker = {
  readonly host: string
  /** Its number on that host. */
  readonly process: number
  /** How many it holds. */
  readonly pieces: number
}

export type JobRequest = {
  readonly chainId: number
  /** From where to where, as far as it is final by now. */
  readonly range: Range
  /** The end as it was asked for: what makes two requests the same although the chain went on. */
  readonly askedTo: string
  readonly wallets: readonly Address[] | null
  readonly claimTtlMs: number
}

export type OpenJob = { readonly id: string; readonly claimTtlMs: number }

/** Finds the open job that is for the same, or makes it. null: everything is complete; an open job is done then. */
export function openJob(sql: Sql, request: JobRequest): Promise<OpenJob | null> {
  const { chainId, range, askedTo, claimTtlMs } = request
  const wallets = request.wallets === null ? null : [...new Set(request.wallets)].toSorted()
  return inTransaction(sql, async tx => {
    await lockJobs(tx, chainId)
    const [known] = await tx<{ id: string; to_block: string; claim_ttl_ms: number }[]>`
      select id, to_block, claim_ttl_ms from indexer.jobs
      where kind = 'backfill' and chain_id = ${chainId} and from_block = ${range.from} and asked_to = ${askedTo}
        and wallets is not distinct from ${wallets}::text[] and state <> 'done'
      order by created_at desc limit 1`
    const to = Math.max(range.to, Number(known?.to_block ?? -1))
    const complete = await loadCommonCoverage(tx, chainId, wallets)
    const left = countBlocks(subtractRanges(mergeRanges([{ from: range.from, to }]), complete))
    if (known !== undefined) {
      await tx`update indexer.jobs set to_block = ${to}, problem = null where id = ${known.id}`
      await noteLeft(tx, known.id, left)
      return left === 0 ? null : { id: known.id, claimTtlMs: known.claim_ttl_ms }
    }
    if (left === 0) return null
    await prune(tx, chainId)
    const [made] = await tx<{ id: string }[]>`
      insert into indexer.jobs (kind, chain_id, from_block, to_block, wallets, blocks_total, asked_to, claim_ttl_ms)
      values ('backfill', ${chainId}, ${range.from}, ${to}, ${wallets}::text[], ${left}, ${askedTo}, ${claimTtlMs})
      returning id`
    return { id: made?.id ?? '', claimTtlMs }
  })
}

/** Only of the chain that is locked, what nobody works on, and nothing that is being written: it is pruned the next time. */
async function prune(tx: Tx, chainId: number): Promise<void> {
  await tx`
    delete from indexer.jobs where id in (
      select j.id from indexer.jobs j
      where j.chain_id = ${chainId} and not exists (
        select from indexer.job_pieces p where p.job_id = j.id and p.done_at is null and not ${isFree(tx)}
      )
      order by j.updated_at desc offset ${KEPT_JOBS} for update skip locked
    )`
  await tx`
    delete from indexer.job_pieces where job_id in (
      select id from indexer.jobs where chain_id = ${chainId} and finished_at < clock_timestamp() - ${KEPT_PIECES_MS} * interval '1 millisecond'
    )`
}

/** A job by its id, for a process that was started to work on it; null: there is none. */
export async function loadOpenJob(sql: Sql, id: string): Promise<OpenJob | null> {
  const [row] = await read(sql<{ id: string; claim_ttl_ms: number | null }[]>`
    select id, claim_ttl_ms from indexer.jobs where id = ${id}`)
  return row === undefined ? null : { id: row.id, claimTtlMs: row.claim_ttl_ms ?? CLAIM_TTL_MS }
}

export type JobProgress = {
  readonly blocksDone: number
  readonly blocksTotal: number
  readonly activities: number
  /** From its beginning to its end, or to now. */
  readonly seconds: number
}

/** How far a job is, by all who work on it; null: there is none. */
export async function loadProgress(sql: Sql, id: string): Promise<JobProgress | null> {
  const [row] = await read(sql<{ blocks_done: string; blocks_total: string; activities: string; seconds: number }[]>`
    select blocks_done, blocks_total, activities,
      extract(epoch from coalesce(finished_at, clock_timestamp()) - created_at)::float8 as seconds
    from indexer.jobs where id = ${id}`)
  if (row === undefined) return null
  return {
    blocksDone: Number(row.blocks_done),
    blocksTotal: Number(row.blocks_total),
    activities: Number(row.activities),
    seconds: row.seconds,
  }
}

/** What one process wrote for a job, in blocks. */
export async function loadShare(sql: Sql, id: string, holder: string): Promise<number> {
  const [row] = await read(sql<{ blocks: number }[]>`
    select coalesce(sum(to_block - from_block + 1), 0)::float8 as blocks from indexer.job_pieces
    where job_id = ${id} and holder = ${holder} and done_at is not null`)
  return row?.blocks ?? 0
}

/**
 * A process leaves a job: its claims come back at once. If it was the last one, the job is interrupted, or failed where a problem
 * made it leave; the others go on whatever the problem was.
 */
export function leaveJob(sql: Sql, id: string, holder: string, problem: string | null): Promise<void> {
  return inTransaction(sql, async tx => {
    await tx`
      update indexer.job_pieces set holder = null, expires_at = null
      where job_id = ${id} and holder = ${holder} and done_at is null`
    await tx`update indexer.jobs set problem = coalesce(${problem}, problem), updated_at = clock_timestamp() where id = ${id}`
    await tx`
      update indexer.jobs j set stopped_at = clock_timestamp(), state = case when problem is null then state else 'failed' end
      where id = ${id} and state = 'running' and not exists (
        select from indexer.job_pieces p where p.job_id = j.id and p.done_at is null and not ${isFree(tx)}
      )`
  })
}

type ListRow = {
  readonly id: string
  readonly kind: string
  readonly chain_id: number
  readonly from_block: string
  readonly to_block: string
  readonly wallets: Address[] | null
  readonly state: JobState
  readonly blocks_done: string
  readonly blocks_total: string
  readonly activities: string
  readonly problem: string | null
  readonly age: number
  readonly left_alone: boolean
  readonly holders: string[]
  readonly expired: number
  readonly recent_blocks: number
  readonly recent_seconds: number
}

/** The newest jobs first. */
export async function listJobs(sql: Sql, limit: number): Promise<Job[]> {
  const rows = await read(sql<ListRow[]>`
    select j.*, extract(epoch from clock_timestamp() - j.updated_at)::float8 as age,
      j.stopped_at is not null
        or j.updated_at < clock_timestamp() - ${SILENT_CLAIMS} * coalesce(j.claim_ttl_ms, ${CLAIM_TTL_MS}) * interval '1 millisecond'
        as left_alone,
      coalesce(undone.holders, '{}') as holders, coalesce(undone.expired, 0) as expired,
      recent.blocks as recent_blocks, recent.seconds as recent_seconds
    from indexer.jobs j
    left join lateral (
      select array_agg(p.holder order by p.holder) filter (where not ${isFree(sql)}) as holders,
        (count(*) filter (where p.holder is not null and ${isFree(sql)}))::int as expired
      from indexer.job_pieces p where p.job_id = j.id and p.done_at is null
    ) undone on true
    left join lateral (
      select coalesce(sum(p.to_block - p.from_block + 1), 0)::float8 as blocks,
        least(extract(epoch from clock_timestamp() - j.created_at), ${RATE_WINDOW_SECONDS})::float8 as seconds
      from indexer.job_pieces p
      where p.job_id = j.id and p.holder is not null
        and p.done_at > clock_timestamp() - ${RATE_WINDOW_SECONDS} * interval '1 second'
    ) recent on true
    order by j.created_at desc limit ${limit}`)
  return rows.map(toJob)
}

function toJob(row: ListRow): Job {
  const isAtWork = row.holders.length > 0
  const state = row.state === 'running' && !isAtWork && row.left_alone ? 'interrupted' : row.state
  const blocksDone = Number(row.blocks_done)
  const blocksTotal = Number(row.blocks_total)
  const perSecond = state === 'running' && row.recent_seconds > 0 ? row.recent_blocks / row.recent_seconds : null
  return {
    id: row.id,
    kind: row.kind,
    chainId: row.chain_id,
    range: { from: Number(row.from_block), to: Number(row.to_block) },
    wallets: row.wallets,
    state,
    blocksDone,
    blocksTotal,
    activities: Number(row.activities),
    perSecond,
    secondsLeft: perSecond === null || perSecond === 0 ? null : (blocksTotal - blocksDone) / perSecond,
    workers: [...Map.groupBy(row.holders, holder => holder)].map(([holder, pieces]) => toWorker(holder, pieces.length)),
    expiredClaims: row.expired,
    problem: row.state === 'done' ? null : row.problem,
    updatedSecondsAgo: row.age,
  }
}

/** A holder's name is host, process and what no other has. */
function toWorker(holder: string, pieces: number): JobWorker {
  const [host = '', pid] = holder.split(' ')
  return { host, process: Number(pid ?? 0), pieces }
}
