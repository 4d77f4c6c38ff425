import { describe, expect, test } from 'vitest'
import { findAncestor, findBreak, type Verdict, type Witness, weighBranches } from '../../src/core/lineage.ts'
import type { Hash, Header } from '../../src/core/types.ts'
import { hashOf } from './support/build.ts'
import { fc } from './support/property.ts'

/** Headers from `from` on; the branch's name is in every hash above `fork`. */
function branch(name: number, from: number, to: number, fork: number): Header[] {
  const hashAt = (number: number) => hashOf(number > fork ? name * 1_000_000 + number : number)
  return Array.from({ length: Math.max(to - from + 1, 0) }, (_, i) => {
    const number = from + i
    return { number, hash: hashAt(number), parentHash: hashAt(number - 1), timestamp: number * 12 }
  })
}

/** Asks as a caller does, and tells what was found and which heights were asked. */
function walk(window: readonly Header[], theirs: ReadonlyMap<number, Hash>) {
  const answers = new Map<number, Hash | null>()
  const asked: number[] = []
  for (;;) {
    const found = findAncestor(window, answers)
    if (found.kind !== 'ask') return { found, asked }
    expect(answers.has(found.number)).toBe(false)
    asked.push(found.number)
    answers.set(found.number, theirs.get(found.number) ?? null)
  }
}

describe('the common ancestor', () => {
  test('is the highest block of both branches, found with one question for each block above it', () => {
    const shapes = fc.record({
      low: fc.nat(50),
      size: fc.integer({ min: 1, max: 70 }),
      depth: fc.nat(80),
      theirSize: fc.nat(80),
    })
    fc.assert(
      fc.property(shapes, fc.boolean(), ({ low, size, depth, theirSize }, shuffled) => {
        const top = low + size - 1
        const fork = top - depth
        const ours = branch(1, low, top, fork)
        const theirs = new Map(branch(2, 0, low + theirSize, fork).map(({ number, hash }) => [number, hash]))
        const common = ours.findLast(({ number, hash }) => theirs.get(number) === hash)
        const { found, asked } = walk(shuffled ? ours.toReversed() : ours, theirs)
        expect(found).toEqual(common === undefined ? { kind: 'beyond' } : { kind: 'ancestor', header: common })
        const lowestAsked = common?.number ?? low
        expect(asked).toEqual(Array.from({ length: top - lowestAsked + 1 }, (_, i) => top - i))
      }),
    )
  })

  test('is beyond an empty window without a question', () => {
    expect(findAncestor([], new Map())).toEqual({ kind: 'beyond' })
  })

  test('is not taken from a height that the node does not have', () => {
    const window = branch(1, 5, 6, 9)
    expect(findAncestor(window, new Map([[6, null]]))).toEqual({ kind: 'ask', number: 5 })
    expect(
      findAncestor(
        window,
        new Map([
          [6, null],
          [5, null],
        ]),
      ),
    ).toEqual({ kind: 'beyond' })
  })

  test('skips heights that the window lacks', () => {
    const window = branch(1, 1, 9, 9).filter(({ number }) => number % 4 === 1)
    expect(
      walk(
        window,
        new Map([
          [9, hashOf(0xbad)],
          [5, hashOf(5)],
        ]),
      ),
    ).toEqual({
      found: { kind: 'ancestor', header: window[1] },
      asked: [9, 5],
    })
  })
})

describe('a break', () => {
  const headers = branch(1, 11, 15, 99)
  test.each<[string, { number: number; hash: Hash } | null, readonly Header[], number | null]>([
    ['is not where all follow', { number: 10, hash: hashOf(10) }, headers, null],
    ['is not where nothing comes', { number: 10, hash: hashOf(10) }, [], null],
    ['is not before the first block ever', null, headers, null],
    ['is at the first block of another parent', { number: 10, hash: hashOf(0xbad) }, headers, 11],
    ['is at the first block of another height', { number: 9, hash: hashOf(10) }, headers, 11],
    [
      'is in the middle, where branches meet',
      { number: 10, hash: hashOf(10) },
      [...branch(1, 11, 12, 99), ...branch(2, 13, 14, 0)],
      13,
    ],
    ['is where a height is left out', null, [...branch(1, 11, 12, 99), ...branch(1, 14, 15, 99)], 14],
    ['is where a block comes twice', null, [...branch(1, 11, 12, 99), ...branch(1, 12, 13, 99)], 12],
  ])('%s', (_name, parent, all, number) => {
    expect(findBreak(parent, all)?.number ?? null).toBe(number)
  })
})

/** `o` shows ours, `x` another, `-` none, `?` gives no answer; capital letters have a head above our checkpoint. */
const hear = (letters: string): Witness[] =>
  Array.from(letters, (letter, endpoint) => {
    const shows = { o: 'ours', x: 'other', '-': 'none', '?': 'nothing' }[letter.toLowerCase()] as Witness['shows']
    const above = letter !== letter.toLowerCase()
    return { endpoint, shows, headNumber: shows === 'nothing' ? null : above ? 101 : shows === 'none' ? 99 : 100 }
  })

describe('of two branches', () => {
  test.each<[string, string, Verdict, Verdict]>([
    ['the one endpoint shows another block', 'X', 'leave', 'leave'],
    ['the one endpoint shows ours after all', 'O', 'stay', 'stay'],
    ['the one endpoint has no such block any more', '-', 'leave', 'leave'],
    ['the one endpoint does not answer', '?', 'wait', 'wait'],
    ['all show another', 'XX', 'leave', 'leave'],
    ['one is on a fork, the other goes on', 'XO', 'stay', 'stay'],
    ['one is on a fork, two go on', 'XOO', 'stay', 'stay'],
    ['one is on a fork, two are at the checkpoint', 'Xoo', 'wait', 'leave'],
    ['one came over, the other is still at the checkpoint', 'Xo', 'wait', 'leave'],
    ['one came over without a block more', 'xo', 'wait', 'wait'],
    ['two came over', 'XXo', 'leave', 'leave'],
    ['two came over, and ours goes on for one', 'XXO', 'leave', 'leave'],
    ['one came over, the other is silent', 'X?', 'wait', 'leave'],
    ['two came over, another is silent', 'XX?', 'leave', 'leave'],
    ['ours for one, the others are silent', 'O??', 'stay', 'stay'],
    ['one lags and one is silent', '-?', 'leave', 'leave'],
    ['one lags and one has ours', '-o', 'stay', 'stay'],
    ['one lags and one came over', '-X', 'leave', 'leave'],
    ['nobody answers', '???', 'wait', 'wait'],
  ])('%s (%s): at first %s, after some patience %s', (_what, letters, atFirst, later) => {
    expect(weighBranches(100, hear(letters), false)).toBe(atFirst)
    expect(weighBranches(100, hear(letters), true)).toBe(later)
  })
})
