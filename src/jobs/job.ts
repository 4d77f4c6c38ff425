/**
 * A job: work that comes again and again, and never twice at a time.
 *
 * Always holds: whoever comes while it runs is content with that run or the next; an error ends no more than its run, and the same
 * trouble is told once a minute, whichever jobs meet it.
 */

import { AppError, describeError } from '../errors.ts'
import type { ChainContext } from '../steps/context.ts'

/** The same trouble is told once in this time. */
const REPEAT_LOG_MS = 60_000

export type Job = {
  run(): Promise<void>
  /** Resolves when no run is under way. */
  ended(): Promise<void>
}

export type JobOptions = {
  readonly work: () => Promise<void>
  /** What becomes of an error. */
  readonly onError: (error: unknown) => void
  /** A run that begins while this says so does nothing. */
  readonly isHeld: () => boolean
}

export function createJob({ work, onError, isHeld }: JobOptions, signal: AbortSignal): Job {
  let current: Promise<void> | null = null
  const guarded = async () => {
    try {
      if (!signal.aborted && !isHeld()) await work()
    } catch (error) {
      if (!signal.aborted) onError(error)
    }
  }
  return {
    async run() {
      if (current !== null) return current
      current = guarded()
      await current
      current = null
    },
    ended: () => current ?? Promise.resolve(),
  }
}

export type Tell = (job: string, error: unknown) => void

/** Tells of the troubles of all jobs: each kind once a minute. */
export function createTeller({ log, clock }: Pick<ChainContext, 'log' | 'clock'>): Tell {
  /** When each kind was last told. */
  const told = new Map<string, number>()
  return (job, error) => {
    const code = error instanceof AppError ? error.code : 'INTERNAL'
    const now = clock.monotonic()
    // The database's or the nodes' passing trouble is told by the chains' loops; a job just comes again.
    const isPassing = error instanceof AppError && error.retryable
    const isRepeated = now - (told.get(code) ?? Number.NEGATIVE_INFINITY) < REPEAT_LOG_MS
    const isQuiet = isPassing || isRepeated
    if (!isQuiet) told.set(code, now)
    log[isQuiet ? 'debug' : 'error']({ job, reason: describeError(error) }, 'A job failed; it comes again')
  }
}
