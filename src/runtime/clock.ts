/**
 * The clock. Waiting is done by it, deciding is not: what is true of the chain is decided by blocks, and leases by the database's
 * clock. So a clock that is set back only makes a wait longer or shorter, never a row wrong.
 */

export type Clock = {
  /** Unix milliseconds; may go back. */
  now(): number
  /** Milliseconds of a clock that never goes back, for durations. */
  monotonic(): number
}

export const systemClock: Clock = { now: () => Date.now(), monotonic: () => performance.now() }
