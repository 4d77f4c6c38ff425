/**
 * The native history of a wallet by the state of its account, against lives whose every block is known.
 */

import { describe, expect, test } from 'vitest'
import {
  type Answer,
  codeKindOf,
  type Findings,
  type Question,
  searchNativeHistory,
} from '../../src/core/native-history.ts'
import { mergeRanges, type Range } from '../../src/core/range.ts'
import {
  answerOf,
  contractLife,
  delegatingLife,
  isChanged,
  keyLife,
  type Life,
  lifeAs,
} from './support/account-model.ts'
import { atLeast, fc } from './support/property.ts'

type Searched = Findings & { readonly calls: number; readonly rounds: number }

/** A block and its receipts. */
const CALLS_PER_BLOCK = 2

function search(
  range: Range,
  answer: (question: Question) => Answer,
  { isKey = false, atOnce = 16 }: { readonly isKey?: boolean; readonly atOnce?: number } = {},
): Searched {
  const searching = searchNativeHistory(range, { isKey, atOnce })
  let [calls, rounds] = [0, 0]
  let step = searching.next()
  while (step.done !== true) {
    for (const { of } of step.value) calls += of === 'signature' ? CALLS_PER_BLOCK : 1
    rounds += 1
    step = searching.next(step.value.map(answer))
  }
  return { ...step.value, calls, rounds }
}

const searchLife = (life: Life, range: Range, options?: Parameters<typeof search>[2]) =>
  search(range, question => answerOf(life, question), options)

/** A life, and its chain or a part of it. */
function withRange(lives: fc.Arbitrary<Life>): fc.Arbitrary<{ life: Life; range: Range }> {
  return fc.tuple(lives, fc.nat(), fc.nat(), fc.boolean()).map(([life, a, b, isAll]) => {
    const { length } = life.blocks
    if (isAll) return { life, range: { from: a % 3 === 0 ? 0 : Math.min(1, length - 1), to: length - 1 } }
    const [from, to] = [a % length, b % length].toSorted((x, y) => x - y) as [number, number]
    return { life, range: { from, to } }
  })
}

function* numbers({ from, to }: Range): Generator<number> {
  for (let block = from; block <= to; block += 1) yield block
}

const has = (ranges: readonly Range[], block: number) => ranges.some(({ from, to }) => from <= block && block <= to)

function isPartition({ hits, whole, empty }: Findings, range: Range): boolean {
  const all = [...hits.map(hit => ({ from: hit, to: hit })), ...whole.map(one => one.range), ...empty]
  const sorted = all.toSorted((a, b) => a.from - b.from)
  const isApart = sorted.every(({ from, to }, index) => from <= to && from > (sorted[index - 1]?.to ?? -1))
  const [only, ...more] = mergeRanges(all)
  return isApart && more.length === 0 && only?.from === range.from && only.to === range.to
}

/** Blocks of the range in which something happened and that would not be read. */
function missed({ empty }: Findings, { blocks }: Life): number[] {
  return empty.flatMap(range => [...numbers(range)].filter(block => blocks[block]?.happened))
}

const reasonsOf = ({ whole }: Findings) => [...new Set(whole.map(({ reason }) => reason))]
const changedIn = (life: Life, range: Range) => [...numbers(range)].filter(block => block > 0 && isChanged(life, block))

describe('nothing is missed', () => {
  test.each([
    ['keys', keyLife],
    ['keys that delegate', delegatingLife],
    ['addresses of contracts that come, go, or never have code', contractLife],
  ])('of %s: what is not read is empty, and every block is in one place', (_name, lives) => {
    fc.assert(
      fc.property(withRange(lives), fc.constantFrom(1, 4, 16), ({ life, range }, atOnce) => {
        const found = searchLife(life, range, { atOnce })
        expect(isPartition(found, range)).toBe(true)
        expect(missed(found, life)).toEqual([])
      }),
      atLeast(2_000),
    )
  })

  test('where some of the state is gone: that part is read whole', () => {
    fc.assert(
      fc.property(withRange(fc.oneof(keyLife, delegatingLife, contractLife)), fc.nat(), ({ life, range }, salt) => {
        const isGone = ({ of, block }: Question) => ((block * 7919 + of.length * 104_729 + salt) * 31) % 11 === 0
        const found = search(range, question => (isGone(question) ? null : answerOf(life, question)))
        expect(isPartition(found, range)).toBe(true)
        expect(missed(found, life)).toEqual([])
      }),
      atLeast(2_000),
    )
  })
})

describe('of a key', () => {
  test('that has sent something before the end, hits are exactly the blocks that changed it, and only dense stretches are read whole', () => {
    let [hits, dense, searches] = [0, 0, 0]
    fc.assert(
      fc.property(withRange(keyLife), ({ life, range }) => {
        fc.pre((life.blocks[range.to]?.nonce ?? 0) > 0)
        const found = searchLife(life, range)
        const whole = found.whole.map(one => one.range)
        expect(reasonsOf(found).filter(reason => reason !== 'dense')).toEqual([])
        expect(found.hits).toEqual(changedIn(life, range).filter(block => !has(whole, block)))
        hits += found.hits.length
        dense += whole.length
        searches += 1
      }),
      atLeast(2_000),
    )
    // The lives have something to be found.
    expect(hits / searches).toBeGreaterThan(2)
    expect(dense).toBeGreaterThan(50)
  })

  test('the account before and after each hit is told', () => {
    fc.assert(
      fc.property(withRange(fc.oneof(keyLife, delegatingLife)), ({ life, range }) => {
        const { hits, changes } = searchLife(life, range)
        const stateAt = (block: number) => {
          const { nonce, balance } = life.blocks[block] ?? { nonce: -1, balance: 0n }
          return { nonce, balance }
        }
        expect(changes).toEqual(hits.map(block => ({ block, before: stateAt(block - 1), after: stateAt(block) })))
      }),
    )
  })

  test('a block that pays and is paid as much is a hit, and so is one whose transaction cost nothing', () => {
    const life = lifeAs(true, 200, {
      20: ['is paid', 'is paid', 'is paid'],
      50: ['sends to itself'],
      90: ['pays, and is paid as much'],
      150: ['sends for no fee'],
    })
    const found = searchLife(life, { from: 51, to: 200 })
    expect(found.hits).toEqual([90, 150])
    expect(found.whole).toEqual([])
  })

  test('an unused one is read whole, but not where a signature of its was seen', () => {
    const life = lifeAs(true, 300, { 70: ['is paid'], 220: ['is paid'] })
    const range = { from: 0, to: 300 }
    const unknown = searchLife(life, range)
    expect(unknown).toMatchObject({ hits: [], whole: [{ range: { from: 1, to: 300 }, reason: 'could-be-contract' }] })
    expect(unknown.empty).toEqual([{ from: 0, to: 0 }])
    const known = searchLife(life, range, { isKey: true })
    expect(known).toMatchObject({ hits: [70, 220], whole: [] })
  })

  test('its first transaction proves it for the time before', () => {
    const life = lifeAs(true, 300, { 70: ['is paid'], 110: ['is paid'], 220: ['pays'] })
    expect(searchLife(life, { from: 1, to: 300 })).toMatchObject({ hits: [70, 110, 220], whole: [] })
  })

  test('blocks between delegation and its end are read whole, and no others', () => {
    const life = lifeAs(true, 400, {
      20: ['is paid', 'is paid'],
      30: ['sends to itself'],
      100: ['delegates'],
      150: ['pays by its delegation'],
      200: ['creates by its delegation'],
      250: ['takes the delegation back'],
      330: ['is paid'],
    })
    const found = searchLife(life, { from: 40, to: 400 })
    expect(found.hits).toEqual([100, 200, 250, 330])
    expect(found.whole).toEqual([
      { range: { from: 101, to: 199 }, reason: 'delegated' },
      { range: { from: 201, to: 249 }, reason: 'delegated' },
    ])
  })

  test('a sponsored delegation proves a key whose nonce was 0', () => {
    const life = lifeAs(true, 400, { 60: ['is paid'], 200: ['delegates'] })
    const found = searchLife(life, { from: 1, to: 400 })
    expect(found.hits).toEqual([60, 200])
    expect(found.whole).toEqual([{ range: { from: 201, to: 400 }, reason: 'delegated' }])
  })
})

describe('of an address that may be a contract', () => {
  test('one that is funded and swept within blocks is read whole', () => {
    const life = lifeAs(false, 300, { 100: ['is funded, created, swept and destroyed'] })
    expect(searchLife(life, { from: 1, to: 300 }).whole).toEqual([
      { range: { from: 1, to: 300 }, reason: 'could-be-contract' },
    ])
  })

  test('a nonce above 0 without code at the end is no proof of a key: the last constructor may have left no code', () => {
    for (const sums of [1, 2, 3]) {
      const life = lifeAs(false, 300, {
        100: ['is funded, created, swept and destroyed'],
        200: [...Array.from({ length: sums }, () => 'is paid'), 'is created without code, and swept'],
        250: ['is paid'],
      })
      expect(life.blocks[300]).toMatchObject({ code: 'none' })
      expect(life.blocks[300]?.nonce).toBeGreaterThan(0)
      const found = searchLife(life, { from: 1, to: 300 })
      expect(found.whole).toEqual([{ range: { from: 1, to: 199 }, reason: 'could-be-contract' }])
      // It is dead from there on: all it can do is be paid.
      expect(found.hits).toEqual([200, 250])
    }
  })

  test('a contract is read whole, from the start of the range if it was one, or became one', () => {
    const life = lifeAs(false, 300, { 50: ['is created'], 100: ['is paid'], 200: ['pays as a contract'] })
    expect(reasonsOf(searchLife(life, { from: 1, to: 300 }))).toEqual(['contract'])
    const known = searchLife(life, { from: 60, to: 300 })
    expect(reasonsOf(known)).toEqual(['contract'])
    expect(known.calls).toBeLessThanOrEqual(3)
  })
})

describe('answers that do not fit', () => {
  const life = lifeAs(true, 1_000, {
    20: ['is paid', 'is paid', 'is paid'],
    50: ['sends to itself'],
    400: ['sends to itself'],
    700: ['is paid'],
  })
  const range = { from: 60, to: 1_000 }

  test('a nonce that falls leaves the whole range to be read', () => {
    const found = search(range, question =>
      question.of === 'nonce' && question.block > 600 && question.block < 1_000 ? 9 : answerOf(life, question),
    )
    expect(found.whole).toEqual([{ range, reason: 'inconsistent' }])
    expect(found.hits).toEqual([])
  })

  test('a balance that falls where nobody can pay leaves what it was asked about', () => {
    const found = search(range, question =>
      question.of === 'balance' && question.block > 401 && question.block < 600 ? 9_999n : answerOf(life, question),
    )
    expect(found.whole).toEqual([
      { range: { from: 60, to: 399 }, reason: 'inconsistent' },
      { range: { from: 401, to: 1_000 }, reason: 'inconsistent' },
    ])
    expect(found.hits).toEqual([400])
  })

  test('a balance that is lower at the end of a stretch leaves that stretch alone', () => {
    const found = search(range, question =>
      question.of === 'balance' && question.block === 399 ? 1n : answerOf(life, question),
    )
    expect(found.whole).toEqual([{ range: { from: 60, to: 399 }, reason: 'inconsistent' }])
    expect(found.hits).toEqual([400, 700])
  })

  test('an old state that is gone leaves the blocks around it', () => {
    const lost = new Set<number>()
    const found = search(range, question => {
      if (question.of !== 'nonce' || question.block < 200 || question.block > 300) return answerOf(life, question)
      lost.add(question.block)
      return null
    })
    expect(lost.size).toBeGreaterThan(0)
    expect(reasonsOf(found)).toEqual(['no-archive'])
    expect(found.whole[0]?.range.to).toBeLessThan(700)
    expect(found.hits).toEqual([700])
    expect(has(found.empty, 650)).toBe(true)
  })

  test('without old state nothing is concluded, and little asked', () => {
    const found = search(range, question => (question.block < 900 ? null : answerOf(life, question)))
    expect(found.whole).toEqual([{ range, reason: 'no-archive' }])
    expect(found.calls).toBeLessThanOrEqual(3)
  })
})

const bar = (length: number, changed: number) => (2 * Math.log2(length) + 10) * changed + 10

/** A wallet that does something in these blocks, and in the first one. */
function busy(blocks: readonly number[], riseOf: (index: number) => number) {
  const ends = blocks.map((block, index) => ({ block, nonce: 0, balance: 0n, index }))
  let nonce = 1
  for (const end of ends) {
    nonce += riseOf(end.index)
    end.nonce = nonce
    end.balance = BigInt(end.index + 1)
  }
  return ({ of, block }: Question): Answer => {
    const last = ends.findLast(end => end.block <= block)
    if (of === 'nonce') return last?.nonce ?? 1
    return of === 'balance' ? (last?.balance ?? 0n) : 'none'
  }
}

describe('the cost', () => {
  test('is at most 2·log2(N) + 10 calls a block that changed the account, and 10: hits and dense stretches read', () => {
    fc.assert(
      fc.property(withRange(keyLife), fc.constantFrom(1, 16, 1_000), ({ life, range }, atOnce) => {
        fc.pre((life.blocks[range.to]?.nonce ?? 0) > 0)
        const { calls, hits, whole } = searchLife(life, range, { atOnce })
        const dense = whole.reduce((sum, one) => sum + one.range.to - one.range.from + 1, 0)
        const changed = changedIn(life, range)
        const length = range.to - range.from + 1
        expect(calls + CALLS_PER_BLOCK * (hits.length + dense)).toBeLessThanOrEqual(bar(length, changed.length))
      }),
      atLeast(2_000),
    )
  })

  test.each([
    ['one transaction', [12_345_678], () => 1],
    ['one payment', [12_345_678], () => 0],
    ['a hundred transactions in one block', [12_345_678], () => 100],
    ['a thousand transactions in one block', [12_345_678], () => 1_000],
    ['nine transactions and payments, far apart', [1, 2, 3, 4, 5, 6, 7, 8, 9].map(n => n * 2_000_003), n => n % 2],
    ['a transaction in each of a thousand blocks', Array.from({ length: 1_000 }, (_, n) => 9_000_000 + n), () => 1],
    ['a payment in each of a thousand blocks', Array.from({ length: 1_000 }, (_, n) => 9_000_000 + n), () => 0],
    ['nothing', [], () => 1],
  ] as [string, number[], (index: number) => number][])('of 20 million blocks with %s', (_name, blocks, riseOf) => {
    const length = 20_000_000
    const { calls, hits, whole } = search({ from: 1, to: length }, busy(blocks, riseOf))
    const dense = whole.reduce((sum, one) => sum + one.range.to - one.range.from + 1, 0)
    expect(
      blocks.every(
        block =>
          hits.includes(block) ||
          has(
            whole.map(one => one.range),
            block,
          ),
      ),
    ).toBe(true)
    expect(calls + CALLS_PER_BLOCK * (hits.length + dense)).toBeLessThanOrEqual(bar(length, blocks.length))
  })

  test('is in rounds, too: few intervals are cut finer', () => {
    const { rounds } = search(
      { from: 1, to: 20_000_000 },
      busy([12_345_678], () => 1),
    )
    expect(rounds).toBeLessThanOrEqual(15)
  })
})

describe('code', () => {
  const to = 'ab'.repeat(20)

  test.each([
    ['0x', 'none'],
    [`0xef0100${to}`, 'delegated'],
    [`0xef0100${to}00`, 'code'],
    ['0xef0100', 'code'],
    ['0x6000', 'code'],
  ] as const)('%s is %s', (code, kind) => {
    expect(codeKindOf(code)).toBe(kind)
  })
})
