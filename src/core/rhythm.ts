/**
 * When to look for the next block: rarely right after one, often when the next is due.
 *
 * Block times are promises of nobody: blocks come early, late, or not at all, and clocks differ. So the wait is only shortened by
 * what is expected, and never longer than one block time.
 */

const MIN_POLL_MS = 50
const POLLS_PER_BLOCK_TIME = 12
/** Of the block time: how long before the expected moment the dense polls begin. */
const EARLY_SHARE = 0.1

/**
 * How old the newest block is. A block was made before it was first seen, and not long before: clocks that say anything else (ours
 * was set, or the chain's runs by itself) are not believed.
 *
 * @param byClocksMs our clock minus the block's timestamp; may be negative or huge
 * @param sinceSeenMs how long ago the block was first seen, by a clock that never goes back
 */
export function ageOfBlock(byClocksMs: number, sinceSeenMs: number, blockTimeMs: number): number {
  const isBelieved = byClocksMs >= sinceSeenMs && byClocksMs <= sinceSeenMs + blockTimeMs
  return isBelieved ? byClocksMs : sinceSeenMs
}

/**
 * @param sinceBlockMs how old the newest block is
 * @returns how long to wait before the next poll
 */
export function nextPollMs(sinceBlockMs: number, blockTimeMs: number): number {
  const dense = Math.max(blockTimeMs / POLLS_PER_BLOCK_TIME, MIN_POLL_MS)
  const untilDue = blockTimeMs * (1 - EARLY_SHARE) - sinceBlockMs
  return Math.round(Math.min(Math.max(untilDue, dense), Math.max(blockTimeMs, MIN_POLL_MS)))
}

export type Rhythm = { blockTimeMs: number; seenMs: number | null }
export const initialRhythm = (blockTimeMs: number): Rhythm => ({ blockTimeMs, seenMs: null })
export const noteBlock = (
  r: Rhythm,
  _b: { number: number; timestampMs: number },
  seen: { notBeforeMs: number | null; seenMs: number },
): Rhythm => ({ ...r, seenMs: seen.seenMs })
export const nextLookMs = (r: Rhythm, nowMs: number): number =>
  nowMs + nextPollMs(nowMs - (r.seenMs ?? nowMs), r.blockTimeMs)
export const stalledSinceMs = (r: Rhythm, nowMs: number): number | null =>
  r.seenMs !== null && nowMs - r.seenMs > Math.max(5 * r.blockTimeMs, 30_000) ? r.seenMs : null
