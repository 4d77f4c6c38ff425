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
 * @param sinceBlockMs time since the newest block's timestamp, by our clock; may be negative or huge
 * @returns how long to wait before the next poll
 */
export function nextPollMs(sinceBlockMs: number, blockTimeMs: number): number {
  const dense = Math.max(blockTimeMs / POLLS_PER_BLOCK_TIME, MIN_POLL_MS)
  const untilDue = blockTimeMs * (1 - EARLY_SHARE) - sinceBlockMs
  return Math.round(Math.min(Math.max(untilDue, dense), Math.max(blockTimeMs, MIN_POLL_MS)))
}
