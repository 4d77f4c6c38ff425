/**
 * How long to wait before trying again: exponential, bounded, with full jitter so that many waiters don't come back together.
 */

export type Backoff = { readonly baseMs: number; readonly maxMs: number }

/**
 * @param attempt 0 for the first wait
 * @param random a number in [0, 1)
 * @returns between half and all of min(base · 2^attempt, max)
 */
export function backoffMs(attempt: number, { baseMs, maxMs }: Backoff, random: number): number {
  const ceiling = Math.min(maxMs, baseMs * 2 ** Math.min(attempt, 30))
  return Math.round(ceiling * (0.5 + random / 2))
}
