import { describe, expect, test } from 'vitest'
import { backoffMs } from '../../src/core/backoff.ts'
import { ageOfBlock, nextPollMs } from '../../src/core/rhythm.ts'
import { fc } from './support/property.ts'

const REST = { baseMs: 100, maxMs: 30_000 }

describe('the wait before trying again', () => {
  test.each<[number, number, number]>([
    [0, 50, 100],
    [1, 100, 200],
    [2, 200, 400],
    [8, 12_800, 25_600],
    [9, 15_000, 30_000],
    [1_000_000, 15_000, 30_000],
  ])('after %i attempts is from %i to %i ms', (attempt, least, most) => {
    expect(backoffMs(attempt, REST, 0)).toBe(least)
    expect(backoffMs(attempt, REST, 1)).toBe(most)
  })

  test('is between half and all of its bound, and grows', () => {
    const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })
    const wait = fc.record({ baseMs: fc.integer({ min: 1, max: 5_000 }), maxMs: fc.integer({ min: 1, max: 600_000 }) })
    fc.assert(
      fc.property(fc.nat(100), wait, random, (attempt, backoff, chance) => {
        const bound = Math.min(backoff.maxMs, backoff.baseMs * 2 ** attempt)
        const waited = backoffMs(attempt, backoff, chance)
        expect(waited).toBeGreaterThanOrEqual(Math.floor(bound / 2))
        expect(waited).toBeLessThanOrEqual(bound)
        expect(backoffMs(attempt + 1, backoff, chance)).toBeGreaterThanOrEqual(waited)
      }),
    )
  })
})

describe('how old the newest block is', () => {
  test.each<[string, number, number, number]>([
    ['by the clocks, where they fit to when it was seen', 3_000, 1_000, 3_000],
    ['by the clocks, up to a block time before it was seen', 13_000, 1_000, 13_000],
    ['since it was seen, where our clock is days ahead', 3 * 86_400_000, 1_000, 1_000],
    ['since it was seen, where our clock is days behind', -3 * 86_400_000, 1_000, 1_000],
    ['since it was seen, where it would be younger than that', 500, 1_000, 1_000],
    ['since it was seen, for a chain that stood still when we came', 7_200_000, 0, 0],
  ])('%s', (_name, byClocksMs, sinceSeenMs, ageMs) => {
    expect(ageOfBlock(byClocksMs, sinceSeenMs, 12_000)).toBe(ageMs)
  })
})

describe('the wait before the next poll', () => {
  test.each<[string, number, number, number]>([
    ['right after a block: until shortly before the next is due', 0, 12_000, 10_800],
    ['in between: the rest of it', 6_000, 12_000, 4_800],
    ['when it is due: a twelfth of the block time', 11_000, 12_000, 1_000],
    ['when it is late: the same', 60_000, 12_000, 1_000],
    ['when it is hours late: the same', 10_000_000, 12_000, 1_000],
    ['when our clock is behind: one block time at most', -500_000, 12_000, 12_000],
    ['for a chain of 2 seconds', 0, 2_000, 1_800],
    ['for a chain of 250 ms, when due', 250, 250, 50],
    ['for a chain that mines at will: not without pause', 0, 0, 50],
  ])('%s', (_name, sinceBlockMs, blockTimeMs, waitMs) => {
    expect(nextPollMs(sinceBlockMs, blockTimeMs)).toBe(waitMs)
  })

  test('is never shorter than 50 ms, nor longer than a block, whatever the clocks say', () => {
    const since = fc.integer({ min: -(10 ** 12), max: 10 ** 12 })
    fc.assert(
      fc.property(since, fc.nat(60_000), (sinceBlockMs, blockTimeMs) => {
        const wait = nextPollMs(sinceBlockMs, blockTimeMs)
        expect(Number.isInteger(wait)).toBe(true)
        expect(wait).toBeGreaterThanOrEqual(50)
        expect(wait).toBeLessThanOrEqual(Math.max(blockTimeMs, 50))
      }),
    )
  })

  test('lets few polls happen in a block that comes on time or a second late', () => {
    for (const late of [0, 1_000]) {
      let now = 0
      let polls = 0
      while (now < 12_000 + late) {
        now += nextPollMs(now, 12_000)
        polls += 1
      }
      // All but the last find nothing.
      expect(polls - 1).toBeLessThanOrEqual(3)
      expect(now - 12_000 - late).toBeLessThan(1_000)
    }
  })
})
