/**
 * A day's requests, where a number is set: live following first, backfill from what it leaves.
 *
 * Days are those of UTC, as providers count them.
 */

/** `backfill` yields to `live`. */
export type Priority = 'live' | 'backfill'

export const DAY_MS = 86_400_000
/** Requests a block that live following may need: the block, its receipts, and one more. */
const LIVE_REQUESTS_PER_BLOCK = 3
/** Where a budget is small for its chain, this part of what is left may still go into backfill. */
const BACKFILL_SHARE = 0.2

/** The day of a moment. */
export function dayOf(nowMs: number): number {
  return Math.floor(nowMs / DAY_MS)
}

/** The beginning of the day of a moment, in Unix milliseconds. */
export function startOfDay(nowMs: number): number {
  return dayOf(nowMs) * DAY_MS
}

/**
 * Requests that may still be made today.
 *
 * @param spent today, by everybody
 * @param nowMs Unix milliseconds
 */
export function remainingToday(
  { perDay, spent, blockTimeSeconds }: { perDay: number; spent: number; blockTimeSeconds: number },
  priority: Priority,
  nowMs: number,
): number {
  const left = Math.max(perDay - spent, 0)
  if (priority === 'live') return left
  const secondsLeft = ((dayOf(nowMs) + 1) * DAY_MS - nowMs) / 1000
  const reserved = Math.min(
    (secondsLeft / blockTimeSeconds) * LIVE_REQUESTS_PER_BLOCK,
    perDay * (secondsLeft * (1000 / DAY_MS)) * (1 - BACKFILL_SHARE),
  )
  return Math.max(Math.floor(left - reserved), 0)
}
