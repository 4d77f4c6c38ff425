/**
 * Nodes that misbehave in several ways at once, as dice have it: one endpoint in many; two of three, each in its own way; all of them,
 * now and then. A seed that fails is told by its title, and plays the same faults again.
 */
import { describe, test } from 'vitest'
import { createDice, type Dice } from '../../src/demo/dice.ts'
import type { Schedule } from '../support/fault-schedule.ts'
import {
  FAILURES,
  HEADS,
  LIES,
  type Misbehaviour,
  MISSING,
  SOCKET_HEADS,
  SOCKETS,
  THROTTLES,
} from '../support/misbehaviours.ts'
import { playAlone, playOnTwo } from '../support/node-play.ts'
import type { Way } from '../support/node-run.ts'
import { useNodeStage } from '../support/node-stage.ts'
import { expectRight } from '../support/node-verdict.ts'

const stage = useNodeStage(48)

const KINDS: readonly (readonly Misbehaviour[])[] = [LIES, HEADS, FAILURES, THROTTLES, MISSING]
const SOCKET_KINDS: readonly (readonly Misbehaviour[])[] = [...KINDS, SOCKET_HEADS, SOCKETS]
const FIRST_SEED = Number(process.env['SEED'] ?? 1)
const SEEDS = Number(process.env['SEEDS'] ?? 1)
const seedsOf = (count: number) => Array.from({ length: count * SEEDS }, (_, index) => FIRST_SEED + index)

/** Many at a time leave little that is good. */
const SELDOM = 0.15
const AT_ONCE = 5

/** Faults of answers, each seldom; a view of the chain besides now and then. */
function drawMixture(dice: Dice): Misbehaviour {
  const drawn = dice.shuffle([...LIES, ...FAILURES, ...THROTTLES]).slice(0, AT_ONCE)
  const faults = drawn.flatMap(({ schedule }) => Object.keys(schedule.rates))
  const views = HEADS.filter(({ schedule }) => schedule.view !== null && schedule.view.kind !== 'other-chain')
  const view = dice.chance(0.3) ? dice.pick(views) : null
  const schedule: Schedule = {
    rates: Object.fromEntries(faults.map(fault => [fault, SELDOM])),
    view: view?.schedule.view ?? null,
  }
  const what = [...drawn, ...(view === null ? [] : [view])].map(fault => fault.what).join('; ')
  return { what, schedule, shows: [], takesBack: view?.takesBack ?? false }
}

/** Two of different kinds. */
function drawTwo(dice: Dice, kinds: readonly (readonly Misbehaviour[])[]): [Misbehaviour, Misbehaviour] {
  const [one = [], other = []] = dice.shuffle(kinds)
  return [dice.pick(one), dice.pick(other)]
}

/** Who is right to be left alone for a while is not the one that is good next. */
const pairsOf = (faults: readonly Misbehaviour[]) =>
  faults.some(({ rests }) => rests === true) ? { pairs: [[0, 1]] as const } : {}

describe('one endpoint misbehaves in many ways', () => {
  for (const seed of seedsOf(5)) {
    const fault = drawMixture(createDice(seed))
    test(`seed ${seed}: ${fault.what}`, async () => {
      await playAlone(stage, fault, { seed, jobs: true })
    })
  }
})

describe('two of three endpoints misbehave, each in its own way', () => {
  for (const seed of seedsOf(10)) {
    const faults = drawTwo(createDice(seed), KINDS)
    test(`seed ${seed}: ${faults.map(({ what }) => what).join('; ')}`, async () => {
      await playOnTwo(stage, faults, { seed, jobs: true, ...pairsOf(faults) })
    })
  }
})

describe('two of three endpoints misbehave, some of which are websockets', () => {
  for (const seed of seedsOf(5)) {
    const dice = createDice(seed)
    const faults = drawTwo(dice, SOCKET_KINDS)
    const ways = dice.shuffle<Way>(['websocket', 'websocket', 'http'])
    test(`seed ${seed}: ${faults.map(({ what }) => what).join('; ')} (${ways.join(', ')})`, async () => {
      await playOnTwo(stage, faults, { seed, jobs: true, ways, ...pairsOf(faults) })
    })
  }
})

const BLOCKS = 4

describe('all of three endpoints misbehave in many ways', () => {
  const ways = ['http', 'http', 'http'] as const
  for (const seed of seedsOf(3)) {
    const dice = createDice(seed)
    const faults = ways.map(() => drawMixture(dice))
    test(`seed ${seed}`, async () => {
      const run = await stage.open({ ways, seed, jobs: true })
      for (const [index, proxy] of run.proxies.entries()) proxy.play(faults[index]?.schedule ?? null)
      await run.world.mine(BLOCKS)
      await run.look()
      run.heal()
      await run.world.mine(1)
      await run.world.pass(2)
      await run.untilHead()
      await expectRight(run, { takesBack: faults.some(({ takesBack }) => takesBack === true) })
    })
  }
})
