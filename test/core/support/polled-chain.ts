/**
 * A chain that makes blocks at moments drawn from a seed, and a poller that looks when a rhythm says. Time is a number: thousands of
 * blocks take a moment.
 */

import { initialRhythm, nextLookMs, noteBlock, type Rhythm, stalledSinceMs } from '../../../src/core/rhythm.ts'

/** In [0, 1). */
export type Random = () => number

/** A block, and when a node shows it: monotonic. */
export type TimedBlock = { readonly number: number; readonly timestampMs: number; readonly atMs: number }

/** An even spread of 32 bits from any seed (Marsaglia's xorshift after a first stir). */
function createRandom(seed: number): Random {
  let state = (Math.imul(seed, 0x9e3779b1) ^ 0x5bd1e995) | 0 || 1
  return () => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) / 2 ** 32
  }
}

/** With the mean 1. */
export function exponential(random: Random): number {
  return -Math.log(1 - random())
}

/** With the median 1. */
export function logNormal(random: Random, sigma: number): number {
  return Math.exp(sigma * Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random()))
}

/** The clock of the chain is days from ours. */
const CHAIN_CLOCK_MS = 1_700_000_000_000

type Make = { readonly blocks: number; readonly seed?: number }

/** A block a slot, seen so long after the slot's begin; some slots are missed. Timestamps are whole seconds. */
export function slottedChain(
  { blocks, seed = 1 }: Make,
  slotMs: number,
  delayMs: (random: Random, index: number) => number,
  missed = 0,
): TimedBlock[] {
  const random = createRandom(seed)
  const chain: TimedBlock[] = []
  let slot = 0
  for (let index = 0; index < blocks; index += 1) {
    slot += 1
    while (random() < missed) slot += 1
    const earliestMs = (chain.at(-1)?.atMs ?? 0) + 1
    chain.push({
      number: 100 + index,
      timestampMs: wholeSeconds(CHAIN_CLOCK_MS + slot * slotMs),
      atMs: Math.max(slot * slotMs + delayMs(random, index), earliestMs),
    })
  }
  return chain
}

/** Each block so long after the last one. Timestamps are whole seconds. */
export function walkingChain(
  { blocks, seed = 1 }: Make,
  gapMs: (random: Random, index: number) => number,
): TimedBlock[] {
  const random = createRandom(seed)
  let atMs = 0
  return Array.from({ length: blocks }, (_, index) => {
    atMs += gapMs(random, index)
    return { number: 100 + index, timestampMs: wholeSeconds(CHAIN_CLOCK_MS + atMs), atMs }
  })
}

function wholeSeconds(ms: number): number {
  return Math.floor(ms / 1000) * 1000
}

export type PollOptions = {
  readonly blockTimeMs: number
  /** Where the poller begins. */
  readonly startMs?: number
  /** How long an answer takes. It tells what the node has half of that after the question. */
  readonly answerMs?: number
  /** Blocks that are not measured. */
  readonly warmUpBlocks?: number
  /** Blocks that a subscription tells the moment they are there, before there is none any more. */
  readonly toldBlocks?: number
}

export type Polled = {
  /** By block: from when a node has it to the answer that shows it. */
  readonly latenciesMs: readonly number[]
  /** By block: looks before it that found nothing. */
  readonly idleLooks: readonly number[]
  /** Looks at which the chain was called stalled. */
  readonly stalls: number
  readonly rhythm: Rhythm
}

export function pollChain(chain: readonly TimedBlock[], options: PollOptions): Polled {
  const { blockTimeMs, startMs = 0, answerMs = 0, warmUpBlocks = 0, toldBlocks = 0 } = options
  let rhythm = initialRhythm(blockTimeMs)
  let next = chain.findIndex(({ atMs }) => atMs > startMs)
  const first = next
  for (const block of chain.slice(Math.max(next - 40, 0), next))
    rhythm = noteBlock(rhythm, block, { notBeforeMs: null, seenMs: startMs })
  for (; next < first + toldBlocks; next += 1) {
    const block = chain[next] as TimedBlock
    rhythm = noteBlock(rhythm, block, { notBeforeMs: block.atMs, seenMs: block.atMs })
  }
  const latenciesMs: number[] = []
  const idleLooks: number[] = []
  let idle = 0
  let stalls = 0
  let lookMs = toldBlocks === 0 ? startMs : nextLookMs(rhythm, (chain[next - 1] as TimedBlock).atMs)
  let lastLookMs: number | null = null
  while (next < chain.length) {
    const answeredMs = lookMs + answerMs
    let found: TimedBlock | null = null
    for (; next < chain.length && (chain[next] as TimedBlock).atMs <= lookMs + answerMs / 2; next += 1) {
      found = chain[next] as TimedBlock
      latenciesMs.push(answeredMs - found.atMs)
      idleLooks.push(idle)
      idle = 0
    }
    if (found === null) idle += 1
    else rhythm = noteBlock(rhythm, found, { notBeforeMs: lastLookMs, seenMs: lookMs })
    if (found === null && stalledSinceMs(rhythm, answeredMs) !== null) stalls += 1
    lastLookMs = lookMs
    lookMs = nextLookMs(rhythm, answeredMs)
  }
  return { latenciesMs: latenciesMs.slice(warmUpBlocks), idleLooks: idleLooks.slice(warmUpBlocks), stalls, rhythm }
}

export type Measured = { readonly p50Ms: number; readonly p99Ms: number; readonly maxMs: number; readonly idle: number }

export function measure({ latenciesMs, idleLooks }: Polled): Measured {
  const sorted = latenciesMs.toSorted((a, b) => a - b)
  const quantile = (share: number) =>
    Math.round(sorted[Math.min(Math.floor(sorted.length * share), sorted.length - 1)] as number)
  const idle = idleLooks.reduce((sum, looks) => sum + looks, 0) / idleLooks.length
  return { p50Ms: quantile(0.5), p99Ms: quantile(0.99), maxMs: quantile(1), idle: Math.round(idle * 100) / 100 }
}
