/**
 * What becomes of the programs: killed at random and at the worst instants, frozen, stopped, run beside each other.
 */
import { sleep } from '../../../src/runtime/sleep.ts'
import type { Program } from '../process.ts'
import type { Stage } from '../stage.ts'
import { MAX_SEND, pause, pickChain, runningProgram } from './pick.ts'
import { reorganise } from './world.ts'

/** Commits of steps that may pass before a trap springs. */
const MAX_PASSES = 3
const TRAP_DEADLINE_MS = 1_500
/** Between the blocks that are mined to have a step committed. */
const LURE_MS = 100
/** The share of kills after which the dead holder's lease is let expire at once: waiting for it each time would be all that is done. */
const EXPIRES_AT_ONCE = 0.85

/** The lease of whoever was killed, as if its time had passed. A living holder only renews it. */
export async function expireLeases({ query, tally }: Stage): Promise<void> {
  tally.add('expiries')
  await query(sql => sql`update indexer.leases set expires_at = clock_timestamp() - interval '1 ms'`)
}

export function startDaemon(stage: Stage, slot: 'first' | 'second'): Program {
  stage.tally.add('starts')
  return stage.start(slot, ['run'])
}

async function afterKill(stage: Stage, slot: 'first' | 'second'): Promise<string> {
  const { dice } = stage
  if (dice.chance(EXPIRES_AT_ONCE)) await expireLeases(stage)
  if (slot === 'second' && dice.chance(0.5)) return 'and stays away'
  if (dice.chance(0.3)) return 'and is down for a while'
  startDaemon(stage, slot)
  return 'and starts again'
}

/** While it is down it must miss something now and then; the next deed that needs it starts it again. */
export async function ensureRunning(stage: Stage): Promise<string | null> {
  if (runningProgram(stage, 'first') !== null) return null
  const program = startDaemon(stage, 'first')
  await program.started()
  return 'the daemon starts again'
}

export async function kill(stage: Stage): Promise<string | null> {
  const slot = stage.dice.pick(['first', 'first', 'second'] as const)
  await pause(stage)
  const program = runningProgram(stage, slot)
  if (program === null) return null
  program.kill()
  await program.ended
  stage.tally.add('kills')
  return `the ${slot} daemon is killed ${await afterKill(stage, slot)}`
}

/** A kill, or a lost answer, at the very commit of a step. */
export async function trap(stage: Stage): Promise<string | null> {
  const { dice, gates, tally } = stage
  const slot = dice.pick(['first', 'first', 'second'] as const)
  const program = runningProgram(stage, slot)
  const instant = dice.pick(['before-commit', 'lost-answer', 'after-commit'] as const)
  const kills = instant !== 'lost-answer' || dice.chance(0.5)
  const passes = dice.integer(0, MAX_PASSES)
  const { traffic: own, anvil } = pickChain(stage)
  if (program === null) return null
  const sprung = new AbortController()
  gates[slot].setTrap({
    instant,
    passes,
    spring: () => {
      sprung.abort()
      if (kills) program.kill()
    },
  })
  for (let waited = 0; !sprung.signal.aborted && program.isRunning() && waited < TRAP_DEADLINE_MS; waited += LURE_MS) {
    if (waited % (3 * LURE_MS) === 0) await own.step(2)
    else await anvil.mine(1)
    await sleep(LURE_MS, sprung.signal)
  }
  gates[slot].setTrap(null)
  if (!sprung.signal.aborted) return `no commit of the ${slot} daemon came`
  if (!kills) {
    tally.add('lost answers')
    return `the ${slot} daemon loses the answer to a commit`
  }
  await program.ended
  tally.add('kills')
  tally.add(`kills ${instant}`)
  return `the ${slot} daemon is killed at ${instant} ${await afterKill(stage, slot)}`
}

/** What a daemon has to find out when it comes back: the chain went on, and on another branch. */
export async function reorgWhileDown(stage: Stage): Promise<string | null> {
  const { dice, tally } = stage
  const program = runningProgram(stage, 'first')
  if (program === null) return null
  const gently = dice.chance(0.4)
  await (gently ? program.stop() : program.kill())
  await program.ended
  tally.add(gently ? 'stops' : 'kills')
  const words: string[] = []
  for (let left = dice.integer(1, 2); left > 0; left -= 1) words.push(await reorganise(stage))
  if (dice.chance(0.5)) await pickChain(stage).traffic.step(MAX_SEND)
  if (!gently) await expireLeases(stage)
  await startDaemon(stage, 'first').started()
  return `while the daemon is down: ${words.join('; ')}`
}

export async function killStorm(stage: Stage): Promise<string> {
  const { dice, tally } = stage
  const kills = dice.integer(2, 3)
  for (let left = kills; left > 0; left -= 1) {
    runningProgram(stage, 'first')?.kill()
    await stage.running.get('first')?.ended
    tally.add('kills')
    await expireLeases(stage)
    const program = startDaemon(stage, 'first')
    await program.started()
    await pickChain(stage).traffic.step(1)
    await pause(stage, 400)
  }
  return `${kills} kills in quick succession`
}

export async function freeze(stage: Stage): Promise<string | null> {
  const { dice, tally } = stage
  const program = runningProgram(stage, 'first')
  if (program === null) return null
  program.freeze()
  tally.add('freezes')
  const takesOver = dice.chance(0.6)
  if (takesOver && runningProgram(stage, 'second') === null) startDaemon(stage, 'second')
  if (takesOver) await expireLeases(stage)
  const { traffic: own } = pickChain(stage)
  await own.step(2)
  if (dice.chance(0.5)) await own.reorganise(1)
  await sleep(dice.integer(50, takesOver ? 2_000 : 500))
  program.thaw()
  return `the daemon is frozen${takesOver ? ', another one may take over,' : ''} and thawed`
}

export async function stopAndStart(stage: Stage): Promise<string | null> {
  const slot = stage.dice.pick(['first', 'first', 'second'] as const)
  const program = runningProgram(stage, slot)
  if (program === null) return null
  await program.stop()
  stage.tally.add('stops')
  if (slot === 'second' || stage.dice.chance(0.4)) return `the ${slot} daemon is stopped`
  startDaemon(stage, slot)
  return `the ${slot} daemon is stopped and started`
}

export async function startSecond(stage: Stage): Promise<string | null> {
  if (runningProgram(stage, 'second') !== null) return null
  startDaemon(stage, 'second')
  return 'a second daemon is started'
}

export async function backfill(stage: Stage): Promise<string | null> {
  const { dice, tally } = stage
  if (runningProgram(stage, 'backfill') !== null) {
    if (dice.chance(0.5)) return null
    runningProgram(stage, 'backfill')?.kill()
    tally.add('kills')
    return 'the backfill is killed'
  }
  const { chain, anvil } = pickChain(stage)
  const head = Number(await anvil.rpc('eth_blockNumber'))
  const from = dice.chance(0.6) ? 0 : dice.integer(0, head)
  const end = dice.pick(['finalized', 'latest'])
  stage.start('backfill', ['backfill', '--chain', chain.name, '--from-block', String(from), '--to-block', end])
  tally.add('backfills')
  return `a backfill of ${chain.name} from ${from} to ${end} begins`
}
