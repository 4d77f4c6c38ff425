import { describe, expect, test } from 'vitest'
import { chooseClaim, type ClaimState, MAX_PIECE_BLOCKS, MIN_PIECE_BLOCKS, mostBlocksOf } from '../../src/core/claim.ts'
import {
  countBlocks,
  intersectRanges,
  mergeRanges,
  type Range,
  type Ranges,
  subtractRanges,
} from '../../src/core/range.ts'
import { fc } from './support/property.ts'

const HIGHEST = 400
const range = fc
  .tuple(fc.nat({ max: HIGHEST }), fc.nat({ max: 90 }))
  .map(([from, length]): Range => ({ from, to: Math.min(from + length, HIGHEST) }))
const state: fc.Arbitrary<ClaimState> = fc.record({
  range,
  upTo: fc.nat({ max: HIGHEST }),
  complete: fc.array(range, { maxLength: 6 }).map(mergeRanges),
  undone: fc
    .array(fc.tuple(range, fc.boolean()), { maxLength: 6 })
    .map(all => all.map(([each, isFree], index) => ({ id: String(index), range: each, isFree }))),
  elsewhere: fc.array(range, { maxLength: 3 }),
  mostBlocks: fc.integer({ min: MIN_PIECE_BLOCKS, max: MAX_PIECE_BLOCKS }),
})

const base: ClaimState = {
  range: { from: 0, to: 399 },
  upTo: 399,
  complete: [],
  undone: [],
  elsewhere: [],
  mostBlocks: 50,
}
const piece = (id: string, from: number, to: number, isFree: boolean) => ({ id, range: { from, to }, isFree })

describe('the choice of a piece', () => {
  test.each<[string, Partial<ClaimState>, ReturnType<typeof chooseClaim>['piece']]>([
    ['begins at the first block', {}, { id: null, range: { from: 0, to: 49 } }],
    ['passes over what is complete', { complete: [{ from: 0, to: 99 }] }, { id: null, range: { from: 100, to: 137 } }],
    [
      'ends where something complete begins',
      { complete: [{ from: 20, to: 99 }] },
      { id: null, range: { from: 0, to: 19 } },
    ],
    ['passes over what others hold', { undone: [piece('1', 0, 49, false)] }, { id: null, range: { from: 50, to: 99 } }],
    [
      'passes over what another job takes',
      { elsewhere: [{ from: 0, to: 9 }] },
      { id: null, range: { from: 10, to: 59 } },
    ],
    ['takes what came back first', { undone: [piece('1', 70, 99, true)] }, { id: '1', range: { from: 70, to: 99 } }],
    [
      'takes of it what is still missing',
      { undone: [piece('1', 70, 99, true)], complete: [{ from: 60, to: 80 }] },
      { id: '1', range: { from: 81, to: 99 } },
    ],
    [
      'takes of it what is final for the one who asks',
      { undone: [piece('1', 0, 49, true)], upTo: 30 },
      { id: '1', range: { from: 0, to: 30 } },
    ],
    [
      'leaves what came back to another job that has it by now',
      { undone: [piece('1', 0, 49, true)], elsewhere: [{ from: 40, to: 60 }] },
      { id: null, range: { from: 61, to: 110 } },
    ],
    ['is none above what is final for the one who asks', { complete: [{ from: 0, to: 99 }], upTo: 99 }, null],
    ['is none while others hold all that is left', { undone: [piece('1', 0, 399, false)] }, null],
  ])('%s', (_what, given, expected) => {
    expect(chooseClaim({ ...base, ...given }).piece).toEqual(expected)
  })

  test('is never of blocks that are complete at its ends, that others have, or that are too many', () => {
    fc.assert(
      fc.property(state, given => {
        const { piece: chosen, closed, blocksLeft, isOver } = chooseClaim(given)
        const missing = subtractRanges(mergeRanges([given.range]), given.complete)
        const mine = intersectRanges(missing, [{ from: 0, to: given.upTo }])
        expect(blocksLeft).toBe(countBlocks(missing))
        expect(isOver).toBe(mine.length === 0)
        for (const id of closed) {
          const { isFree, range: covered } = given.undone[Number(id)] ?? piece('', 0, 0, false)
          expect(isFree && intersectRanges(missing, [covered]).length === 0).toBe(true)
        }
        if (chosen === null) return
        const ends = mergeRanges([
          { from: chosen.range.from, to: chosen.range.from },
          { from: chosen.range.to, to: chosen.range.to },
        ])
        expect(subtractRanges(ends, mine)).toEqual([])
        if (chosen.id !== null) {
          expect(given.undone[Number(chosen.id)]?.isFree).toBe(true)
          return
        }
        const taken = mergeRanges([...given.undone.map(each => each.range), ...given.elsewhere])
        expect(intersectRanges([chosen.range], taken)).toEqual([])
        expect(chosen.range.to - chosen.range.from).toBeLessThan(given.mostBlocks)
      }),
    )
  })

  test.each([
    ['of a chain that nothing is known of yet', null, 50],
    ['of blocks without rows', 0, 200],
    ['of blocks with a row in a hundred', 0.01, 200],
    ['of blocks with many rows', 25, 100],
    ['of blocks that are fuller than any', 5_000, 25],
  ])('has as many blocks as give some number of rows: %s', (_what, rowsPerBlock, most) => {
    expect(mostBlocksOf(rowsPerBlock)).toBe(most)
  })

  test('is there whenever something is missing that nobody works on', () => {
    fc.assert(
      fc.property(state, given => {
        const idle = { ...given, elsewhere: [], undone: given.undone.filter(({ isFree }) => isFree) }
        const { piece: chosen, isOver } = chooseClaim(idle)
        expect(chosen === null).toBe(isOver)
      }),
    )
  })

  test('gives every one of several workers some of a small job, and no crumbs', () => {
    const sizes: number[] = []
    let complete: Ranges = []
    for (;;) {
      const { piece: chosen } = chooseClaim({ ...base, complete })
      if (chosen === null) break
      sizes.push(chosen.range.to - chosen.range.from + 1)
      complete = mergeRanges([...complete, chosen.range])
    }
    expect(sizes.length).toBeGreaterThan(8)
    expect(sizes.slice(0, -1).every(size => size >= MIN_PIECE_BLOCKS)).toBe(true)
  })
})

/** What may happen to a job: some worker claims, commits the oldest of its pieces, or is taken for dead. */
const deed = fc.record({
  kind: fc.constantFrom('claim' as const, 'claim' as const, 'commit' as const, 'commit' as const, 'expire' as const),
  worker: fc.nat({ max: 2 }),
})

test('however claims are made, committed and lost: a job ends, complete, and no block is committed twice', () => {
  fc.assert(
    fc.property(fc.array(deed, { maxLength: 60 }), deeds => {
      let complete: Ranges = []
      let pieces: { id: string; range: Range; holder: number | null }[] = []
      let committed = 0
      let made = 0
      const act = ({ kind, worker }: (typeof deeds)[number]): boolean => {
        const own = pieces.filter(({ holder }) => holder === worker)
        if (kind === 'expire') pieces = pieces.map(each => (each.holder === worker ? { ...each, holder: null } : each))
        if (kind === 'commit' && own[0] !== undefined) {
          const [{ id, range: done }] = own as [(typeof pieces)[number]]
          committed += done.to - done.from + 1
          complete = mergeRanges([...complete, done])
          pieces = pieces.filter(each => each.id !== id)
        }
        if (kind !== 'claim') return false
        const undone = pieces.map(each => ({ id: each.id, range: each.range, isFree: each.holder === null }))
        const choice = chooseClaim({ ...base, complete, undone })
        if (choice.piece !== null) {
          const { id, range: chosen } = choice.piece
          const known = pieces.filter(each => each.id !== id)
          pieces = [...known, { id: id ?? `p${(made += 1)}`, range: chosen, holder: worker }]
        }
        return choice.isOver
      }
      for (const each of deeds) act(each)
      for (const worker of [1, 2]) act({ kind: 'expire', worker })
      let isOver = false
      for (let turns = 0; !isOver; turns += 1) {
        expect(turns).toBeLessThan(200)
        isOver = act({ kind: 'claim', worker: 0 })
        act({ kind: 'commit', worker: 0 })
      }
      expect(complete).toEqual([base.range])
      expect(committed).toBe(countBlocks(complete))
    }),
  )
})
