import { describe, expect, test } from 'vitest'
import { backoffMs } from '../../src/core/backoff.ts'
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
