/**
 * Which endpoint is asked first: one that may be asked now, has the block in question, errs little, and answers soon.
 *
 * Always holds: nobody is left out, the last one is still asked when the others fail; small differences change nothing, so questions
 * don't wander between endpoints that are equally good, and then the order of the configuration counts.
 */

export type Standing = {
  /** How long it is to be left alone, in milliseconds; 0: it may be asked now. */
  readonly restMs: number
  /** It has as much to do as it lets us ask at once. */
  readonly isBusy: boolean
  /** It said lately that it lacks what is asked for, or its head is known to be below it. */
  readonly lacks: boolean
  /** The share of its late answers that were errors or lies, from 0 to 1. */
  readonly errorShare: number
  /** null: not known, or not lately. */
  readonly latencyMs: number | null
}

/** Below it an endpoint errs as everybody does. */
const TOLERATED_ERRORS = 0.05
/** Faster than this is fast enough: what is won is less than what another route costs. */
const FAST_MS = 50
/** A request that takes so much longer than usual is asked elsewhere besides. */
const HEDGE_FACTOR = 4
const MIN_HEDGE_MS = 750
const MAX_HEDGE_MS = 5_000

/** Indices of the standings, best first. */
export function rankEndpoints(standings: readonly Standing[]): number[] {
  const keys = standings.map(({ restMs, isBusy, lacks, errorShare, latencyMs }) => [
    restMs,
    Number(lacks),
    errorShare <= TOLERATED_ERRORS ? 0 : Math.ceil(errorShare * 4),
    Number(isBusy),
    // Twice as slow is a step.
    latencyMs === null ? 0 : Math.max(Math.floor(Math.log2(latencyMs / FAST_MS)), 0),
  ])
  return standings
    .map((_standing, index) => index)
    .sort((a, b) => {
      const [left, right] = [keys[a] ?? [], keys[b] ?? []]
      for (const [place, value] of left.entries()) {
        const difference = value - (right[place] ?? 0)
        if (difference !== 0) return difference
      }
      return a - b
    })
}

/** After how long a question is put to another endpoint as well, where there is one. */
export function hedgeAfterMs(latencyMs: number | null): number {
  return Math.min(Math.max((latencyMs ?? 0) * HEDGE_FACTOR, MIN_HEDGE_MS), MAX_HEDGE_MS)
}
