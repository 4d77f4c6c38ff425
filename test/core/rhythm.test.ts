/**
 * When the next block is looked for, on chains that keep time and on chains that don't.
 *
 * The bars are those of a follower without a websocket. All is drawn from seeds, and no timer runs.
 */

import { describe, expect, test } from 'vitest'
import {
  FAST_IDLE_LOOK_MS,
  initialRhythm,
  MIN_LOOK_MS,
  nextLookMs,
  noteBlock,
  type Rhythm,
  SLOW_IDLE_LOOK_MS,
  stalledSinceMs,
} from '../../src/core/rhythm.ts'
import {
  exponential,
  logNormal,
  type Measured,
  measure,
  type PollOptions,
  pollChain,
  type Random,
  slottedChain,
  type TimedBlock,
  walkingChain,
} from './support/polled-chain.ts'
import { atLeast, fc } from './support/property.ts'

const MANY = { blocks: 2_000 }
const DAY_MS = 86_400_000

type Bar = Omit<Measured, 'maxMs'>
type Case = [name: string, chain: TimedBlock[], options: PollOptions, bar: Bar]

const aSecond = (random: Random) => random() * 1000
const aFifth = (random: Random) => random() * 200
const propagation = (random: Random) => (random() < 0.05 ? 1_000 + random() * 3_000 : 600 * logNormal(random, 0.4))
const onDemand = (random: Random) => {
  if (random() < 0.1) return 60_000 + random() * 600_000
  return random() < 0.5 ? 300 + random() * 500 : 2_000 + random() * 8_000
}
/** Another kind of delay each 200 blocks. */
const changing = (random: Random, index: number) =>
  [random() * 1000, 500 + random() * 2_000, random() * 300, 2_000 + random() * 1000][
    Math.floor(index / 200) % 4
  ] as number

const PAUSING = walkingChain({ blocks: 1_000 }, onDemand)

const CASES: Case[] = [
  [
    'slots of 12 s, seen within a second',
    slottedChain(MANY, 12_000, aSecond),
    { blockTimeMs: 12_000 },
    { p50Ms: 130, p99Ms: 500, idle: 2 },
  ],
  [
    'slots of 12 s, one in a hundred missed, one block in twenty up to 4 s late',
    slottedChain(MANY, 12_000, propagation, 0.01),
    { blockTimeMs: 12_000 },
    { p50Ms: 150, p99Ms: 600, idle: 2.4 },
  ],
  [
    'slots of 12 s, and answers that take 0.1 s',
    slottedChain(MANY, 12_000, aSecond),
    { blockTimeMs: 12_000, answerMs: 100 },
    { p50Ms: 220, p99Ms: 600, idle: 2 },
  ],
  [
    '12 to 13 s after the last block',
    walkingChain(MANY, random => 12_000 + random() * 1000),
    { blockTimeMs: 12_000 },
    { p50Ms: 150, p99Ms: 600, idle: 2.6 },
  ],
  [
    'a timer of 12 s that drifts',
    walkingChain(MANY, random => 12_003 + random() * 4),
    { blockTimeMs: 12_000 },
    { p50Ms: 50, p99Ms: 200, idle: 1.3 },
  ],
  [
    'slots of 12 s, seen within 4 s',
    slottedChain(MANY, 12_000, random => random() * 4_000),
    { blockTimeMs: 12_000 },
    { p50Ms: 300, p99Ms: 1_100, idle: 4.2 },
  ],
  ['2 s', slottedChain(MANY, 2_000, aFifth), { blockTimeMs: 2_000 }, { p50Ms: 40, p99Ms: 120, idle: 2 }],
  ['1 s', slottedChain(MANY, 1_000, aFifth), { blockTimeMs: 1_000 }, { p50Ms: 40, p99Ms: 90, idle: 2.1 }],
  [
    '0.25 s, four blocks with the same timestamp',
    slottedChain(MANY, 250, random => random() * 50),
    { blockTimeMs: 250 },
    { p50Ms: 35, p99Ms: 70, idle: 1.3 },
  ],
  ['0.05 s', slottedChain(MANY, 50, random => random() * 20), { blockTimeMs: 50 }, { p50Ms: 50, p99Ms: 60, idle: 0.2 }],
  [
    'blocks at random, 12 s in the mean',
    walkingChain(MANY, random => 12_000 * exponential(random)),
    { blockTimeMs: 12_000 },
    { p50Ms: 900, p99Ms: 2_700, idle: 9 },
  ],
  [
    'blocks of 2 s, where the file says 12',
    slottedChain(MANY, 2_000, aFifth),
    { blockTimeMs: 12_000 },
    { p50Ms: 40, p99Ms: 120, idle: 2.2 },
  ],
  [
    'blocks of 12 s, where the file says 2',
    slottedChain(MANY, 12_000, aSecond),
    { blockTimeMs: 2_000 },
    { p50Ms: 130, p99Ms: 500, idle: 2.1 },
  ],
  [
    'delays of another kind each 200 blocks',
    slottedChain(MANY, 12_000, changing),
    { blockTimeMs: 12_000 },
    { p50Ms: 150, p99Ms: 900, idle: 2.4 },
  ],
  [
    'blocks on demand, with pauses of minutes, where the file says 2 s',
    PAUSING,
    { blockTimeMs: 2_000 },
    { p50Ms: 400, p99Ms: 2_000, idle: 30 },
  ],
]

describe('a follower that polls', () => {
  test.each(CASES)('is early at little cost: %s', (_name, chain, options, bar) => {
    const polled = pollChain(chain, { ...options, warmUpBlocks: 50 })
    expectWithin(measure(polled), bar)
    // Pauses of minutes are far longer than most of the last gaps; nothing else is called a stall.
    if (chain !== PAUSING) expect(polled.stalls).toBe(0)
  })

  test('learns within a few blocks, wherever it begins', () => {
    const early: number[] = []
    const later: number[] = []
    for (let seed = 1; seed <= 100; seed += 1) {
      const chain = slottedChain({ blocks: 100, seed }, 12_000, aSecond)
      const { latenciesMs } = pollChain(chain, { blockTimeMs: 12_000, startMs: 600_000 + seed * 117 })
      early.push(...latenciesMs.slice(0, 1))
      later.push(...latenciesMs.slice(1, 12))
    }
    expect(Math.max(...early)).toBeLessThanOrEqual(2_000)
    expect(mean(later)).toBeLessThanOrEqual(300)
  })

  test('goes on by what a subscription told, once that is silent', () => {
    const chain = slottedChain({ blocks: 300 }, 12_000, aSecond)
    const polled = pollChain(chain, { blockTimeMs: 12_000, startMs: 20_000, toldBlocks: 40 })
    expectWithin(measure(polled), { p50Ms: 150, p99Ms: 600, idle: 2 })
  })

  test.each([
    ['earlier', 3_000, 0],
    ['later', 0, 3_000],
  ])('finds blocks that come 3 s %s than before again within ten blocks', (_name, beforeMs, afterMs) => {
    for (let seed = 1; seed <= 10; seed += 1) {
      const delay = (random: Random, index: number) => random() * 500 + (index < 100 ? beforeMs : afterMs)
      const { latenciesMs } = pollChain(slottedChain({ blocks: 200, seed }, 12_000, delay), { blockTimeMs: 12_000 })
      expect(mean(latenciesMs.slice(110))).toBeLessThanOrEqual(200)
    }
  })

  test('does not drift: its looks do not move what they measure', () => {
    const chain = slottedChain({ blocks: 8_000 }, 12_000, aSecond)
    const { latenciesMs, idleLooks } = pollChain(chain, { blockTimeMs: 12_000 })
    for (let from = 1_000; from < 8_000; from += 1_000) {
      expect(mean(latenciesMs.slice(from, from + 1_000))).toBeLessThanOrEqual(150)
      expect(mean(idleLooks.slice(from, from + 1_000))).toBeLessThanOrEqual(2.2)
    }
  })

  test.each([
    ['years behind ours', -1_700_000_000_000, 0],
    ['days ahead of ours', 3 * DAY_MS, 0],
    ['set back by a day', 0, -DAY_MS],
    ['set forward by an hour', 0, 3_600_000],
  ])('does not care for a clock of the chain that is %s', (_name, alwaysMs, onceMs) => {
    const chain = slottedChain({ blocks: 1_000 }, 12_000, aSecond).map((block, index) => ({
      ...block,
      timestampMs: block.timestampMs + alwaysMs + (index >= 500 ? onceMs : 0),
    }))
    const { latenciesMs, idleLooks } = pollChain(chain, { blockTimeMs: 12_000, warmUpBlocks: 50 })
    expect(mean(latenciesMs)).toBeLessThanOrEqual(150)
    expect(mean(idleLooks)).toBeLessThanOrEqual(2.1)
    expect(Math.max(...latenciesMs)).toBeLessThanOrEqual(2_000)
  })

  test.each<[string, (block: TimedBlock) => number]>([
    ['stand still', () => 1_700_000_000_000],
    ['go back', ({ number }) => 1_700_000_000_000 - number * 1_000],
    ['leap by a year a block', ({ number }) => number * 365 * DAY_MS],
    ['are 12 s apart in blocks of 2 s', ({ number }) => number * 12_000],
    ['are beyond what numbers hold', ({ number }) => number * 2 ** 64],
  ])('needs no timestamps: those that %s', (_name, timestampMs) => {
    const chain = slottedChain({ blocks: 1_000 }, 2_000, aFifth).map(block => ({
      ...block,
      timestampMs: timestampMs(block),
    }))
    const polled = pollChain(chain, { blockTimeMs: 2_000, warmUpBlocks: 50 })
    expectWithin(measure(polled), { p50Ms: 60, p99Ms: 300, idle: 3 })
  })
})

describe('a block that is noted', () => {
  const rhythm = followed(slottedChain({ blocks: 100 }, 12_000, aSecond), 12_000)
  const last = rhythm.marks.at(-1) ?? expect.fail()

  test('changes nothing the second time, as a node that lags shows it', () => {
    for (const { number, timestampMs } of rhythm.marks)
      expect(
        noteBlock(rhythm, { number, timestampMs }, { notBeforeMs: last.seenMs, seenMs: last.seenMs + 5_000 }),
      ).toBe(rhythm)
  })

  test('takes the place of the one that it replaced', () => {
    const replaced = noteBlock(
      rhythm,
      { number: last.number, timestampMs: last.timestampMs + 12_000 },
      { notBeforeMs: last.seenMs + 8_000, seenMs: last.seenMs + 12_000 },
    )
    expect(replaced.marks.filter(({ number }) => number === last.number)).toHaveLength(1)
    const waitMs = nextLookMs(replaced, last.seenMs + 12_000) - (last.seenMs + 12_000)
    expect(Math.abs(waitMs - 12_000)).toBeLessThanOrEqual(1_200)
  })

  test('of a chain that began again at zero begins a rhythm again', () => {
    let anew = rhythm
    for (let number = 0; number < 40; number += 1) {
      const seenMs = last.seenMs + 2_000 * (number + 1)
      anew = noteBlock(anew, { number, timestampMs: number * 2_000 }, { notBeforeMs: seenMs, seenMs })
    }
    const nowMs = last.seenMs + 80_000
    expect(Math.abs(nextLookMs(anew, nowMs) - nowMs - 2_000)).toBeLessThanOrEqual(100)
  })
})

describe('a chain without blocks', () => {
  test.each<[string, TimedBlock[], number, number]>([
    ['12 s', slottedChain({ blocks: 100 }, 12_000, aSecond), 12_000, 12_000],
    ['2 s', slottedChain({ blocks: 100 }, 2_000, aFifth), 2_000, 2_000],
    ['2 s, where the file says 12', slottedChain({ blocks: 100 }, 2_000, aFifth), 12_000, 2_000],
    ['0.25 s', slottedChain({ blocks: 100 }, 250, random => random() * 50), 250, FAST_IDLE_LOOK_MS],
    ['60 s', slottedChain({ blocks: 100 }, 60_000, aSecond), 60_000, SLOW_IDLE_LOOK_MS],
    ['12 s at random', walkingChain({ blocks: 100 }, r => 12_000 * exponential(r)), 12_000, 12_000],
  ])('is looked at ever more rarely, up to once a block time: %s', (_name, chain, blockTimeMs, rarestMs) => {
    const rhythm = followed(chain, blockTimeMs)
    const looks = looksFrom(rhythm, rhythm.marks.at(-1)?.seenMs ?? expect.fail(), 3 * 3_600_000)
    const waits = looks.slice(1).map((look, index) => look - (looks[index] as number))
    for (const wait of waits) expect(wait).toBeLessThanOrEqual(Math.max(blockTimeMs, rarestMs) + 1)
    for (const wait of waits.slice(-100)) expect(Math.abs(wait - rarestMs)).toBeLessThanOrEqual(1)
    // Before that, the looks of a few blocks.
    expect(looks.length).toBeLessThanOrEqual((3 * 3_600_000) / rarestMs + 100)
  })

  test.each<[string, TimedBlock[], number, number]>([
    ['five slots of 12 s', slottedChain({ blocks: 100 }, 12_000, aSecond), 12_000, 60_000],
    ['half a minute with blocks of 2 s', slottedChain({ blocks: 100 }, 2_000, aFifth), 2_000, 30_000],
    ['ten seconds with blocks of 0.25 s', slottedChain({ blocks: 100 }, 250, random => random() * 50), 250, 10_000],
    [
      'three times the longest of the last pauses',
      walkingChain({ blocks: 100 }, (_random, index) => (index % 10 === 0 ? 200_000 : 2_000)),
      2_000,
      600_000,
    ],
  ])('is stalled after %s, and not before', (_name, chain, blockTimeMs, afterMs) => {
    const rhythm = followed(chain, blockTimeMs)
    const seenMs = rhythm.marks.at(-1)?.seenMs ?? expect.fail()
    expect(stalledSinceMs(rhythm, seenMs + afterMs * 0.98)).toBeNull()
    expect(stalledSinceMs(rhythm, seenMs + afterMs * 1.05)).toBe(seenMs)
    const { number } = rhythm.marks.at(-1) ?? expect.fail()
    const block = { number: number + 1, timestampMs: 0 }
    const again = noteBlock(rhythm, block, { notBeforeMs: seenMs + afterMs, seenMs: seenMs + afterMs * 1.05 })
    expect(stalledSinceMs(again, seenMs + afterMs * 1.05 + 1_000)).toBeNull()
  })

  test('is looked at once a second before it has shown any, and is not stalled', () => {
    expect(nextLookMs(initialRhythm(12_000), DAY_MS)).toBe(DAY_MS + 1_000)
    expect(stalledSinceMs(initialRhythm(12_000), DAY_MS)).toBeNull()
  })
})

describe('whatever was seen', () => {
  const anyMs = fc.oneof(
    fc.integer({ min: -20_000, max: 20_000 }),
    fc.double({ min: -(10 ** 10), max: 10 ** 10, noNaN: true }),
  )
  const steps = fc.array(
    fc.record({
      numbers: fc.oneof(fc.constant(1), fc.integer({ min: -3, max: 5 }), fc.integer({ min: -(10 ** 9), max: 10 ** 9 })),
      timestampMs: fc.oneof(fc.constantFrom(0, 1_000, 2_000, 12_000), anyMs, fc.double()),
      seenMs: fc.oneof(fc.nat(13_000), fc.constantFrom(0, 50, 2_000, 12_000), anyMs),
      /** After it was seen, at times. */
      notBeforeMs: fc.option(anyMs),
    }),
    { maxLength: 60 },
  )
  const history = fc.record({
    blockTimeMs: fc.oneof(fc.constantFrom(0, 50, 250, 2_000, 12_000, 60_000), fc.nat(100_000)),
    steps,
  })
  type History = typeof history extends fc.Arbitrary<infer T> ? T : never

  const play = ({ blockTimeMs, steps: taken }: History) => {
    let rhythm = initialRhythm(blockTimeMs)
    let number = 1_000
    let timestampMs = 1_700_000_000_000
    let nowMs = 5_000_000
    for (const step of taken) {
      number = Math.max(number + step.numbers, 0)
      timestampMs += step.timestampMs
      nowMs += step.seenMs
      const notBeforeMs = step.notBeforeMs === null ? null : nowMs + step.notBeforeMs
      rhythm = noteBlock(rhythm, { number, timestampMs }, { notBeforeMs, seenMs: nowMs })
    }
    return { rhythm, nowMs }
  }

  test('the next look is later than now, and at most a block time or 12 s later', () => {
    fc.assert(
      fc.property(history, fc.nat(10 ** 9), (input, laterMs) => {
        const { rhythm, nowMs } = play(input)
        for (const now of [nowMs, nowMs + 7, nowMs + laterMs]) {
          const wait = nextLookMs(rhythm, now) - now
          expect(wait).toBeGreaterThanOrEqual(MIN_LOOK_MS - 1e-3)
          expect(wait).toBeLessThanOrEqual(Math.max(input.blockTimeMs, SLOW_IDLE_LOOK_MS) + 1e-3)
        }
      }),
      atLeast(1_000),
    )
  })

  test('a minute without a block takes 120 looks at most, and the same for the same history', () => {
    fc.assert(
      fc.property(history, input => {
        const { rhythm, nowMs } = play(input)
        const fromMs = Math.max(nowMs, rhythm.marks.at(-1)?.seenMs ?? 0)
        const looks = looksFrom(rhythm, fromMs, 60_000)
        expect(looksFrom(play(input).rhythm, fromMs, 60_000)).toEqual(looks)
        expect(looks.length).toBeLessThanOrEqual(120)
        expect(rhythm.marks.length).toBeLessThanOrEqual(32)
      }),
      atLeast(1_000),
    )
  })

  test('who calls a chain stalled says since when', () => {
    fc.assert(
      fc.property(history, fc.nat(10 ** 9), (input, laterMs) => {
        const { rhythm, nowMs } = play(input)
        const since = stalledSinceMs(rhythm, nowMs + laterMs)
        if (since === null) return
        expect(since).toBe(rhythm.marks.at(-1)?.seenMs)
        expect(nowMs + laterMs - since).toBeGreaterThanOrEqual(10_000)
      }),
    )
  })
})

function expectWithin(measured: Measured, bar: Bar): void {
  expect(measured.p50Ms).toBeLessThanOrEqual(bar.p50Ms)
  expect(measured.p99Ms).toBeLessThanOrEqual(bar.p99Ms)
  expect(measured.idle).toBeLessThanOrEqual(bar.idle)
}

function followed(chain: TimedBlock[], blockTimeMs: number): Rhythm {
  return pollChain(chain, { blockTimeMs }).rhythm
}

function looksFrom(rhythm: Rhythm, fromMs: number, spanMs: number): number[] {
  const looks: number[] = []
  for (let now = fromMs; now < fromMs + spanMs; looks.push(now)) now = nextLookMs(rhythm, now)
  return looks
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length
}
