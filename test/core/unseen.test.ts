/**
 * Verdicts on transactions that no chain has.
 */

import { describe, expect, test } from 'vitest'
import { transitionsOfInclusion } from '../../src/core/lifecycle.ts'
import { isDropped, searchNonce, type UnseenInput } from '../../src/core/unseen.ts'
import { fc } from './support/property.ts'

const DAY = 86_400
const long: UnseenInput = {
  waitedSeconds: DAY + 1,
  droppedAfterSeconds: DAY,
  chains: [{ says: ['none', 'none'] }, { says: ['none'] }],
  noncePassed: false,
}

describe('dropped', () => {
  test.each<[string, Partial<UnseenInput>, boolean]>([
    ['every endpoint of every chain does not know it, for longer than a day', {}, true],
    ['the sender is not known', { noncePassed: null }, true],
    ['exactly a day', { waitedSeconds: DAY }, false],
    ['the nonce has been used: that is a replacement', { noncePassed: true }, false],
    ['one endpoint has it', { chains: [{ says: ['none', 'found'] }, { says: ['none'] }] }, false],
    ['one endpoint is silent', { chains: [{ says: ['none', 'silent'] }, { says: ['none'] }] }, false],
    ['one endpoint forgets', { chains: [{ says: ['none'] }, { says: ['forgetful'] }] }, false],
    ['a chain has no endpoint', { chains: [{ says: ['none'] }, { says: [] }] }, false],
    ['there is no chain', { chains: [] }, false],
  ])('%s', (_name, changes, expected) => {
    expect(isDropped({ ...long, ...changes })).toBe(expected)
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
