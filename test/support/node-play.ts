/**
 * How a fault is played to a daemon: alone, on its only endpoint; and on two of three, first these and then others.
 *
 * Always holds: the fault was met before it ends, or the test fails: a fault that nobody met proves nothing.
 */
import { expect } from 'vitest'
import { sleep } from '../../src/runtime/sleep.ts'
import type { FaultKind, Schedule } from './fault-schedule.ts'
import type { Misbehaviour } from './misbehaviours.ts'
import type { Run, RunOptions } from './node-run.ts'
import type { NodeStage } from './node-stage.ts'
import { expectRight, expectSoonVisible } from './node-verdict.ts'

export type Pair = readonly [number, number]

const BLOCKS_ALONE = 3
const BLOCKS_AFTER = 1
const BLOCKS_OF_PAIR = 2
const CONFIRMING_BLOCKS = 2
/** Within this many blocks it is met. */
const MOST_BLOCKS_ALONE = 25
const TIMES_MET = 2
/** While no block comes, a daemon looks as often as this chain has blocks, and at the head with every other look. */
const IDLE_MS = 1_500
const LOOK_MS = 20
/** What a daemon may ask of an endpoint within a second, that gives it no good answer: many times less than one that spins. */
const MOST_PER_SECOND = 80
/** Two of three at a time, and then others. */
const PAIRS: readonly Pair[] = [
  [0, 1],
  [1, 2],
]

/** One endpoint: the daemon waits, believes nothing wrong, and recovers. */
export async function playAlone(
  stage: NodeStage,
  fault: Misbehaviour,
  options: Omit<RunOptions, 'ways'> & Partial<RunOptions>,
) {
  const run = await stage.open({ ways: ['http'], ...options })
  const { world } = run
  const before = performance.now()
  run.play(fault.schedule, [0])
  if (fault.cuts === true) run.proxies[0]?.cutSockets()
  const mined = await world.mine(BLOCKS_ALONE)
  if (fault.isHarmless === true) await expectSoonVisible(run, mined, fault.what)
  // Chance may spare the first blocks.
  const met = () => isMet(run, fault)
  for (let blocks = BLOCKS_ALONE; !(await happens(met)) && blocks < MOST_BLOCKS_ALONE; blocks += 1) await world.mine(1)
  expect(isMet(run, fault), `${fault.what}: it was met`).toBe(true)
  await run.look()
  const seconds = (performance.now() - before) / 1_000
  const asked = run.proxies.flatMap(proxy => proxy.arrivals()).filter(({ at }) => at >= before).length
  run.heal()
  await world.mine(BLOCKS_AFTER)
  await world.pass(CONFIRMING_BLOCKS)
  await run.untilHead()
  await expectRight(run, fault)
  expect(asked / Math.max(seconds, 1), 'requests per second').toBeLessThan(MOST_PER_SECOND)
  return run
}

/** Three endpoints: while any two misbehave, each block's rows are visible within seconds, and right. */
export async function playOnTwo(
  stage: NodeStage,
  faults: readonly [Misbehaviour, Misbehaviour],
  { pairs = PAIRS, ...options }: Omit<RunOptions, 'ways'> & Partial<RunOptions> & { readonly pairs?: readonly Pair[] },
) {
  const run = await stage.open({ ways: ['http', 'http', 'http'], ...options })
  const { world } = run
  for (const pair of pairs) {
    run.heal()
    for (const [index, at] of pair.entries()) {
      run.proxies[at]?.play(always(faults[index]?.schedule ?? null))
      if (faults[index]?.cuts === true) run.proxies[at]?.cutSockets()
    }
    const mined = await world.mine(BLOCKS_OF_PAIR)
    await expectSoonVisible(run, mined, `endpoints ${pair.join(' and ')} misbehave`)
    await happens(() => isAnyMet(run))
    await run.look()
  }
  await world.pass(CONFIRMING_BLOCKS)
  run.heal()
  await run.untilHead()
  await expectRight(run)
  expect(
    run.proxies.flatMap(proxy => Object.entries(proxy.counters())),
    'nobody met the faults',
  ).not.toEqual([])
  return run
}

/** Whoever has a good endpoint besides gets no right answer from a bad one. */
function always(schedule: Schedule | null): Schedule | null {
  if (schedule === null) return null
  return { ...schedule, rates: Object.fromEntries(Object.keys(schedule.rates).map(fault => [fault, 1])) }
}

/** Some questions are asked only while nothing new comes. @returns whether it is so, as soon as it is */
async function happens(condition: () => boolean): Promise<boolean> {
  for (let waitedMs = 0; waitedMs < IDLE_MS && !condition(); waitedMs += LOOK_MS) await sleep(LOOK_MS)
  return condition()
}

function isAnyMet({ proxies }: Run): boolean {
  return proxies.some(proxy => Object.keys(proxy.counters()).length > 0)
}

/** Whether it came often enough to show something. */
function isMet({ proxies }: Run, { schedule, shows, times = TIMES_MET }: Misbehaviour): boolean {
  const kinds = shows ?? shownBy(schedule)
  return proxies.some(proxy => kinds.every(kind => (proxy.counters()[kind] ?? 0) >= times))
}

function shownBy({ rates, view }: Schedule): FaultKind[] {
  return [...(Object.keys(rates) as FaultKind[]), ...(view === null ? [] : [view.kind])]
}
