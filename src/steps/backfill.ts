/**
 * Backfill: history, in pieces that are each complete in one transaction, shared by all processes that ask for the same.
 *
 * Only final blocks are taken this way, so it is safe beside a daemon: neither its checkpoint nor its window is touched. What is
 * complete already (coverage) is left out, so the same command, run again after a crash, does only what is missing.
 *
 * Always holds: a process works on pieces that it has claimed, and gives them back when it goes, whatever made it go. One that was
 * taken for dead finds its pieces taken over, writes nothing for them and goes on with others. A database that is away is waited for.
 */

import { backoffMs } from '../core/backoff.ts'
import { settledHeight } from '../core/lifecycle.ts'
import { finalityAfter } from '../core/plan.ts'
import { intersectRanges, mergeRanges, type Range, type Ranges, subtractRanges } from '../core/range.ts'
import type { Address } from '../core/types.ts'
import { AppError, describeError } from '../errors.ts'
import { randomFloat } from '../runtime/random.ts'
import { sleep, within } from '../runtime/sleep.ts'
import type { Claim, OpenJob } from '../store/store.ts'
import { type HeldClaims, holdClaims } from './claims.ts'
import type { ChainContext } from './context.ts'
import { type Piece, takePieces } from './pieces.ts'

/** While others work on what is left, it is looked this often whether something came back. */
const CLAIM_POLL_MS = 500
const RETRY = { baseMs: 200, maxMs: 5_000 }
/** How long the database may be away: as long as no piece is committed. */
const MAX_OUTAGE_MS = 30 * 60_000
/** A database that takes longer to take the claims back will see them run out. */
const LEAVE_DEADLINE_MS = 2_000

export type BackfillInput = {
  readonly range: Range
  /** Only these wallets; null: the whole tracked set. */
  readonly wallets: readonly Address[] | null
}

export type BackfillPlan = {
  /** What is missing and final, lowest first. */
  readonly missing: Ranges
  readonly finalizedNumber: number
  /** The highest block that is deep enough for a status. */
  readonly settledHeight: number
}

/** What there is to do. @throws AppError if the node can't be asked */
export async function planBackfill(
  context: ChainContext,
  { range, wallets }: BackfillInput,
  signal: AbortSignal,
): Promise<BackfillPlan> {
  const { chain, source, store } = context
  const head = await source.head(signal)
  const checkpoint = await store.checkpoint(chain.id)
  const finalizedNumber = Math.min(
    head.number,
    finalityAfter({
      topNumber: head.number,
      finalizedTag: (await source.tag('finalized', null, signal))?.header.number ?? null,
      confirmations: chain.confirmations,
      previous: checkpoint?.finalizedNumber ?? -1,
    }),
  )
  const wanted = mergeRanges([{ from: range.from, to: Math.min(range.to, finalizedNumber) }])
  return {
    missing: subtractRanges(wanted, await complete(context, wallets)),
    finalizedNumber,
    settledHeight: settledHeight({
      confirmations: chain.confirmations,
      checkpointNumber: head.number,
      tagNumber: null,
      finalizedNumber,
    }),
  }
}

/** The blocks that are complete for everything that is asked for. */
async function complete({ chain, store }: ChainContext, wallets: readonly Address[] | null): Promise<Ranges> {
  if (wallets === null) return store.coverage(chain.id)
  const each = await Promise.all(wallets.map(wallet => store.walletCoverage(chain.id, wallet)))
  return each.reduce((all, own) => intersectRanges(all, own))
}

export type Work = {
  readonly job: OpenJob
  /** A name that no other process has. */
  readonly holder: string
  readonly wallets: readonly Address[] | null
  /** The highest block that this process may take: final, and asked for. */
  readonly upTo: number
  readonly settledHeight: number
}

/**
 * Works on a job until everything is complete, by whomever, or until aborted.
 *
 * @throws AppError when a piece can't be taken; others may go on with it
 */
export async function workOn(context: ChainContext, work: Work, signal: AbortSignal): Promise<void> {
  const { store, log, chain } = context
  const { job, holder } = work
  const claims = holdClaims(context, job.claimTtlMs)
  let problem: unknown = null
  try {
    await untilOver(context, work, claims, signal)
  } catch (error) {
    if (!signal.aborted) {
      problem = error
      throw error
    }
  } finally {
    await claims.end()
    const left = store.leaveJob(job.id, holder, problem === null ? null : describeError(problem)).catch(error => {
      log.debug({ chain: chain.name, reason: describeError(error) }, 'The claims could not be given back')
    })
    await within(LEAVE_DEADLINE_MS, left)
  }
}

async function untilOver(context: ChainContext, work: Work, claims: HeldClaims, signal: AbortSignal): Promise<void> {
  const { store, log, clock, chain } = context
  let failures = 0
  let failingSince = 0
  const onAlive = () => {
    if (failures > 0) log.info({ chain: chain.name }, 'Going on')
    failures = 0
  }
  while (!signal.aborted) {
    try {
      // What was written in the moment of an outage is not known here; what was not comes back to whoever asks first.
      if (failures > 0) await store.returnClaims(work.job.id, work.holder)
      if (await takeClaimed(context, work, claims, onAlive, signal)) return
      onAlive()
      await sleep(CLAIM_POLL_MS, signal)
    } catch (error) {
      if (failures === 0) failingSince = clock.monotonic()
      if (signal.aborted || !isOutage(error) || clock.monotonic() - failingSince > MAX_OUTAGE_MS) throw error
      if (failures === 0) log.warn({ chain: chain.name, error }, 'Waiting for Postgres')
      await sleep(backoffMs(failures, RETRY, randomFloat()), signal)
      failures += 1
    }
  }
}

function isOutage(error: unknown): boolean {
  return error instanceof AppError && (error.code === 'DB_UNAVAILABLE' || error.code === 'DB_CONFLICT')
}

/** Takes pieces as long as there are some to claim. @returns whether everything is complete */
async function takeClaimed(
  context: ChainContext,
  { job, holder, wallets, upTo, settledHeight: settled }: Work,
  claims: HeldClaims,
  onAlive: () => void,
  signal: AbortSignal,
): Promise<boolean> {
  const { store, log, chain } = context
  let isOver = false
  const drop = async ({ claim }: Piece) => {
    if (claim !== undefined) claims.remove(claim)
  }
  // What is fetched ahead ends with it.
  const ended = new AbortController()
  try {
    await takePieces(
      context,
      {
        wallets,
        settledHeight: settled,
        async next(mostBlocks) {
          const answer = await store.claimPiece({ jobId: job.id, chainId: chain.id, holder, upTo, mostBlocks })
          isOver = answer.kind === 'over'
          return answer.kind === 'piece' ? claimed(answer.range, answer.claim, claims) : null
        },
        async onPiece(piece) {
          onAlive()
          await drop(piece)
        },
        async onLost(piece) {
          onAlive()
          log.info({ chain: chain.name, from: piece.from, to: piece.to }, 'Another process has taken over these blocks')
          await drop(piece)
        },
      },
      AbortSignal.any([signal, ended.signal]),
    )
    return isOver
  } finally {
    ended.abort()
    claims.clear()
  }
}

function claimed({ from, to }: Range, claim: Claim, claims: HeldClaims): Piece {
  claims.add(claim)
  return { from, to, claim }
}
