/**
 * Preloaded into a program (`--import …/shifted-clock.ts?seed=7`): a wall clock that is set forward and back while it runs.
 *
 * Always holds: `Date` alone is concerned. Timers and `performance.now` go on as they are, as on a machine whose time is set.
 */
import { createDice } from '../../src/demo/dice.ts'

const HOUR_MS = 3_600_000
const SHIFTS_MS = [0, 0, -1_000, 5_000, -60_000, HOUR_MS, -HOUR_MS, -72 * HOUR_MS] as const
const MIN_STAY_MS = 200
const MAX_STAY_MS = 2_500

const dice = createDice(Number(new URL(import.meta.url).searchParams.get('seed')))
const RealDate = Date
let shiftMs = dice.pick(SHIFTS_MS)

globalThis.Date = new Proxy(RealDate, {
  construct: (target, args: [] | [number]) =>
    args.length === 0 ? new target(RealDate.now() + shiftMs) : new target(...args),
  get: (target, name, receiver) =>
    name === 'now' ? () => RealDate.now() + shiftMs : Reflect.get(target, name, receiver),
})

function setAnew(): void {
  shiftMs = dice.pick(SHIFTS_MS)
  setTimeout(setAnew, dice.integer(MIN_STAY_MS, MAX_STAY_MS)).unref()
}

setAnew()
