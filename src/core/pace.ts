/**
 * How fast an endpoint is asked: as fast as it lets us, found out from its refusals.
 *
 * Additive increase, multiplicative decrease, with a memory of the rate that was refused last: below it the pace comes back quickly,
 * around it slowly, well above it quickly again. So a limit is met seldom, and a limit that was lifted is noticed within a minute.
 * Always holds: the pace is never below `MIN_PER_SECOND` and one at a time, whatever happened, so it can't freeze; time only moves it
 * by what is passed in.
 */

export type Pace = {
  /** Requests a second; null: as they come. */
  readonly perSecond: number | null
  /** Requests under way at once, at most. */
  readonly atOnce: number
  /** The rate at which it was refused last; null: never, or long ago. */
  readonly refusedAt: number | null
  /** Monotonic milliseconds of the last change. */
  readonly changedAt: number
}

export type PaceLimits = {
  /** As configured; null: none. */
  readonly perSecond: number | null
  readonly atOnce: number
}

export const MIN_PER_SECOND = 0.5
const DECREASE = 0.6
/** Refusals of what was under way together are one refusal. */
const SETTLE_MS = 1_000
export const RECOVER_EVERY_MS = 2_000
const RECOVER_FAST = 1.4
const RECOVER_SLOWLY = 1.02
/** Of the refused rate: between the two slowly. */
const CAREFUL_FROM = 0.8
const CAREFUL_TO = 1.2
/** Whoever refuses at less than that in a second may not have refused the rate: it is tried sooner. */
const LOW_PER_SECOND = 5
const RECOVER_FROM_LOW = 1.025
/** A pace so far above what was refused proves that the limit is gone. */
const FORGOTTEN_ABOVE = 4

export function initialPace(limits: PaceLimits, now: number): Pace {
  return { perSecond: limits.perSecond, atOnce: limits.atOnce, refusedAt: null, changedAt: now }
}

/**
 * After an answer that means "too many requests".
 *
 * @param measured requests a second that were really sent lately
 */
export function slowDown(pace: Pace, measured: number, now: number): Pace {
  if (pace.refusedAt !== null && now - pace.changedAt < SETTLE_MS) return pace
  const current = pace.perSecond === null ? measured : Math.min(pace.perSecond, measured)
  const refusedAt = Math.max(current, MIN_PER_SECOND)
  return {
    perSecond: Math.max(refusedAt * DECREASE, MIN_PER_SECOND),
    atOnce: Math.max(Math.floor(pace.atOnce / 2), 1),
    refusedAt,
    changedAt: now,
  }
}

/** After an answer: the pace as it has become by time. */
export function speedUp(pace: Pace, limits: PaceLimits, now: number): Pace {
  if (pace.refusedAt === null || now - pace.changedAt < RECOVER_EVERY_MS) return pace
  const current = pace.perSecond ?? pace.refusedAt
  const share = current / pace.refusedAt
  const isNear = share >= CAREFUL_FROM && share <= CAREFUL_TO
  const careful = pace.refusedAt < LOW_PER_SECOND ? RECOVER_FROM_LOW : RECOVER_SLOWLY
  const factor = isNear ? careful : RECOVER_FAST
  const perSecond = Math.min(current * factor, limits.perSecond ?? Number.POSITIVE_INFINITY)
  const atOnce = Math.min(pace.atOnce + 1, limits.atOnce)
  const isForgotten = share >= FORGOTTEN_ABOVE || perSecond === limits.perSecond
  if (isForgotten && atOnce === limits.atOnce) return initialPace(limits, now)
  return { perSecond, atOnce, refusedAt: pace.refusedAt, changedAt: now }
}
