import { describe, expect, test } from 'vitest'
import { DAY_MS, dayOf, remainingToday, startOfDay } from '../../src/core/budget.ts'
import { estimateBackfill, requestsPerBlock } from '../../src/core/estimate.ts'

const NOON = 20_000 * DAY_MS + DAY_MS / 2
/** Mainnet makes 7,200 blocks a day: live following may need 21,600 requests. */
const MAINNET = { blockTimeSeconds: 12 }

describe('of a daily budget', () => {
  test('live following gets all that is left', () => {
    expect(remainingToday({ ...MAINNET, perDay: 100_000, spent: 99_990 }, 'live', NOON)).toBe(10)
    expect(remainingToday({ ...MAINNET, perDay: 100_000, spent: 100_500 }, 'live', NOON)).toBe(0)
  })

  test('backfill gets what the rest of the day will not need', () => {
    expect(remainingToday({ ...MAINNET, perDay: 100_000, spent: 0 }, 'backfill', NOON)).toBe(100_000 - 10_800)
    expect(remainingToday({ ...MAINNET, perDay: 100_000, spent: 95_000 }, 'backfill', NOON)).toBe(0)
  })

  test('backfill gets a part, even where it is too small for the chain', () => {
    const left = remainingToday({ ...MAINNET, perDay: 10_000, spent: 0 }, 'backfill', startOfDay(NOON))
    expect(left).toBe(2_000)
  })

  test('days begin at midnight of UTC', () => {
    expect([dayOf(NOON), dayOf(NOON + DAY_MS / 2 - 1), dayOf(NOON + DAY_MS / 2)]).toEqual([20_000, 20_000, 20_001])
  })
})

describe('the cost of a backfill', () => {
  const sample = {
    blocks: 10_000,
    share: 0.01,
    logBlocks: 50,
    latencyMs: 100,
    atOnce: 16,
    perSecond: null,
    leftToday: null,
    leftPerDay: null,
  }

  test('is little more than a request a block where few blocks concern anybody', () => {
    expect(estimateBackfill(sample)).toMatchObject({ requests: 10_300, days: null })
    expect(estimateBackfill(sample).seconds).toBeCloseTo(10_300 / 160)
  })

  test('is never more than two requests a block', () => {
    expect(requestsPerBlock({ share: 1, logBlocks: 1 })).toBe(2)
  })

  test('takes as long as the endpoints let it', () => {
    expect(estimateBackfill({ ...sample, perSecond: 10 }).seconds).toBeCloseTo(1_030)
  })

  test('takes days where the budget is small', () => {
    expect(estimateBackfill({ ...sample, leftToday: 300, leftPerDay: 2_000 })).toMatchObject({ days: 5 })
    expect(estimateBackfill({ ...sample, leftToday: 300, leftPerDay: 0 })).toMatchObject({ days: Infinity })
  })
})
