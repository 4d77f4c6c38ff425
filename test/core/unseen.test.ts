/**
 * Verdicts on transactions that no chain has.
 */

import { describe, expect, test } from 'vitest'
import { transitionsOfInclusion } from '../../src/core/lifecycle.ts'
import {
  type ChainTestimony,
  isDropped,
  isSurveyDue,
  searchNonce,
  type SurveyResult,
  type UnseenInput,
  weighTestimonies,
} from '../../src/core/unseen.ts'
import { fc } from './support/property.ts'

const DAY = 86_400
const long: UnseenInput = { waitedSeconds: DAY + 1, droppedAfterSeconds: DAY, surveys: 5, noncePassed: false }

describe('dropped', () => {
  test.each<[string, Partial<UnseenInput>, boolean]>([
    ['nobody had it, five times, for longer than a day', {}, true],
    ['the sender is not known', { noncePassed: null }, true],
    ['exactly a day', { waitedSeconds: DAY }, false],
    ['the nonce has been used: that is a replacement', { noncePassed: true }, false],
    ['nobody had it, four times', { surveys: 4 }, false],
    ['the daemon was down all day, and asked once', { surveys: 1 }, false],
  ])('%s', (_name, changes, expected) => {
    expect(isDropped({ ...long, ...changes })).toBe(expected)
  })

  test('takes at least the whole time, whenever somebody looks', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: DAY }), { minLength: 1, maxLength: 200 }), pauses => {
        let now = 0
        let surveyedAt = 0
        let surveys = 0
        for (const pause of pauses) {
          now += pause
          if (!isSurveyDue(now - surveyedAt, DAY)) continue
          surveyedAt = now
          surveys += 1
          if (isDropped({ ...long, waitedSeconds: now, surveys })) expect(now).toBeGreaterThan(DAY)
          // A day of five looks is enough, however long the last one took to come.
          if (surveys === 5) expect(now).toBeGreaterThan(DAY)
        }
      }),
    )
  })
})

describe('what all endpoints say', () => {
  test.each<[string, ChainTestimony[], SurveyResult]>([
    ['nobody has it', [{ says: ['none', 'none'] }, { says: ['none'] }], 'none'],
    ['one has it', [{ says: ['none', 'found'] }, { says: ['none'] }], 'found'],
    ['one has it and one is silent', [{ says: ['silent'] }, { says: ['found'] }], 'found'],
    ['one is silent', [{ says: ['none', 'silent'] }, { says: ['none'] }], 'open'],
    ['one forgets', [{ says: ['none'] }, { says: ['forgetful'] }], 'open'],
    ['a chain has no endpoint', [{ says: ['none'] }, { says: [] }], 'open'],
    ['there is no chain', [], 'open'],
  ])('%s', (_name, chains, expected) => {
    expect(weighTestimonies(chains)).toBe(expected)
  })
})

describe('the block in which a nonce was used', () => {
  test('is found for every history, with few questions', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2_000_000 }), fc.double({ min: 0, max: 1, noNaN: true }), (top, share) => {
        const used = Math.floor(top * share)
        let below = -1
        let passed = top
        let stride = 1
        let questions = 0
        for (;;) {
          const search = searchNonce(below, passed, stride)
          if (search.kind === 'found') {
            expect(search.block).toBe(used)
            expect(questions).toBeLessThanOrEqual(2 * Math.ceil(Math.log2(top - used + 2)) + 4)
            return
          }
          questions += 1
          expect(search.block).toBeGreaterThan(below)
          expect(search.block).toBeLessThan(passed)
          if (search.block >= used) {
            passed = search.block
            stride *= 2
          } else {
            below = search.block
            stride = Number.POSITIVE_INFINITY
          }
        }
      }),
    )
  })
})

test('what was given up and stands in a block after all was found', () => {
  const reasons = transitionsOfInclusion('failed', false, true, true, true).map(({ reason }) => reason)
  expect(reasons).toEqual(['found', 'confirmed'])
})
