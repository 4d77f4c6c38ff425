/**
 * How well blocks are known, against an array with one place a block.
 */

import { expect, test } from 'vitest'
import { addProved, type Proof, type ProvedRange, toProof, weakerProof, withinRanges } from '../../src/core/proof.ts'
import { mergeRanges } from '../../src/core/range.ts'
import { fc } from './support/property.ts'

const PROOFS: readonly Proof[] = ['filtered', 'witnessed', 'basic', 'full']
const HIGHEST = 30

const range = fc
  .tuple(fc.integer({ min: 0, max: HIGHEST }), fc.integer({ min: 0, max: 10 }))
  .map(([from, length]) => ({ from, to: Math.min(from + length, HIGHEST) }))
const proved = fc.tuple(range, fc.constantFrom(...PROOFS)).map(([own, proof]): ProvedRange => ({ ...own, proof }))

const placesOf = (ranges: readonly ProvedRange[]) =>
  Array.from(
    { length: HIGHEST + 1 },
    (_, number) => ranges.find(({ from, to }) => from <= number && number <= to)?.proof,
  )

test('each block keeps its best proof, in as few intervals as there can be', () => {
  fc.assert(
    fc.property(fc.array(proved, { maxLength: 12 }), list => {
      const places: (Proof | undefined)[] = Array.from({ length: HIGHEST + 1 })
      let known: readonly ProvedRange[] = []
      for (const each of list) {
        known = addProved(known, each)
        for (let number = each.from; number <= each.to; number += 1) {
          const before = places[number]
          if (before === undefined || PROOFS.indexOf(before) < PROOFS.indexOf(each.proof)) places[number] = each.proof
        }
      }
      expect(placesOf(known)).toEqual(places)
      for (const [index, { from, to, proof }] of known.entries()) {
        expect(from).toBeLessThanOrEqual(to)
        const previous = known[index - 1]
        if (previous === undefined) continue
        expect(from).toBeGreaterThan(previous.to)
        expect(from === previous.to + 1 && proof === previous.proof).toBe(false)
      }
    }),
  )
})

test('what lies within some blocks keeps its proof', () => {
  fc.assert(
    fc.property(fc.array(proved, { maxLength: 6 }), fc.array(range, { maxLength: 4 }), (list, others) => {
      const known = list.reduce<readonly ProvedRange[]>(addProved, [])
      const window = mergeRanges(others)
      const isWithin = (number: number) => window.some(({ from, to }) => from <= number && number <= to)
      expect(placesOf(withinRanges(known, window))).toEqual(
        placesOf(known).map((proof, number) => (isWithin(number) ? proof : undefined)),
      )
    }),
  )
})

test('a word of another version is taken for the usual, and of two proofs the weaker holds', () => {
  expect(toProof('full')).toBe('full')
  expect(toProof('sworn')).toBe('basic')
  expect(weakerProof('witnessed', 'filtered')).toBe('filtered')
  expect(weakerProof('full', 'basic')).toBe('basic')
})
