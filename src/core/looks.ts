/**
 * When to look for something that comes about when it came before, so that waiting and looking together cost least.
 *
 * What is known of earlier times is intervals: not there at one look, there at the next. Whoever takes an end of them for the truth
 * moves the next looks by it, measures with those, and drifts. So an interval spreads its weight evenly over itself, and the sum of
 * many is the likelihood that the looks are placed by. Where it is too wide, the looks between are too far apart: they come closer,
 * and the next intervals are narrower.
 *
 * What comes waits for the next look, and each look that is made has a price. The looks of the least sum are found exactly, over a
 * grid: few and far where little is likely, close where much is, none where it can't pay. That needs no cases for sharp edges, long
 * tails, or one moment that is always the same. Work is bounded by the grid, whatever the numbers are.
 */

/** It was not there at `fromMs`, and was at `toMs`. */
export type Sighting = { readonly fromMs: number; readonly toMs: number; readonly weight: number }

export type Terms = {
  /** What a look costs: the delay that weighs as much. */
  readonly priceMs: number
  /** Looks are at least so far apart. */
  readonly minApartMs: number
  /** What is later than ever comes so much later in the mean. */
  readonly tailMs: number
  /** Looks are planned for so long, from the earliest moment on. */
  readonly horizonMs: number
}

export type Looks = {
  /** Between these two it is expected. */
  readonly startMs: number
  readonly endMs: number
  /** Ascending, those for what is later than expected included. */
  readonly atMs: readonly number[]
}

const CELLS = 48
const TAIL_CELLS = 24
/** What is farther out of these quantiles than they are apart is an outlier. It does not widen the window: the tail waits for it. */
const LOW = 0.15
const HIGH = 0.85
/** What has not been seen yet weighs as much as one sighting of now. */
const UNSEEN_WEIGHT = 1

/** Of what is later than expected: the rest does not come before the plan ends, as in a slot that is missed. */
const LATE_SHARE = 0.8

/** @param sightings at least one */
export function planLooks(sightings: readonly Sighting[], terms: Terms): Looks {
  const density = estimateDensity(sightings, terms.minApartMs)
  const { startMs, cellMs } = density
  const grid = layGrid(density, terms)
  const atMs = cheapestLooks(grid, terms).map(afterMs => startMs + afterMs)
  return { startMs, endMs: startMs + cellMs * CELLS, atMs }
}

export function middleMs({ fromMs, toMs }: { readonly fromMs: number; readonly toMs: number }): number {
  return fromMs + (toMs - fromMs) / 2
}

/** By the middles: the least of them that has `share` of the weight up to it. */
export function quantileMs(sightings: readonly Sighting[], share: number): number {
  const sorted = sightings.toSorted((a, b) => middleMs(a) - middleMs(b))
  const total = sorted.reduce((sum, { weight }) => sum + weight, 0)
  let weightBelow = 0
  for (const sighting of sorted) {
    weightBelow += sighting.weight
    if (weightBelow >= share * total) return middleMs(sighting)
  }
  return middleMs(sorted.at(-1) as Sighting)
}

/** How far apart most of the sightings are. */
export function spreadMs(sightings: readonly Sighting[]): number {
  return quantileMs(sightings, HIGH) - quantileMs(sightings, LOW)
}

type Density = { readonly startMs: number; readonly cellMs: number; readonly masses: readonly number[] }

function estimateDensity(sightings: readonly Sighting[], minApartMs: number): Density {
  const outMs = Math.max(spreadMs(sightings), minApartMs)
  const lowMs = quantileMs(sightings, LOW) - outMs
  const highMs = quantileMs(sightings, HIGH) + outMs
  const usual = sightings.filter(sighting => middleMs(sighting) >= lowMs && middleMs(sighting) <= highMs)
  const startMs = Math.min(...usual.map(({ fromMs }) => fromMs))
  const endMs = Math.max(...usual.map(({ toMs }) => toMs), startMs + minApartMs / 10)
  const cellMs = (endMs - startMs) / CELLS
  const total = sightings.reduce((sum, { weight }) => sum + weight, UNSEEN_WEIGHT)
  const masses = Array.from({ length: CELLS }, () => 0)
  for (const { fromMs, toMs, weight } of usual) {
    const first = cellAt((fromMs - startMs) / cellMs)
    const last = Math.max(cellAt(Math.ceil((toMs - startMs) / cellMs) - 1), first)
    for (let cell = first; cell <= last; cell += 1)
      masses[cell] = (masses[cell] as number) + weight / total / (last - first + 1)
  }
  // A sighting is a sample of where the next may be, not the place: without this, exact ones would be met exactly.
  return { startMs, cellMs, masses: smooth(masses) }
}

function cellAt(place: number): number {
  return Math.min(Math.max(Math.floor(place), 0), CELLS - 1)
}

function smooth(masses: readonly number[]): number[] {
  return masses.map((mass, cell) => ((masses[cell - 1] ?? mass) + 2 * mass + (masses[cell + 1] ?? mass)) / 4)
}

/** At each point, after the start of the window: the mass that has come by then, and the sum of that mass times when it came. */
type Grid = {
  readonly pointsMs: readonly number[]
  readonly come: readonly number[]
  readonly moments: readonly number[]
}

function layGrid({ cellMs, masses }: Density, { tailMs, horizonMs }: Terms): Grid {
  const pointsMs = [0]
  const come = [0]
  const moments = [0]
  const add = (pointMs: number, mass: number) => {
    const last = pointsMs.length - 1
    const middle = ((pointsMs[last] as number) + pointMs) / 2
    come.push((come[last] as number) + mass)
    moments.push((moments[last] as number) + mass * middle)
    pointsMs.push(pointMs)
  }
  masses.forEach((mass, cell) => add(cellMs * (cell + 1), mass))
  const endMs = cellMs * CELLS
  const rest = 1 - (come.at(-1) as number)
  const stepMs = Math.max(horizonMs - endMs, cellMs) / TAIL_CELLS
  for (let cell = 0; cell < TAIL_CELLS; cell += 1) {
    const left = (afterMs: number) => rest * LATE_SHARE * Math.exp(-afterMs / tailMs)
    add(endMs + stepMs * (cell + 1), left(stepMs * cell) - left(stepMs * (cell + 1)))
  }
  return { pointsMs, come, moments }
}

/**
 * From the last point back: the next look from each point is the one with the least cost of all that follows. The last point stands
 * for whatever comes after the plan, and is none of its looks.
 */
function cheapestLooks({ pointsMs, come, moments }: Grid, { priceMs, minApartMs }: Terms): number[] {
  const end = pointsMs.length - 1
  const costMs = pointsMs.map(() => 0)
  const next = pointsMs.map(() => end)
  for (let from = end - 1; from >= 0; from -= 1) {
    let leastMs = Number.POSITIVE_INFINITY
    for (let to = end; to > from; to -= 1) {
      const pointMs = pointsMs[to] as number
      // Before the first point is no look to be apart from.
      if (to < end && from > 0 && pointMs - (pointsMs[from] as number) < minApartMs) break
      const waitedMs =
        pointMs * ((come[to] as number) - (come[from] as number)) -
        ((moments[to] as number) - (moments[from] as number))
      const sumMs = priceMs * (1 - (come[from] as number)) + waitedMs + (costMs[to] as number)
      if (sumMs >= leastMs) continue
      leastMs = sumMs
      next[from] = to
    }
    costMs[from] = leastMs
  }
  const looks: number[] = []
  for (let at = next[0] as number; at < end; at = next[at] as number) looks.push(pointsMs[at] as number)
  return looks
}
