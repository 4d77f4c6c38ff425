/**
 * When to look for the next block, where nobody tells of it: few looks that find nothing, and none that comes late.
 *
 * Block times are promises of nobody. So a chain's rhythm is learned from its last blocks, by forecast.ts, and the looks are placed by
 * looks.ts where the next block is likely. Where nothing can be foretold, looks are a share of the usual gap apart. The longer nothing
 * comes, the rarer they get. The block time of the chain file is where learning begins, and what bounds the wait where there is
 * nothing better to know; a wrong one costs a few blocks.
 *
 * A rhythm is a value: time comes in, by a clock that never goes back. No wall clock is asked, so none can be wrong.
 */

import {
  bestForecast,
  type Forecast,
  foretell,
  judgeForecasts,
  type Mark,
  median,
  pairs,
  seenGapsMs,
} from './forecast.ts'
import { type Looks, planLooks, spreadMs } from './looks.ts'

/** No look follows another faster. */
export const MIN_LOOK_MS = 50
/** However fast its blocks are: a chain that stands still is not asked more often than that. */
export const FAST_IDLE_LOOK_MS = 1_000
/** However slow its blocks are: a chain is asked as often as that, if it can't be foretold or is overdue. */
export const SLOW_IDLE_LOOK_MS = 12_000

const MAX_MARKS = 32
/** A look is worth a 256th of the block time: 47 ms on Mainnet, for which blocks are met after 0.1 s by 2 looks in vain. */
const LOOKS_WORTH_A_BLOCK = 256
/** A look is never worth less: faster chains are not asked for the last millisecond. */
const MIN_PRICE_MS = 5
/** Of the block time: how much later late blocks are. */
const TAIL_SHARE = 1 / 8
/** Of the block time: blocks that are farther off than this from what was foretold are not foretold at all. */
const MAX_SPREAD_SHARE = 0.5
/** Of the last blocks: were all of them found by their first look, they may come earlier than anybody looks. */
const MAX_GUESSES = 2
/** So many sightings prove that blocks are slower than the chain file says. */
const MIN_PROOF = 3
/**
 * Where nothing is foretold: looks in the usual gap, which is a median. Of blocks at random it is 0.7 of the mean: 9 looks in that. They
 * get rarer after so many gaps, in proportion to the time since.
 */
const LOOKS_PER_GAP = 6
const RARER_AFTER_GAPS = 3
const MIN_GAPS = 3
/** Block times without a block for which all looks of a slot are made; then they get rarer, by this share of the time since. */
const PATIENT_SLOTS = 2
const RARER_SHARE = 1 / 16
/** Block times from now: nothing is planned as late as that. */
const FAR_GAPS = 2
/** Block times without a block after which one look a slot must do. */
const OVERDUE_SLOTS = 6
/** Block times without a block that are a stall: Mainnet misses one slot in a hundred, five together never. */
const STALL_BLOCKS = 5
/** The same where blocks come at random, by the median: one gap in 2^18 is so long. */
const STALL_RANDOM_GAPS = 18
/** A chain whose blocks come on demand rests now and then. */
const STALL_LONGEST_GAPS = 3
/** Shorter than this is no stall, on chains with blocks of 2 s and more, and on faster ones. */
const MIN_STALL_MS = 30_000
const MIN_FAST_STALL_MS = 10_000
const FAST_BLOCK_MS = 2_000

type Plan = {
  readonly number: number
  readonly baseMs: number
  readonly gapMs: number
  readonly isSlotted: boolean
  /** Counted from the base. */
  readonly looks: Looks
}

export type Rhythm = {
  readonly blockTimeMs: number
  /** The last blocks, ascending. */
  readonly marks: readonly Mark[]
  readonly forecasts: readonly (Forecast | null)[]
  readonly errorsMs: readonly (number | null)[]
  /** Null where nothing can be foretold. */
  readonly plan: Plan | null
  /** Half of the gaps are shorter. */
  readonly usualGapMs: number
}

export function initialRhythm(blockTimeMs: number): Rhythm {
  const ownMs = Math.max(blockTimeMs, MIN_LOOK_MS)
  return { blockTimeMs: ownMs, marks: [], forecasts: [], errorsMs: [], plan: null, usualGapMs: ownMs }
}

/**
 * A block that was not there at `notBeforeMs` was there at `seenMs`.
 *
 * Both are monotonic, and of a look: when it asked, not when it was answered; else every look would be late by an answer. The look
 * that found block N is the first that did not find N + 1. What a subscription tells was there the moment it was told, so both are the
 * same. Of several blocks that one look finds, the highest is enough. A block that is known changes nothing; another one at a height
 * that is known takes back what is above.
 *
 * @param block timestampMs: its own
 * @param seen notBeforeMs: null where that is not known: at the start, and while catching up
 */
export function noteBlock(
  rhythm: Rhythm,
  block: { readonly number: number; readonly timestampMs: number },
  seen: { readonly notBeforeMs: number | null; readonly seenMs: number },
): Rhythm {
  const { number } = block
  // Years that no number holds exactly say as little as a clock that stands still.
  const timestampMs = Number.isSafeInteger(block.timestampMs) ? block.timestampMs : 0
  if (rhythm.marks.some(mark => mark.number === number && mark.timestampMs === timestampMs)) return rhythm
  const below = rhythm.marks.filter(mark => mark.number < number)
  // What replaces a block is late by the block it replaces: that tells nothing of when blocks come.
  const isNext = below.length === rhythm.marks.length
  const notBeforeMs = isNext && seen.notBeforeMs !== null ? Math.min(seen.notBeforeMs, seen.seenMs) : null
  const fromMs = notBeforeMs === null ? null : earliestMs(rhythm.plan, number, notBeforeMs, seen.seenMs)
  const mark = { number, timestampMs, fromMs, seenMs: seen.seenMs, isGuessed: fromMs !== notBeforeMs }
  const marks = [...below, mark].slice(-MAX_MARKS)
  const errorsMs = judgeForecasts(rhythm.forecasts, rhythm.errorsMs, mark)
  const forecasts = foretell(marks, rhythm.blockTimeMs)
  return {
    ...rhythm,
    marks,
    forecasts,
    errorsMs,
    plan: makePlan(bestForecast(forecasts, errorsMs), marks, rhythm.blockTimeMs),
    usualGapMs: findUsualGapMs(marks, rhythm.blockTimeMs),
  }
}

/**
 * When to look next: at least `MIN_LOOK_MS` after `nowMs`, and at most a block time after it, by the chain file or by what was seen of
 * the chain, whichever is longer: of what was seen, up to `SLOW_IDLE_LOOK_MS`, and of either, not less than `FAST_IDLE_LOOK_MS`.
 */
export function nextLookMs(rhythm: Rhythm, nowMs: number): number {
  const { plan, marks, blockTimeMs } = rhythm
  const last = marks.at(-1)
  if (last === undefined) return nowMs + FAST_IDLE_LOOK_MS
  const sinceMs = Math.max(nowMs - last.seenMs, 0)
  const gapMs = plan?.gapMs ?? blockTimeMs
  const idleMs = Math.min(Math.max(gapMs, FAST_IDLE_LOOK_MS), SLOW_IDLE_LOOK_MS)
  const unplannedMs = Math.min(Math.max(rhythm.usualGapMs, sinceMs / RARER_AFTER_GAPS) / LOOKS_PER_GAP, idleMs)
  const next = plannedLookMs(plan, nowMs, sinceMs) ?? nowMs + unplannedMs
  const latest = nowMs + (sinceMs > OVERDUE_SLOTS * gapMs ? idleMs : Math.max(blockTimeMs, idleMs))
  return Math.min(Math.max(next, nowMs + MIN_LOOK_MS), latest)
}

/**
 * Since when no block came, if that is far longer than this chain's rhythm explains: when the last one was first seen. Null if it is
 * not, or no block was seen at all.
 */
export function stalledSinceMs(rhythm: Rhythm, nowMs: number): number | null {
  const { plan, marks } = rhythm
  const last = marks.at(-1)
  if (last === undefined) return null
  const isRandom = plan === null && seenGapsMs(marks).length >= MIN_GAPS
  const gapMs = plan?.gapMs ?? rhythm.usualGapMs
  const longestMs = pairs(marks)
    .filter(([, mark]) => mark.fromMs !== null)
    .reduce((most, [parent, mark]) => Math.max(most, (mark.seenMs - parent.seenMs) / (mark.number - parent.number)), 0)
  const thresholdMs = Math.max(
    gapMs * (isRandom ? STALL_RANDOM_GAPS : STALL_BLOCKS),
    longestMs * STALL_LONGEST_GAPS,
    gapMs < FAST_BLOCK_MS ? MIN_FAST_STALL_MS : MIN_STALL_MS,
  )
  return nowMs - last.seenMs > thresholdMs ? last.seenMs : null
}

function makePlan(forecast: Forecast | null, marks: readonly Mark[], blockTimeMs: number): Plan | null {
  if (forecast === null) return null
  const { number, baseMs, gapMs, isSlotted, sightings } = forecast
  if (gapMs > blockTimeMs && sightings.length < MIN_PROOF) return null
  if (spreadMs(sightings) > gapMs * MAX_SPREAD_SHARE) return null
  const looks = planLooks(sightings, {
    priceMs: Math.max(gapMs / LOOKS_WORTH_A_BLOCK, MIN_PRICE_MS),
    minApartMs: MIN_LOOK_MS,
    tailMs: gapMs * TAIL_SHARE,
    horizonMs: gapMs,
  })
  if (looks.endMs - looks.startMs >= gapMs) return null
  const isUnbounded = marks.slice(-MAX_GUESSES).every(mark => mark.isGuessed)
  return { number, baseMs, gapMs, isSlotted, looks: isUnbounded ? scout(looks) : looks }
}

/** One more look, where the window begins. If it finds the block already, the window begins earlier the next time. */
function scout(looks: Looks): Looks {
  const { startMs, endMs, atMs } = looks
  return { ...looks, atMs: [Math.min(startMs, (atMs[0] ?? endMs) - MIN_LOOK_MS), ...atMs] }
}

/**
 * Null where the plan ends: of what is not slotted, it says nothing more once the next block is a block time late. Null too where it
 * can't be right: after timestamps leapt ahead.
 */
function plannedLookMs(plan: Plan | null, nowMs: number, sinceMs: number): number | null {
  if (plan === null) return null
  const { baseMs, gapMs, looks } = plan
  const overdueMs = sinceMs - PATIENT_SLOTS * gapMs
  const isOverdue = sinceMs > OVERDUE_SLOTS * gapMs
  // Faster slots than that are not followed through a stall.
  if (isOverdue && gapMs < FAST_IDLE_LOOK_MS) return null
  const leastMs = nowMs + Math.max(isOverdue ? 0 : overdueMs * RARER_SHARE, MIN_LOOK_MS)
  const atMs = isOverdue ? [looks.atMs.findLast(at => at <= looks.endMs) ?? looks.endMs] : looks.atMs
  const slot = slotOf(plan, leastMs)
  const startsMs = plan.isSlotted ? [baseMs + slot * gapMs, baseMs + (slot + 1) * gapMs] : [baseMs]
  const next = startsMs.flatMap(startMs => atMs.map(at => startMs + at)).find(at => at >= leastMs)
  return next === undefined || next > nowMs + FAR_GAPS * gapMs ? null : next
}

/** How many windows have begun after the first one. */
function slotOf({ baseMs, gapMs, isSlotted, looks }: Plan, atMs: number): number {
  return isSlotted ? Math.max(Math.floor((atMs - baseMs - looks.startMs) / gapMs), 0) : 0
}

/**
 * The look before the one that found a block may be long ago, before anything was expected. Then the block came a little before the
 * window at the earliest, and where many are found by the first look, the window moves towards them.
 */
function earliestMs(plan: Plan | null, number: number, notBeforeMs: number, seenMs: number): number {
  if (plan === null || (!plan.isSlotted && number !== plan.number)) return notBeforeMs
  const { looks } = plan
  const startMs = plan.baseMs + slotOf(plan, seenMs) * plan.gapMs + looks.startMs
  const [first = looks.startMs, second = looks.endMs] = looks.atMs
  return Math.max(notBeforeMs, Math.min(startMs, seenMs - (second - first)))
}

/** Until some gaps were seen: what the timestamps say, or else the chain file. */
function findUsualGapMs(marks: readonly Mark[], blockTimeMs: number): number {
  const gapsMs = seenGapsMs(marks)
  if (gapsMs.length >= MIN_GAPS) return Math.max(median(gapsMs) ?? 0, MIN_LOOK_MS)
  const [first, last] = [marks[0], marks.at(-1)]
  if (first === undefined || last === undefined || marks.length <= MIN_GAPS) return blockTimeMs
  const gapMs = (last.timestampMs - first.timestampMs) / (last.number - first.number)
  return gapMs > 0 ? Math.max(gapMs, MIN_LOOK_MS) : blockTimeMs
}
