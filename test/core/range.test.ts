import { describe, expect, test } from 'vitest'
import {
  countBlocks,
  intersectRanges,
  mergeRanges,
  type Range,
  type Ranges,
  splitRanges,
  subtractRanges,
} from '../../src/core/range.ts'
import { fc } from './support/property.ts'

/** Any ranges: overlapping, touching, in any order, and some the wrong way round. */
const anyRanges = fc.array(
  fc
    .tuple(fc.integer({ min: 0, max: 40 }), fc.integer({ min: -2, max: 8 }))
    .map(([from, n]) => ({ from, to: from + n })),
  { maxLength: 8 },
)
const ranges = anyRanges.map(mergeRanges)

function blocksOf(all: readonly Range[]): Set<number> {
  return new Set(all.flatMap(({ from, to }) => Array.from({ length: Math.max(to - from + 1, 0) }, (_, i) => from + i)))
}

function filtered(all: readonly Range[], keep: (number: number) => boolean): Set<number> {
  return new Set([...blocksOf(all)].filter(keep))
}

/** Says the same blocks, and in the one form that is allowed: sorted, apart, none empty. */
function expectBlocks(result: Ranges, expected: Set<number>): void {
  expect([...blocksOf(result)].toSorted((a, b) => a - b)).toEqual([...expected].toSorted((a, b) => a - b))
  for (const [i, { from, to }] of result.entries()) {
    expect(to).toBeGreaterThanOrEqual(from)
    const before = result[i - 1]
    if (before !== undefined) expect(from).toBeGreaterThan(before.to + 1)
  }
}

describe('against sets of numbers', () => {
  test('merge is the union', () => {
    fc.assert(fc.property(anyRanges, all => expectBlocks(mergeRanges(all), blocksOf(all))))
  })
  test('subtract is the difference', () => {
    fc.assert(
      fc.property(ranges, ranges, (a, b) =>
        expectBlocks(
          subtractRanges(a, b),
          filtered(a, number => !blocksOf(b).has(number)),
        ),
      ),
    )
  })
  test('intersect is the intersection', () => {
    fc.assert(
      fc.property(ranges, ranges, (a, b) =>
        expectBlocks(
          intersectRanges(a, b),
          filtered(a, number => blocksOf(b).has(number)),
        ),
      ),
    )
  })
  test('count is the size', () => {
    fc.assert(
      fc.property(ranges, a => {
        expect(countBlocks(a)).toBe(blocksOf(a).size)
      }),
    )
  })
  test('split keeps every block once, in order, in the fewest pieces of at most the size', () => {
    fc.assert(
      fc.property(ranges, fc.integer({ min: 1, max: 10 }), (a, size) => {
        const pieces = splitRanges(a, size)
        const flat = pieces.flatMap(piece => [...blocksOf([piece])])
        expect(flat).toEqual([...blocksOf(a)])
        for (const piece of pieces) expect(countBlocks([piece])).toBeLessThanOrEqual(size)
        const fewest = a.reduce((sum, range) => sum + Math.ceil(countBlocks([range]) / size), 0)
        expect(pieces).toHaveLength(fewest)
      }),
    )
  })
})

test.each<[string, Ranges, Ranges, Ranges]>([
  ['nothing from something', [{ from: 1, to: 9 }], [], [{ from: 1, to: 9 }]],
  [
    'a hole in the middle',
    [{ from: 1, to: 9 }],
    [{ from: 4, to: 5 }],
    [
      { from: 1, to: 3 },
      { from: 6, to: 9 },
    ],
  ],
  [
    'both ends',
    [{ from: 1, to: 9 }],
    [
      { from: 0, to: 1 },
      { from: 9, to: 12 },
    ],
    [{ from: 2, to: 8 }],
  ],
  ['all of it', [{ from: 1, to: 9 }], [{ from: 1, to: 9 }], []],
])('subtract %s', (_name, from, removed, rest) => {
  expect(subtractRanges(from, removed)).toEqual(rest)
})

test('touching ranges become one, and ranges a block apart stay two', () => {
  expect(
    mergeRanges([
      { from: 5, to: 9 },
      { from: 1, to: 4 },
    ]),
  ).toEqual([{ from: 1, to: 9 }])
  expect(
    mergeRanges([
      { from: 6, to: 9 },
      { from: 1, to: 4 },
    ]),
  ).toEqual([
    { from: 1, to: 4 },
    { from: 6, to: 9 },
  ])
})
