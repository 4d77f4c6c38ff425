/**
 * The range of `eth_getLogs` against providers that are played: with limits of blocks, of results and of time, that tell them, keep
 * them to themselves or tell nonsense.
 */

import { describe, expect, test } from 'vitest'
import { growRange, initialLogRange, type LogRange, shrinkRange } from '../../src/core/log-range.ts'
import { fc } from './support/property.ts'

type Answer = { readonly logs: number; readonly tookMs: number }
type Refused = { readonly suggestedBlocks: number | null }
/** What comes back when that many blocks from there on are asked for, as the so-manieth answer. */
type Provider = (from: number, blocks: number, answers: number) => Answer | Refused

type Run = {
  readonly range: LogRange
  /** The sizes that were answered, in order. */
  readonly sizes: readonly number[]
  readonly refusals: readonly { readonly afterAnswers: number; readonly blocks: number }[]
}

const LIGHT: Answer = { logs: 0, tookMs: 50 }
const refuse = (suggestedBlocks: number | null = null): Refused => ({ suggestedBlocks })

/** Asks until so many answers have come. A single block that is refused is passed: the caller asks for it in another way. */
function crawl(provider: Provider, answers: number, start: LogRange): Run {
  let range = start
  let from = 0
  const sizes: number[] = []
  const refusals: { afterAnswers: number; blocks: number }[] = []
  while (sizes.length < answers && refusals.length < answers * 2) {
    const { blocks } = range
    const came = provider(from, blocks, sizes.length)
    if ('logs' in came) {
      range = growRange(range, { blocks, ...came })
      sizes.push(blocks)
      from += blocks
    } else {
      range = shrinkRange(range, { blocks, ...came })
      refusals.push({ afterAnswers: sizes.length, blocks })
      if (blocks === 1) from += 1
    }
  }
  return { range, sizes, refusals }
}

/** Refuses more than a number of blocks. */
const blocksUpTo =
  (limit: number, hint: (asked: number) => number | null = () => null): Provider =>
  (_from, blocks) =>
    blocks > limit ? refuse(hint(blocks)) : LIGHT

/** Refuses more than a number of results, of which each block has some. */
const resultsUpTo =
  (limit: number, density: (block: number) => number): Provider =>
  (from, blocks) => {
    let logs = 0
    for (let block = from; block < from + blocks && logs <= limit; block += 1) logs += density(block)
    return logs > limit ? refuse() : { logs, tookMs: 50 + logs / 20 }
  }

const lowered: Provider = (from, blocks, answers) => blocksUpTo(answers < 500 ? 5_000 : 100)(from, blocks, answers)

/** Between one and nineteen logs a block, changing over tens of thousands of blocks. */
const waves = (block: number) => 10 + Math.round(9 * Math.sin(block / 20_000))

/** A told limit of blocks, and a dense stretch. */
const limitedAndDense: Provider = (from, blocks, answers) => {
  if (blocks > 2_000) return refuse(2_000)
  return answers >= 300 && answers < 400 ? resultsUpTo(10_000, () => 1_000)(from, blocks, answers) : LIGHT
}

const takesMs =
  (tookMs: (blocks: number, answers: number) => number): Provider =>
  (_from, blocks, answers) => ({ logs: 0, tookMs: tookMs(blocks, answers) })

const last = (sizes: readonly number[]) => sizes.at(-1) ?? 0

describe('a limit of blocks', () => {
  test.each<[string, number, number]>([
    ['one', 1, 17],
    ['ten, a free plan', 10, 17],
    ['fifty', 50, 14],
    ['a hundred', 100, 13],
    ['800', 800, 11],
    ['2,000', 2_000, 10],
    ['5,000', 5_000, 10],
    ['9,999', 9_999, 10],
    ['none', 1_000_000, 0],
  ])('of %s that nobody tells is found, and costs few refusals', (_name, limit, atMost) => {
    const { sizes, refusals } = crawl(blocksUpTo(limit), 2_000, initialLogRange(10_000))
    expect(last(sizes)).toBeGreaterThanOrEqual(Math.min(limit, 10_000) * 0.88)
    expect(refusals.length).toBeLessThanOrEqual(atMost)
  })

  test('that is told is taken at once, and hardly tried again', () => {
    const { sizes, refusals } = crawl(
      blocksUpTo(2_000, () => 2_000),
      1_000,
      initialLogRange(10_000),
    )
    const first = refusals[0]?.afterAnswers ?? 0
    expect(sizes.slice(first).every(size => size === 2_000)).toBe(true)
    expect(refusals.length).toBeLessThanOrEqual(6)
  })

  test('of whatever size, told or not, is found, and tries in vain become rare', () => {
    const hints = fc.constantFrom<(limit: number) => (asked: number) => number | null>(
      () => () => null,
      limit => () => limit,
      // What dRPC does: a number that is not its limit. It is larger than what was asked, and means nothing.
      () => asked => asked * 2,
      () => () => 0,
      () => () => Number.NaN,
    )
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 200_000 }),
        fc.integer({ min: 1, max: 100_000 }),
        hints,
        (limit, max, hint) => {
          const { sizes, refusals } = crawl(blocksUpTo(limit, hint(limit)), 1_500, initialLogRange(max))
          expect(last(sizes)).toBeGreaterThanOrEqual(Math.floor(Math.min(limit, max) * 0.88))
          // To halve the size until it is answered, and then 32, 64, … 512 answers between one try and the next, and 512 for ever.
          expect(refusals.length).toBeLessThanOrEqual(Math.ceil(Math.log2(500)) + 7)
          const late = refusals.filter(({ afterAnswers }) => afterAnswers > 1_000)
          expect(late.length).toBeLessThanOrEqual(2)
        },
      ),
    )
  })

  test('that is lowered and told is taken from a try, too', () => {
    const { range } = crawl(
      blocksUpTo(5_000, () => 5_000),
      10,
      initialLogRange(10_000),
    )
    let trying = range
    while (!trying.isTry) trying = growRange(trying, { blocks: trying.blocks, ...LIGHT })
    expect(trying.blocks).toBe(5_001)
    expect(shrinkRange(trying, { blocks: 5_001, suggestedBlocks: 100 }).blocks).toBe(100)
  })

  test('that is told wrong, and far too small, does not hold the range down', () => {
    const { sizes, refusals } = crawl(
      blocksUpTo(5_000, () => 1),
      2_000,
      initialLogRange(10_000),
    )
    expect(refusals.length).toBeLessThan(2_000 / 30)
    expect(Math.max(...sizes)).toBeGreaterThan(2_500)
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBeGreaterThan(100_000)
  })

  test('that is lifted is noticed in the end', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 5_000 }), fc.boolean(), (limit, isTold) => {
        const before: Provider = blocksUpTo(limit, () => (isTold ? limit : null))
        const provider: Provider = (from, blocks, answers) => (answers < 1_000 ? before(from, blocks, answers) : LIGHT)
        const { sizes } = crawl(provider, 1_000 + 550, initialLogRange(10_000))
        expect(last(sizes)).toBe(10_000)
      }),
    )
  })

  test('that is lowered is found again', () => {
    const { sizes, refusals } = crawl(lowered, 1_500, initialLogRange(10_000))
    expect(last(sizes)).toBeGreaterThanOrEqual(88)
    expect(refusals.length).toBeLessThan(30)
    const moments = refusals.map(({ afterAnswers }) => afterAnswers).filter(afterAnswers => afterAnswers >= 500)
    expect(
      moments.every(
        (moment, index) => index === 0 || moment === moments[0] || moment - (moments[index - 1] ?? 0) >= 32,
      ),
    ).toBe(true)
  })
})

describe('a limit of results', () => {
  test('of 10,000 is never met where density changes slowly: some thousand are comfortable', () => {
    const { sizes, refusals } = crawl(resultsUpTo(10_000, waves), 1_000, { ...initialLogRange(10_000), blocks: 100 })
    expect(refusals).toEqual([])
    expect(sizes.slice(10).every(size => size >= 80 && size <= 5_000)).toBe(true)
  })

  test('smaller than what is comfortable is found like a limit of blocks', () => {
    const { sizes, refusals } = crawl(
      resultsUpTo(1_000, () => 20),
      2_000,
      initialLogRange(10_000),
    )
    expect(last(sizes)).toBeGreaterThanOrEqual(44)
    expect(refusals.length).toBeLessThanOrEqual(14)
  })

  test('with a density that is never the same: refusals stay rare', () => {
    const density = fc.infiniteStream(fc.integer({ min: 5, max: 30 }))
    fc.assert(
      fc.property(fc.integer({ min: 500, max: 5_000 }), density, (limit, logs) => {
        let dense = 0
        const provider: Provider = (_from, blocks, answers) => {
          if (answers % 5 === 0) dense = logs.next().value as number
          return blocks * dense > limit ? refuse() : { logs: blocks * dense, tookMs: 100 }
        }
        const { refusals } = crawl(provider, 1_000, initialLogRange(10_000))
        expect(refusals.length).toBeLessThanOrEqual(12 + 1_000 / 20)
      }),
      { numRuns: 50 },
    )
  })

  test('a dense stretch is halved into, and left behind soon after it ends', () => {
    fc.assert(
      fc.property(fc.integer({ min: 50, max: 9_000 }), fc.integer({ min: 1, max: 300 }), (density, length) => {
        let answersAfter = 0
        const provider: Provider = (from, blocks, answers) => {
          const isDense = answers >= 50 && answers < 50 + length
          if (answers >= 50 + length) answersAfter += 1
          return isDense ? resultsUpTo(10_000, () => density)(from, blocks, answers) : LIGHT
        }
        const { sizes, refusals } = crawl(provider, 50 + length + 60, initialLogRange(10_000))
        expect(answersAfter).toBe(60)
        expect(last(sizes)).toBe(10_000)
        expect(refusals.length).toBeLessThanOrEqual(14 + 2 * Math.log2(1 + length))
      }),
    )
  })

  test('a dense stretch does not make it forget the limit of blocks', () => {
    const { sizes, refusals } = crawl(limitedAndDense, 600, initialLogRange(10_000))
    expect(last(sizes)).toBe(2_000)
    expect(refusals.filter(({ afterAnswers, blocks }) => afterAnswers >= 400 && blocks > 2_001)).toEqual([])
  })

  test('a single block above the limit leaves one block, and what follows is asked for as before', () => {
    const provider: Provider = resultsUpTo(10_000, block => (block === 60_000 ? 12_000 : 1))
    const { range, sizes, refusals } = crawl(provider, 150, initialLogRange(10_000))
    expect(refusals.some(({ blocks }) => blocks === 1)).toBe(true)
    expect(last(sizes)).toBeGreaterThanOrEqual(2_000)
    expect(range.blocks).toBeGreaterThanOrEqual(2_000)
  })
})

describe('a limit of time', () => {
  test('is not met where time grows with the blocks: two seconds are comfortable', () => {
    const { sizes, refusals } = crawl(
      takesMs(blocks => 200 + blocks * 5),
      300,
      initialLogRange(10_000),
    )
    expect(refusals).toEqual([])
    expect(Math.max(...sizes)).toBeLessThan(1_000)
    expect(last(sizes)).toBeGreaterThanOrEqual(120)
    expect(last(sizes)).toBeLessThanOrEqual(400)
  })

  test('where a timeout is the only sign, the range is found all the same', () => {
    // What stopped an indexer for good: anything above 30 blocks never came, and was asked for again.
    const { sizes, refusals } = crawl(blocksUpTo(30), 500, initialLogRange(10_000))
    expect(last(sizes)).toBeGreaterThanOrEqual(26)
    expect(refusals.length).toBeLessThanOrEqual(12)
  })

  test('an endpoint that takes seconds for anything is not asked block by block', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 19_000 }),
        fc.infiniteStream(fc.integer({ min: 0, max: 900 })),
        (base, noise) => {
          const provider: Provider = () => ({ logs: 0, tookMs: base + (noise.next().value as number) })
          const { sizes } = crawl(provider, 100, initialLogRange(10_000))
          expect(last(sizes)).toBeGreaterThan(200)
        },
      ),
    )
  })

  test('nor one where a refusal had left a single block', () => {
    const { sizes } = crawl(
      takesMs(() => 3_000),
      60,
      { ...initialLogRange(10_000), blocks: 1 },
    )
    expect(last(sizes)).toBe(10_000)
  })

  test('one slow answer takes three quarters at most', () => {
    const range: LogRange = { ...initialLogRange(10_000), blocks: 8_000 }
    expect(growRange(range, { blocks: 8_000, logs: 0, tookMs: 60_000 }).blocks).toBe(2_000)
    expect(growRange(range, { blocks: 8_000, logs: 1_000_000, tookMs: 50 }).blocks).toBe(2_000)
  })

  test('one that has become slower by itself neither', () => {
    const { sizes } = crawl(
      takesMs((_blocks, answers) => (answers < 50 ? 100 : 4_000)),
      100,
      initialLogRange(10_000),
    )
    expect(Math.min(...sizes.slice(50))).toBeGreaterThan(1_000)
    expect(last(sizes)).toBe(10_000)
  })
})

describe('whatever comes', () => {
  const event = fc.oneof(
    fc.record({ blocks: fc.nat(20_000), logs: fc.nat(100_000), tookMs: fc.nat(60_000) }),
    fc.record({
      blocks: fc.integer({ min: 1, max: 20_000 }),
      suggestedBlocks: fc.oneof(fc.constant(null), fc.integer(), fc.constant(Number.NaN), fc.double()),
    }),
  )

  test('it is a whole number of blocks from one to the maximum, and smaller than what was refused', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 20_000 }), fc.array(event, { maxLength: 200 }), (max, events) => {
        let range = initialLogRange(max)
        for (const each of events) {
          range = 'logs' in each ? growRange(range, each) : shrinkRange(range, each)
          expect(Number.isSafeInteger(range.blocks)).toBe(true)
          expect(range.blocks).toBeGreaterThanOrEqual(1)
          expect(range.blocks).toBeLessThanOrEqual(max)
          if (!('logs' in each) && each.blocks > 1) expect(range.blocks).toBeLessThan(each.blocks)
        }
      }),
    )
  })

  test('one block stays one block when it is refused', () => {
    const range = shrinkRange(initialLogRange(1), { blocks: 1, suggestedBlocks: null })
    expect(range.blocks).toBe(1)
    expect(growRange(range, { blocks: 1, ...LIGHT }).blocks).toBe(1)
  })

  test('what was under way together is refused once', () => {
    let range: LogRange = { ...initialLogRange(10_000), blocks: 8_000 }
    for (let each = 0; each < 8; each += 1) range = shrinkRange(range, { blocks: 8_000, suggestedBlocks: null })
    expect(range.blocks).toBe(4_000)
    for (let each = 0; each < 8; each += 1) range = shrinkRange(range, { blocks: 8_000, suggestedBlocks: 3_000 })
    expect(range.blocks).toBe(3_000)
  })

  test('a refusal that comes late, of more than is known to be refused, says nothing', () => {
    const start: LogRange = { ...initialLogRange(10_000), blocks: 8_000 }
    const once = shrinkRange(start, { blocks: 8_000, suggestedBlocks: null })
    const twice = shrinkRange(once, { blocks: 4_000, suggestedBlocks: null })
    expect(shrinkRange(twice, { blocks: 8_000, suggestedBlocks: null })).toEqual(twice)
    expect(shrinkRange(twice, { blocks: 8_000, suggestedBlocks: 5_000 })).toEqual(twice)
  })

  test('a short piece that is answered does not end the search', () => {
    const start: LogRange = { ...initialLogRange(10_000), blocks: 8_000 }
    const searching = growRange(shrinkRange(start, { blocks: 8_000, suggestedBlocks: null }), { blocks: 3, ...LIGHT })
    expect(shrinkRange(searching, { blocks: 4_000, suggestedBlocks: null })).toMatchObject({
      blocks: 2_000,
      ceiling: { refused: 4_000, above: null },
    })
  })

  test('the last, short piece of a job changes nothing', () => {
    const grown: LogRange = { ...initialLogRange(10_000), blocks: 8_000 }
    expect(growRange(grown, { blocks: 3, ...LIGHT }).blocks).toBe(8_000)
    const refused = shrinkRange(grown, { blocks: 8_000, suggestedBlocks: null })
    expect(growRange(refused, { blocks: 3, ...LIGHT }).blocks).toBe(4_000)
  })

  test('an answer to something smaller does not count for a try that is under way', () => {
    const { range } = crawl(blocksUpTo(4_000), 60, initialLogRange(10_000))
    let trying = range
    while (!trying.isTry) trying = growRange(trying, { blocks: trying.blocks, ...LIGHT })
    expect(growRange(trying, { blocks: 2_000, ...LIGHT })).toMatchObject({ isTry: true, blocks: trying.blocks })
    expect(shrinkRange(trying, { blocks: trying.blocks, suggestedBlocks: null })).toMatchObject({
      isTry: false,
      blocks: trying.ceiling?.below,
    })
  })
})
