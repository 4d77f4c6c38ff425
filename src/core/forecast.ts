/**
 * Three ways to foretell when the next block comes, each from what was seen of the last ones.
 *
 * - `slots`: so long after the parent's timestamp. Proof of stake, and chains whose sequencer keeps to the clock: what is late today
 *   does not make tomorrow late, and a slot without a block is followed by the next slot.
 * - `numbers`: at an even pace, block by block, whatever the timestamps say: several blocks a second, or timestamps that stand still.
 * - `gaps`: so long after the parent was seen: who mines the next block waits for the last one.
 *
 * Which of them fits is not asked of a configuration: the one that has foretold best lately counts. Timestamps are compared with
 * monotonic time by their differences alone, so it does not matter what any wall clock says.
 */

import { middleMs, quantileMs, type Sighting } from './looks.ts'

/** A block that was seen. Monotonic, but for its own timestamp. */
export type Mark = {
  readonly number: number
  readonly timestampMs: number
  /** It came after this; null where that is not known. */
  readonly fromMs: number | null
  readonly seenMs: number
  /** The first look at its time found it: then `fromMs` is no look, but what is guessed. */
  readonly isGuessed: boolean
}

export type Forecast = {
  /** The block that it is for. */
  readonly number: number
  /** What the sightings count from. */
  readonly baseMs: number
  /** From block to block. */
  readonly gapMs: number
  /** Whether what does not come in its time comes as much later as one block from the next. */
  readonly isSlotted: boolean
  /** How long after what was foretold the blocks came, each from the blocks before it. */
  readonly sightings: readonly Sighting[]
}

/** A sighting of so many blocks ago weighs half. */
const HALF_LIFE = 16
/** How fast it is forgotten how well a way foretold. */
const ERROR_SHARE = 1 / 12
/** A miss by more than this share of a block time tells no more. */
const MISS_SHARE = 1 / 4
/** Of the block time: so far off is a way before it has foretold anything, lest a lucky first guess decides. */
const DOUBT_SHARE = 1 / 16
/** Another way than the first that will do must be better by this. */
const BETTER = 0.9
const MIN_NUMBERS = 6
const MIN_GAPS = 4

/** @param marks ascending, at least one */
export function foretell(marks: readonly Mark[], blockTimeMs: number): readonly (Forecast | null)[] {
  return [foretellBySlots(marks, blockTimeMs), foretellByNumbers(marks), foretellByGaps(marks)]
}

/**
 * How far off each way is in the mean, now that the block is there.
 *
 * @param errorsMs what this returned before; null for a way that has foretold nothing yet
 */
export function judgeForecasts(
  forecasts: readonly (Forecast | null)[],
  errorsMs: readonly (number | null)[],
  mark: Mark,
): readonly (number | null)[] {
  return forecasts.map((forecast, way) => {
    const errorMs = errorsMs[way] ?? null
    if (forecast === null || mark.fromMs === null) return errorMs
    const { number, baseMs, gapMs, isSlotted, sightings } = forecast
    if (number !== mark.number && !isSlotted) return errorMs
    const lateMs = middleOf(mark) - baseMs - quantileMs(sightings, 0.5)
    const slotsMs = isSlotted ? Math.max(Math.round(lateMs / gapMs), 0) * gapMs : 0
    const missMs = Math.min(Math.abs(lateMs - slotsMs), gapMs * MISS_SHARE)
    const beforeMs = errorMs ?? gapMs * DOUBT_SHARE
    return beforeMs + (missMs - beforeMs) * ERROR_SHARE
  })
}

/** The way that has foretold best. */
export function bestForecast(
  forecasts: readonly (Forecast | null)[],
  errorsMs: readonly (number | null)[],
): Forecast | null {
  let best: Forecast | null = null
  let leastMs = Number.POSITIVE_INFINITY
  forecasts.forEach((forecast, way) => {
    if (forecast === null) return
    const errorMs = errorsMs[way] ?? forecast.gapMs * DOUBT_SHARE
    if (best !== null && errorMs >= leastMs * BETTER) return
    best = forecast
    leastMs = errorMs
  })
  return best
}

/** How long blocks take by the clock that saw them, from each to the next; ascending. */
export function seenGapsMs(marks: readonly Mark[]): readonly number[] {
  const gapsMs = pairs(marks)
    .filter(([parent, mark]) => parent.fromMs !== null && mark.fromMs !== null)
    .map(([parent, mark]) => (middleOf(mark) - middleOf(parent)) / (mark.number - parent.number))
  return gapsMs.sort((a, b) => a - b)
}

export function median(ascending: readonly number[]): number | null {
  return ascending[ascending.length >> 1] ?? null
}

/** When a block came: in the middle of what is known. */
function middleOf({ fromMs, seenMs }: Mark): number {
  return fromMs === null ? seenMs : middleMs({ fromMs, toMs: seenMs })
}

export function pairs(marks: readonly Mark[]): [Mark, Mark][] {
  return marks.slice(1).map((mark, index) => [marks[index] as Mark, mark])
}

function foretellBySlots(marks: readonly Mark[], blockTimeMs: number): Forecast | null {
  const last = marks.at(-1) as Mark
  const gapsMs = pairs(marks)
    .map(([parent, mark]) => (mark.timestampMs - parent.timestampMs) / (mark.number - parent.number))
    .sort((a, b) => a - b)
  const gapMs = median(gapsMs) ?? blockTimeMs
  if (gapMs <= 0) return null
  const sightings = sight(marks, (mark, parent) => {
    if (parent === null) return mark.timestampMs
    const slots = Math.round((mark.timestampMs - parent.timestampMs) / gapMs)
    return parent.timestampMs + gapMs * Math.max(slots, mark.number - parent.number)
  })
  if (sightings.length === 0) return null
  return { number: last.number + 1, baseMs: last.timestampMs + gapMs, gapMs, isSlotted: true, sightings }
}

/** The pace is the median of those over half of the marks (Theil and Sen): neither a late block nor a gap in between bends it. */
function foretellByNumbers(marks: readonly Mark[]): Forecast | null {
  const timed = marks.filter(({ fromMs }) => fromMs !== null)
  if (timed.length < MIN_NUMBERS) return null
  const half = timed.length >> 1
  const paces = timed
    .slice(half)
    .map((mark, index) => {
      const earlier = timed[index] as Mark
      return (middleOf(mark) - middleOf(earlier)) / (mark.number - earlier.number)
    })
    .sort((a, b) => a - b)
  const gapMs = median(paces)
  if (gapMs === null || gapMs <= 0) return null
  const number = (marks.at(-1) as Mark).number + 1
  const sightings = sight(marks, mark => (mark.number - number) * gapMs)
  return { number, baseMs: 0, gapMs, isSlotted: false, sightings }
}

function foretellByGaps(marks: readonly Mark[]): Forecast | null {
  const last = marks.at(-1) as Mark
  const gapMs = median(seenGapsMs(marks))
  const sightings = sight(marks, (mark, parent) =>
    parent === null || parent.fromMs === null || parent.number + 1 !== mark.number ? null : middleOf(parent),
  )
  if (sightings.length < MIN_GAPS || gapMs === null || gapMs <= 0) return null
  return { number: last.number + 1, baseMs: middleOf(last), gapMs, isSlotted: false, sightings }
}

/** @param baseOf what was foretold for a block by those before it; null where nothing was */
function sight(marks: readonly Mark[], baseOf: (mark: Mark, parent: Mark | null) => number | null): Sighting[] {
  return marks.flatMap((mark, index) => {
    const baseMs = baseOf(mark, marks[index - 1] ?? null)
    if (baseMs === null || mark.fromMs === null) return []
    const weight = 2 ** (-(marks.length - 1 - index) / HALF_LIFE)
    return [{ fromMs: mark.fromMs - baseMs, toMs: mark.seenMs - baseMs, weight }]
  })
}
