/**
 * Who lacks which blocks, and how they are cut into work: compared with sets of whole numbers.
 */

import { describe, expect, test } from 'vitest'
import {
  cheaperWay,
  mayFilter,
  movesNative,
  onlyCall,
  partsOf,
  piecesOf,
  type Segment,
  segmentsOf,
} from '../../src/core/onboarding.ts'
import { mergeRanges, type Ranges } from '../../src/core/range.ts'
import type { Address, Block, Receipt, Transaction } from '../../src/core/types.ts'
import { fc } from './support/property.ts'

const WALLETS: readonly Address[] = ['0x01', '0x02', '0x03', '0x04']
const HIGHEST = 60

const ranges = fc
  .array(fc.tuple(fc.integer({ min: 0, max: HIGHEST }), fc.integer({ min: 0, max: 12 })), { maxLength: 4 })
  .map(list => mergeRanges(list.map(([from, length]) => ({ from, to: from + length }))))
const lacking = fc
  .tuple(ranges, ranges, ranges, ranges)
  .map(each => new Map<Address, Ranges>(each.map((own, index) => [WALLETS[index] ?? '0x', own])))

const numbersOf = ({ from, to }: { from: number; to: number }) =>
  Array.from({ length: to - from + 1 }, (_, index) => from + index)
/** Every pair of a block and a wallet. */
const pairsOf = (segments: readonly Segment[]) =>
  segments.flatMap(({ range, wallets }) =>
    numbersOf(range).flatMap(number => wallets.map(wallet => `${number} ${wallet}`)),
  )
const wanted = (map: ReadonlyMap<Address, Ranges>) =>
  [...map].flatMap(([wallet, own]) => own.flatMap(numbersOf).map(number => `${number} ${wallet}`))

describe('segments', () => {
  test('hold each block of each wallet that lacks it, once', () => {
    fc.assert(
      fc.property(lacking, map => {
        const segments = segmentsOf(map)
        expect(pairsOf(segments).toSorted()).toEqual(wanted(map).toSorted())
        // Lowest first, and no block in two of them.
        for (const [index, { range }] of segments.entries())
          expect(range.from).toBeGreaterThan(segments[index - 1]?.range.to ?? -1)
      }),
    )
  })
})

describe('pieces', () => {
  test('are no longer than allowed, cover all that is lacking, and read no block twice and none that nobody lacks', () => {
    fc.assert(
      fc.property(lacking, fc.integer({ min: 1, max: 20 }), (map, size) => {
        const pieces = piecesOf(map, size)
        const pairs = new Set(pairsOf(pieces))
        expect(wanted(map).filter(pair => !pairs.has(pair))).toEqual([])
        const blocks = pieces.flatMap(({ range }) => numbersOf(range))
        expect(blocks).toEqual(
          [...new Set([...map.values()].flatMap(own => own.flatMap(numbersOf)))].toSorted((a, b) => a - b),
        )
        for (const { range } of pieces) expect(range.to - range.from).toBeLessThan(size)
      }),
    )
  })
})

describe('the cheaper way', () => {
  test.each([
    ['a wallet that never did anything, on a long chain', 1_000_000, [0], 'filtered'],
    ['a few active ones on a long chain', 1_000_000, [200, 50, 1_000], 'filtered'],
    ['a wallet that sends in every third block', 30_000, [10_000], 'whole'],
    ['a short past', 30, [0], 'whole'],
    ['many wallets with a common past', 20_000, Array.from({ length: 1_000 }, () => 3), 'whole'],
  ] as const)('for %s', (_what, blocks, sent, way) => {
    expect(cheaperWay(blocks, sent)).toBe(way)
  })

  test('is never filtered where that is not worth a look', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 1_000_000 }),
        fc.array(fc.nat({ max: 10_000 }), { minLength: 1, maxLength: 300 }),
        (blocks, sent) => {
          if (!mayFilter(blocks, sent.length)) expect(cheaperWay(blocks, sent)).toBe('whole')
        },
      ),
    )
  })
})

describe('what is found by filters', () => {
  test('is cut into parts of few wallets and few finds, and nothing is left out', () => {
    fc.assert(
      fc.property(
        fc.array(fc.nat({ max: 3_000 }), { minLength: 1, maxLength: 40 }),
        fc.integer({ min: 100, max: 5_000 }),
        fc.integer({ min: 1, max: 10 }),
        (sent, blocks, most) => {
          const wallets = sent.map((_, index): Address => `0x${index}`)
          const range = { from: 50, to: 49 + blocks }
          const parts = partsOf({ range, wallets }, sent, most, 500)
          const known = new Map<Address, Ranges>()
          for (const part of parts) {
            expect(part.wallets.length).toBeLessThanOrEqual(most)
            for (const wallet of part.wallets) {
              const own = known.get(wallet) ?? []
              // The newest first, each block once.
              expect(part.range.to).toBe((own[0]?.from ?? range.to + 1) - 1)
              known.set(wallet, [{ from: part.range.from, to: own[0]?.to ?? range.to }])
            }
          }
          expect([...known.keys()].toSorted()).toEqual(wallets.toSorted())
          for (const own of known.values()) expect(own).toEqual([range])
        },
      ),
    )
  })

  test('of one busy wallet in as many parts as it takes', () => {
    const busy = { range: { from: 0, to: 999_999 }, wallets: [WALLETS[0] ?? '0x'] }
    expect(partsOf(busy, [40_000], 50, 10_000)).toHaveLength(6)
    expect(partsOf(busy, [3], 50, 10_000)).toEqual([busy])
  })
})

const WALLET: Address = `0x${'a'.repeat(40)}`
const OTHER: Address = `0x${'b'.repeat(40)}`
const hash = (index: number) => `0x${String(index).padStart(64, '0')}` as const

function blockOf(
  parts: readonly {
    from?: Address
    to?: Address
    value?: bigint
    succeeded?: boolean | null
    gasUsed?: bigint | null
  }[],
): Block {
  const transactions = parts.map(
    ({ from = OTHER, to = OTHER, value = 0n }, index): Transaction => ({
      hash: hash(index),
      index,
      from,
      to,
      value,
      input: '0x',
      nonce: index,
      gas: 100_000n,
      authorizations: [],
    }),
  )
  const receipts = parts.map(
    ({ succeeded = true, gasUsed = 21_000n }, index): Receipt => ({
      transactionHash: hash(index),
      transactionIndex: index,
      succeeded,
      gasUsed,
      contractAddress: null,
      logs: [],
    }),
  )
  return { number: 1, hash: hash(99), parentHash: hash(98), timestamp: 1, transactions, receipts }
}

describe('a block', () => {
  test.each([
    ['sends from the wallet', { from: WALLET }, true],
    ['sends from the wallet in vain', { from: WALLET, succeeded: false }, true],
    ['pays it', { to: WALLET, value: 1n }, true],
    ['would have paid it', { to: WALLET, value: 1n, succeeded: false }, false],
    ['calls it without value', { to: WALLET }, false],
    ['concerns others', { value: 5n }, false],
  ] as const)('that %s moves its account, or does not', (_what, part, moves) => {
    expect(movesNative(blockOf([{}, part]), WALLET)).toBe(moves)
  })

  test('names the transaction in which code ran, if it is the only one', () => {
    expect(onlyCall(blockOf([{}, { gasUsed: 50_000n }, {}]))).toBe(hash(1))
    expect(onlyCall(blockOf([{ gasUsed: 50_000n }, { gasUsed: 60_000n }]))).toBeNull()
    expect(onlyCall(blockOf([{ gasUsed: 50_000n, succeeded: false }, { gasUsed: 60_000n }]))).toBe(hash(1))
    expect(onlyCall(blockOf([{ gasUsed: null }, { gasUsed: 60_000n }]))).toBeNull()
    expect(onlyCall(blockOf([{}, {}]))).toBeNull()
  })
})
