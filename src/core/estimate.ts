/**
 * What a backfill will cost, before it begins: reckoned from a few of its blocks.
 */

import { DAY_MS } from './budget.ts'

export type BackfillSample = {
  /** Blocks to be taken. */
  readonly blocks: number
  /** Of the blocks that were looked at, the part that needs its receipts: from 0 to 1. */
  readonly share: number
  /** Blocks that one question for logs covers. */
  readonly logBlocks: number
  /** How long one request takes. */
  readonly latencyMs: number
  /** Requests under way at once, over all endpoints. */
  readonly atOnce: number
  /** Requests a second, over all endpoints; null: as fast as they answer. */
  readonly perSecond: number | null
  /** Requests that the daily budgets leave for it today, and of a whole day; null: no budget. */
  readonly leftToday: number | null
  readonly leftPerDay: number | null
}

export type BackfillCost = {
  readonly requests: number
  readonly seconds: number
  /** Days that it takes because of the budget; null: the budget is no limit. */
  readonly days: number | null
}

/** A block and its part of the logs, and the receipts where they are needed; or both for every block, if that is less. */
export function requestsPerBlock({ share, logBlocks }: Pick<BackfillSample, 'share' | 'logBlocks'>): number {
  return Math.min(1 + 1 / logBlocks + share, 2)
}

export function estimateBackfill(sample: BackfillSample): BackfillCost {
  const { blocks, latencyMs, atOnce, perSecond, leftToday, leftPerDay } = sample
  const requests = Math.ceil(blocks * requestsPerBlock(sample))
  const byLatency = (atOnce * 1000) / Math.max(latencyMs, 1)
  const seconds = requests / Math.min(byLatency, perSecond ?? Number.POSITIVE_INFINITY)
  if (leftToday === null || leftPerDay === null || requests <= leftToday) return { requests, seconds, days: null }
  const days = leftPerDay === 0 ? Number.POSITIVE_INFINITY : Math.ceil((requests - leftToday) / leftPerDay)
  return { requests, seconds: Math.max(seconds, (days * DAY_MS) / 1000), days }
}
