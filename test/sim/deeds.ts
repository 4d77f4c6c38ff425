/**
 * What can happen in a run. Each deed is drawn by its weight, and each leaves the world in a state in which any other may follow.
 *
 * Always holds: a deed that can't be done now (nobody left to sign up, nothing to kill) does nothing and says so by null; nothing
 * waits for longer than its own bound.
 */
import type { Dice } from '../../src/demo/dice.ts'
import { sleep } from '../../src/runtime/sleep.ts'
import { PROBABLE_FAULTS, type ProbableFault, type Schedule, type View } from '../support/fault-proxy.ts'
import type { Program } from './process.ts'
import { inspect } from './inspect.ts'
import type { SimChain, Slot, Stage } from './stage.ts'

export type Deed = {
  readonly name: string
  readonly weight: number
  /** Deeds of one theme are switched off together, so that seeds differ in more than their order. */
  readonly theme: 'chain' | 'application' | 'process' | 'database' | 'rpc' | 'check'
  /** In words what was done; null: nothing. */
  readonly run: (stage: Stage) => Promise<string | null>
}

const MAX_SEND = 5
const MAX_PAUSE_MS = 300
/** Commits of steps that may pass before a trap springs. */
const MAX_PASSES = 3
const TRAP_DEADLINE_MS = 1_500
/** Between the blocks that are mined to have a step committed. */
const LURE_MS = 100
/** The share of kills after which the dead holder's lease is let expire at once: waiting for it each time would be all that is done. */
const EXPIRES_AT_ONCE = 0.85

const pickChain = ({ dice, chains }: Stage): SimChain => dice.pick(chains)
const pause = ({ dice }: Stage, maxMs = MAX_PAUSE_MS) => sleep(dice.integer(0, maxMs))

// ── The chain and the application ────────────────────────────────────────────────────────────────────────────────────────

async function traffic(stage: Stage): Promise<string> {
  const { chain, traffic: own } = pickChain(stage)
  const deeds = await own.step(stage.dice.integer(1, MAX_SEND))
  stage.tally.add('transactions', deeds.length)
  return `${deeds.length} transactions on ${chain.name}`
}

async function emptyBlocks(stage: Stage): Promise<string> {
  const { chain, anvil } = pickChain(stage)
  const blocks = stage.dice.integer(1, 6)
  await anvil.mine(blocks)
  return `${blocks} empty blocks on ${chain.name}`
}

async function reorganise(stage: Stage): Promise<string | null> {
  const { chain, anvil, traffic: own, worldHead, maxDepth } = pickChain(stage)
  // What waits in the pool goes into a block of its own, before and not within the reorg.
  await own.mine()
  const head = Number(await anvil.rpc('eth_blockNumber'))
  const depth = stage.dice.integer(1, Math.min(maxDepth, head - worldHead))
  const shift = stage.dice.integer(0, Math.min(2, depth - 1))
  await own.reorganise(depth, shift)
  stage.tally.add('reorgs')
  return `reorg of ${chain.name} at ${head}, depth ${depth}, shift ${shift}`
}

/** A row that the application inserts before the block, while the block is on its way, or soon after it. */
async function trackFresh(stage: Stage): Promise<string> {
  const { dice, application, tally } = stage
  const { chain, traffic: own } = pickChain(stage)
  const deeds = await own.send(dice.integer(1, 3))
  tally.add('transactions', deeds.length)
  const hash = dice.pick(deeds).hash
  const moment = dice.pick(['before', 'during', 'after'])
  const track = () => application.track(hash, 'pending')
  let words = ''
  if (moment === 'before') {
    words = await track()
    await pause(stage)
  }
  const mined = own.mine()
  if (moment === 'during') words = await track()
  await mined
  if (moment === 'after') {
    await pause(stage)
    words = await track()
  }
  return `${words}, ${moment} its block on ${chain.name}`
}

async function trackOld(stage: Stage): Promise<string | null> {
  const { dice, application } = stage
  const { traffic: own } = pickChain(stage)
  const unknown = own.log.filter(({ hash }) => !application.known.has(hash))
  if (unknown.length === 0) return null
  return application.track(dice.pick(unknown).hash, dice.pick(['pending', 'pending', 'confirmed', 'failed']))
}

async function replace(stage: Stage): Promise<string> {
  const { dice, application, tally } = stage
  const { chain, traffic: own } = pickChain(stage)
  const waiting = await own.sendReplaceable()
  const words: string[] = []
  if (dice.chance(0.8)) words.push(await application.track(waiting.hash, 'pending'))
  if (dice.chance(0.5)) await pause(stage)
  const how = dice.pick(['speed-up', 'cancel'] as const)
  const other = await waiting.replace(how)
  if (dice.chance(0.4)) words.push(await application.track(other, 'pending'))
  await own.mine()
  tally.add('replacements')
  return `${how} of ${waiting.hash} by ${other} on ${chain.name}; ${words.join('; ')}`
}

async function watch(stage: Stage): Promise<string> {
  const { dice, application, chains } = stage
  const { address } = dice.pick(chains[0]?.traffic.watched ?? [])
  const on = dice.chance(0.65)
  await (on ? application.watch(address) : application.unwatch(address))
  return `${address} is ${on ? 'watched' : 'watched no more'}`
}

/** Somebody signs up while the daemon is between matching a block and committing it: its transactions begin late. */
async function signUpBetween(stage: Stage): Promise<string | null> {
  const { dice, gates, application, tally } = stage
  const { chain, traffic: own } = pickChain(stage)
  gates.first.setDelay(dice.integer(60, 250))
  const deeds = await own.step(MAX_SEND)
  tally.add('transactions', deeds.length)
  await pause(stage, 150)
  const words = await application.signUp()
  await own.step(2)
  await pause(stage, 250)
  gates.first.setDelay(0)
  return `${words ?? 'nobody signs up'}, while transactions begin late and blocks come on ${chain.name}`
}

// ── Processes ────────────────────────────────────────────────────────────────────────────────────────────────────────────

/** The lease of whoever was killed, as if its time had passed. A living holder only renews it. */
export async function expireLeases({ query, tally }: Stage): Promise<void> {
  tally.add('expiries')
  await query(sql => sql`update indexer.leases set expires_at = clock_timestamp() - interval '1 ms'`)
}

function runningProgram({ running }: Stage, slot: Slot): Program | null {
  const program = running.get(slot)
  return program?.isRunning() === true ? program : null
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
async function ensureRunning(stage: Stage): Promise<string | null> {
  if (runningProgram(stage, 'first') !== null) return null
  const program = startDaemon(stage, 'first')
  await program.started()
  return 'the daemon starts again'
}

async function kill(stage: Stage): Promise<string | null> {
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
async function trap(stage: Stage): Promise<string | null> {
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

async function killStorm(stage: Stage): Promise<string> {
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

async function freeze(stage: Stage): Promise<string | null> {
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

async function stopAndStart(stage: Stage): Promise<string | null> {
  const slot = stage.dice.pick(['first', 'first', 'second'] as const)
  const program = runningProgram(stage, slot)
  if (program === null) return null
  await program.stop()
  stage.tally.add('stops')
  if (slot === 'second' || stage.dice.chance(0.4)) return `the ${slot} daemon is stopped`
  startDaemon(stage, slot)
  return `the ${slot} daemon is stopped and started`
}

async function startSecond(stage: Stage): Promise<string | null> {
  if (runningProgram(stage, 'second') !== null) return null
  startDaemon(stage, 'second')
  return 'a second daemon is started'
}

async function backfill(stage: Stage): Promise<string | null> {
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

// ── The database and the nodes ───────────────────────────────────────────────────────────────────────────────────────────

async function terminateSessions(stage: Stage): Promise<string> {
  const { dice, query, database } = stage
  await pause(stage)
  const all = dice.chance(0.5)
  const rows = await query(
    sql => sql`
      select pg_terminate_backend(pid) from pg_stat_activity
      where datname = ${database} and application_name like 'linkdao%' and (${all} or xact_start is not null)`,
  )
  stage.tally.add('terminated sessions', rows.length)
  return `${rows.length} sessions are terminated`
}

async function shutGate(stage: Stage): Promise<string> {
  const { dice, gates, tally } = stage
  const slot = dice.pick(['first', 'second'] as const)
  gates[slot].setClosed(true)
  const [chain] = dice.shuffle(stage.chains)
  await chain?.traffic.step(2)
  await sleep(dice.integer(10, 700))
  gates[slot].setClosed(false)
  tally.add('outages')
  return `the database could not be reached by the ${slot} daemon`
}

async function restartServer(stage: Stage): Promise<string> {
  const how = stage.dice.pick(['stop', 'crash'] as const)
  await stage.server.restart(how)
  stage.tally.add('restarts')
  return `the database server is restarted (${how})`
}

const VIEWS = ['lagging', 'standing-head', 'wandering-head'] as const

function drawSchedule(dice: Dice): Schedule {
  const faults = dice.shuffle(PROBABLE_FAULTS).slice(0, dice.integer(1, 6))
  const rates: Partial<Record<ProbableFault, number>> = {}
  for (const fault of faults) {
    // Whoever is throttled waits for seconds: that is right, and would be all that happens.
    const isSlow = fault.startsWith('throttled') || fault === 'silence'
    rates[fault] = isSlow ? 0.02 : dice.pick([0.03, 0.1, 0.3])
  }
  const kind = dice.pick(VIEWS)
  const view: View = kind === 'standing-head' ? { kind } : { kind, blocks: dice.integer(1, 8) }
  return { rates, view: dice.chance(0.35) ? view : null }
}

async function spoilNodes(stage: Stage): Promise<string> {
  const { dice } = stage
  const { chain, endpoints } = pickChain(stage)
  const spoilt = endpoints.filter(() => dice.chance(0.7))
  const schedules = spoilt.map(() => drawSchedule(dice))
  for (const [index, endpoint] of spoilt.entries()) endpoint.play(schedules[index] ?? null)
  return `${spoilt.length} of ${endpoints.length} endpoints of ${chain.name} err: ${JSON.stringify(schedules)}`
}

export async function healNodes({ chains }: Stage): Promise<string> {
  for (const { endpoints } of chains) for (const endpoint of endpoints) endpoint.play(null)
  return 'the endpoints are good again'
}

/** Every endpoint of a chain stands still for longer than any patience, while the chain goes on. */
async function longStand(stage: Stage): Promise<string> {
  const { dice } = stage
  const { chain, endpoints, traffic: own, anvil } = pickChain(stage)
  const view: View = dice.chance(0.5) ? { kind: 'standing-head' } : { kind: 'lagging', blocks: dice.integer(1, 20) }
  for (const endpoint of endpoints) endpoint.play({ rates: {}, view })
  await own.step(2)
  await anvil.mine(dice.integer(1, 4))
  await sleep(dice.integer(2_000, 3_500))
  for (const endpoint of endpoints) endpoint.play(null)
  return `all endpoints of ${chain.name} stand still or lag for long: ${JSON.stringify(view)}`
}

export const DEEDS: readonly Deed[] = [
  { name: 'traffic', weight: 14, theme: 'chain', run: traffic },
  { name: 'empty blocks', weight: 4, theme: 'chain', run: emptyBlocks },
  { name: 'reorg', weight: 6, theme: 'chain', run: reorganise },
  { name: 'replace', weight: 3, theme: 'chain', run: replace },
  { name: 'track fresh', weight: 5, theme: 'application', run: trackFresh },
  { name: 'track old', weight: 3, theme: 'application', run: trackOld },
  { name: 'nonsense', weight: 1, theme: 'application', run: ({ application }) => application.trackNonsense() },
  {
    name: 'overwrite',
    weight: 2,
    theme: 'application',
    run: ({ application, dice }) => application.overwrite(dice.pick(['pending', 'pending', 'failed', 'confirmed'])),
  },
  {
    name: 'own activity',
    weight: 1,
    theme: 'application',
    run: async ({ application }) => {
      await application.insertActivity()
      return 'the application inserts an activity of its own'
    },
  },
  { name: 'sign up', weight: 3, theme: 'application', run: ({ application }) => application.signUp() },
  { name: 'delete user', weight: 2, theme: 'application', run: ({ application }) => application.deleteUser() },
  { name: 'move wallet', weight: 1, theme: 'application', run: ({ application }) => application.moveWallet() },
  { name: 'twin', weight: 1, theme: 'application', run: ({ application }) => application.twin() },
  { name: 'watch', weight: 2, theme: 'application', run: watch },
  { name: 'sign up between', weight: 2, theme: 'application', run: signUpBetween },
  { name: 'ensure running', weight: 6, theme: 'check', run: ensureRunning },
  { name: 'kill', weight: 4, theme: 'process', run: kill },
  { name: 'trap', weight: 5, theme: 'process', run: trap },
  { name: 'kill storm', weight: 1, theme: 'process', run: killStorm },
  { name: 'freeze', weight: 2, theme: 'process', run: freeze },
  { name: 'stop', weight: 2, theme: 'process', run: stopAndStart },
  { name: 'second', weight: 2, theme: 'process', run: startSecond },
  { name: 'backfill', weight: 2, theme: 'process', run: backfill },
  { name: 'terminate', weight: 3, theme: 'database', run: terminateSessions },
  { name: 'outage', weight: 2, theme: 'database', run: shutGate },
  {
    name: 'expire',
    weight: 1,
    theme: 'database',
    run: async stage => {
      await expireLeases(stage)
      return 'all leases expire'
    },
  },
  { name: 'restart', weight: 1, theme: 'database', run: restartServer },
  { name: 'spoil', weight: 5, theme: 'rpc', run: spoilNodes },
  { name: 'heal', weight: 3, theme: 'rpc', run: healNodes },
  { name: 'long stand', weight: 1, theme: 'rpc', run: longStand },
  { name: 'inspect', weight: 4, theme: 'check', run: inspect },
]
