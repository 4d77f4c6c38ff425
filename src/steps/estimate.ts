/**
 * What a backfill will cost in requests and time, told beforehand: a few of its blocks are looked at.
 */

import pMap from 'p-map'
import { remainingToday, startOfDay } from '../core/budget.ts'
import { type BackfillCost, estimateBackfill } from '../core/estimate.ts'
import { countBlocks, type Ranges } from '../core/range.ts'
import { needsReceipts } from '../core/sieve.ts'
import type { Address } from '../core/types.ts'
import { interestIn } from './complete.ts'
import type { ChainContext } from './context.ts'

const SAMPLES = 8
/** Less than this is done before its cost is known. */
const MIN_BLOCKS = 500
/** What a piece asks for at once, and what there is of it at a time. */
const LOG_BLOCKS = 40
const AT_ONCE = 16

/** null: too little to be worth a look. @throws AppError if the node can't be asked */
export async function estimateCost(
  context: ChainContext,
  missing: Ranges,
  wallets: readonly Address[] | null,
  signal: AbortSignal,
): Promise<BackfillCost | null> {
  const blocks = countBlocks(missing)
  if (blocks < MIN_BLOCKS) return null
  const { chain, source, clock } = context
  const interest = interestIn(context, new Set(), wallets === null ? null : new Set(wallets))
  const background = source.inBackground()
  const places = Array.from({ length: SAMPLES }, (_, index) => Math.floor(((index + 0.5) / SAMPLES) * blocks))
  const looked = await pMap(places, async place => background.block(blockAt(missing, place), signal), {
    concurrency: SAMPLES,
  })
  const endpoints = source.health().filter(({ healthy }) => healthy)
  const latencies = endpoints.flatMap(({ latencyMs }) => latencyMs ?? [])
  const budgets = endpoints.map(({ perDay, today }) => ({ perDay, spent: today }))
  const leftOf = (spentToday: boolean) =>
    budgets.reduce<number | null>((sum, { perDay, spent }) => {
      if (sum === null || perDay === null) return null
      const asked = { perDay, spent: spentToday ? spent : 0, blockTimeSeconds: chain.blockTimeSeconds }
      const now = clock.now()
      return sum + remainingToday(asked, 'backfill', spentToday ? now : startOfDay(now))
    }, 0)
  return estimateBackfill({
    blocks,
    share: looked.filter(block => needsReceipts(block, interest)).length / looked.length,
    logBlocks: LOG_BLOCKS,
    latencyMs: latencies.length === 0 ? 100 : Math.min(...latencies),
    atOnce: AT_ONCE * Math.max(endpoints.length, 1),
    perSecond: endpoints.some(({ perSecond }) => perSecond === null)
      ? null
      : endpoints.reduce((sum, { perSecond }) => sum + (perSecond ?? 0), 0) || null,
    leftToday: leftOf(true),
    leftPerDay: leftOf(false),
  })
}

/** The block at a place among the blocks of ranges. */
function blockAt(ranges: Ranges, place: number): number {
  let left = place
  for (const { from, to } of ranges) {
    if (left <= to - from) return from + left
    left -= to - from + 1
  }
  return ranges.at(-1)?.to ?? 0
}
