import { describe, expect, test } from 'vitest'
import { fc } from './support/property.ts'
import { initialPace, MIN_PER_SECOND, type Pace, RECOVER_EVERY_MS, slowDown, speedUp } from '../../src/core/pace.ts'

const LIMITS = { perSecond: null, atOnce: 16 }

/**
 * A provider that allows so many requests a second, and somebody who asks as fast as the pace allows.
 *
 * @returns what was let through and what was refused, second by second
 */
function ask(limitAt: (second: number) => number, seconds: number, wanted = 200) {
  let pace = initialPace(LIMITS, 0)
  return Array.from({ length: seconds }, (_, second) => {
    const limit = limitAt(second)
    const sent = Math.min(pace.perSecond ?? wanted, wanted)
    const refused = Math.max(sent - limit, 0)
    const now = second * 1000
    pace = refused > 0 ? slowDown(pace, sent, now) : speedUp(pace, LIMITS, now)
    return { sent, passed: Math.min(sent, limit), refused, pace }
  })
}

const sum = (numbers: readonly number[]) => numbers.reduce((all, one) => all + one, 0)

describe('the pace at which an endpoint is asked', () => {
  test('is none of ours while it refuses nothing', () => {
    expect(ask(() => Number.POSITIVE_INFINITY, 60).every(({ pace }) => pace.perSecond === null)).toBe(true)
  })

  test.each([1, 5, 15, 25, 100])('makes good use of %i requests a second, and is refused seldom', limit => {
    const late = ask(() => limit, 600).slice(60)
    expect(sum(late.map(({ passed }) => passed)) / late.length).toBeGreaterThan(0.7 * limit)
    expect(late.filter(({ refused }) => refused > 0).length).toBeLessThan(late.length / 15)
  })

  test('notices within two minutes that a limit is gone', () => {
    const seconds = ask(second => (second < 120 ? 2 : 1_000), 300)
    expect(seconds[240]?.passed).toBe(200)
  })

  test('comes back within two minutes after a time in which everything was refused', () => {
    const seconds = ask(second => (second < 600 ? 0 : 50), 900)
    expect(seconds[720]?.passed).toBeGreaterThan(20)
  })

  test('takes refusals of what was under way together for one', () => {
    const once = slowDown(initialPace(LIMITS, 0), 100, 10)
    expect(slowDown(slowDown(once, 100, 11), 100, 500)).toEqual(once)
  })

  test('never freezes, never passes the limits, and never is not a number', () => {
    const events = fc.array(
      fc.record({
        refused: fc.boolean(),
        measured: fc.double({ min: 0, max: 1e6, noNaN: true }),
        afterMs: fc.nat(20_000),
      }),
      { maxLength: 200 },
    )
    fc.assert(
      fc.property(events, fc.option(fc.integer({ min: 1, max: 500 })), (list, perSecond) => {
        const limits = { perSecond, atOnce: 8 }
        let now = 0
        let pace: Pace = initialPace(limits, now)
        for (const { refused, measured, afterMs } of list) {
          now += afterMs
          pace = refused ? slowDown(pace, measured, now) : speedUp(pace, limits, now)
          expect(pace.atOnce).toBeGreaterThanOrEqual(1)
          expect(pace.atOnce).toBeLessThanOrEqual(8)
          if (pace.perSecond === null) continue
          expect(pace.perSecond).toBeGreaterThanOrEqual(MIN_PER_SECOND)
          if (perSecond !== null) expect(pace.perSecond).toBeLessThanOrEqual(perSecond)
        }
        // Left alone it ends at its limits.
        for (let step = 0; step < 2_000; step += 1) pace = speedUp(pace, limits, (now += RECOVER_EVERY_MS))
        expect(pace).toMatchObject({ ...limits, refusedAt: null })
      }),
    )
  })
})
