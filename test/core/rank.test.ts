import { describe, expect, test } from 'vitest'
import { fc } from './support/property.ts'
import { hedgeAfterMs, rankEndpoints, type Standing } from '../../src/core/rank.ts'

const good: Standing = { restMs: 0, isBusy: false, lacks: false, errorShare: 0, latencyMs: 40 }

describe('of several endpoints the first that is asked', () => {
  test.each<[string, Partial<Standing>, Partial<Standing>]>([
    ['rests no longer', { restMs: 5_000 }, {}],
    ['rests for the shortest time, if all do', { restMs: 5_000 }, { restMs: 1_000 }],
    ['has the block in question', { lacks: true }, {}],
    ['has the block in question, though it is slower', { lacks: true }, { latencyMs: 900 }],
    ['errs less', { errorShare: 0.4 }, {}],
    ['errs less, though it is slower and busy', { errorShare: 0.4 }, { latencyMs: 900, isBusy: true }],
    ['has room for another question', { isBusy: true }, {}],
    ['answers in less than half the time', { latencyMs: 250 }, { latencyMs: 90 }],
  ])('%s', (_what, worse, better) => {
    expect(
      rankEndpoints([
        { ...good, ...worse },
        { ...good, ...better },
      ]),
    ).toEqual([1, 0])
  })

  test.each<[string, Partial<Standing>, Partial<Standing>]>([
    ['the other answers a little sooner', { latencyMs: 80 }, { latencyMs: 60 }],
    ['both are fast enough', { latencyMs: 49 }, { latencyMs: 1 }],
    ['it made a mistake now and then', { errorShare: 0.04 }, {}],
    ['nothing is known of the other', {}, { latencyMs: null }],
  ])('is the first of the configuration, though %s', (_what, first, second) => {
    expect(
      rankEndpoints([
        { ...good, ...first },
        { ...good, ...second },
      ]),
    ).toEqual([0, 1])
  })

  test('is one of them, and each comes once, whatever is known', () => {
    const standing = fc.record({
      restMs: fc.nat(60_000),
      isBusy: fc.boolean(),
      lacks: fc.boolean(),
      errorShare: fc.double({ min: 0, max: 1, noNaN: true }),
      latencyMs: fc.option(fc.double({ min: 0, max: 60_000, noNaN: true })),
    })
    fc.assert(
      fc.property(fc.array(standing, { maxLength: 8 }), standings => {
        expect(rankEndpoints(standings).toSorted((a, b) => a - b)).toEqual(standings.map((_one, index) => index))
      }),
    )
  })
})

test('another endpoint is asked besides after a few times the usual wait, between 0.75 and 5 seconds', () => {
  expect([null, 10, 500, 10_000].map(hedgeAfterMs)).toEqual([750, 750, 2_000, 5_000])
})
