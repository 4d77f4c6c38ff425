/**
 * Numbers of many samples.
 */

export type Spread = {
  readonly samples: number
  readonly p50: number
  readonly p90: number
  readonly p99: number
  readonly max: number
}

/** null: there are no samples. Each percentile is a sample itself: the lowest that so many are not above (nearest rank). */
export function spreadOf(samples: readonly number[]): Spread | null {
  const sorted = samples.toSorted((a, b) => a - b)
  const max = sorted.at(-1)
  if (max === undefined) return null
  const rank = (share: number) => sorted[Math.max(Math.ceil(share * sorted.length) - 1, 0)] ?? max
  return { samples: sorted.length, p50: rank(0.5), p90: rank(0.9), p99: rank(0.99), max }
}

/** NaN for none. */
export function meanOf(samples: readonly number[]): number {
  return samples.reduce((sum, sample) => sum + sample, 0) / samples.length
}

export function maxOf(samples: readonly number[]): number {
  return Math.max(0, ...samples)
}
