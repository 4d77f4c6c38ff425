/**
 * What the database and the nodes do to the programs.
 */
import type { Dice } from '../../../src/demo/dice.ts'
import { sleep } from '../../../src/runtime/sleep.ts'
import { PROBABLE_FAULTS, type ProbableFault, type Schedule, type View } from '../../support/fault-schedule.ts'
import type { Stage } from '../stage.ts'
import { pause, pickChain } from './pick.ts'

export async function terminateSessions(stage: Stage): Promise<string> {
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

export async function shutGate(stage: Stage): Promise<string> {
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

export async function restartServer(stage: Stage): Promise<string> {
  const how = stage.dice.pick(['stop', 'crash'] as const)
  await stage.server.restart(how)
  stage.tally.add('restarts')
  return `the database server is restarted (${how})`
}

const WIRE_FAULTS = [null, 'cut', 'cut', 'deaf', 'stalled'] as const
const VIEWS = ['lagging', 'standing-head', 'wandering-head'] as const

const SLOW: ReadonlySet<ProbableFault> = new Set([
  'throttled',
  'throttled-retry-after',
  'payment-required',
  'quota',
  'silence',
])

function drawSchedule(dice: Dice): Schedule {
  const faults = dice.shuffle(PROBABLE_FAULTS).slice(0, dice.integer(2, 8))
  const rates: Partial<Record<ProbableFault, number>> = {}
  for (const fault of faults) {
    // Whoever is throttled waits for seconds: that is right, and would be all that happens.
    const isSlow = SLOW.has(fault)
    rates[fault] = isSlow ? 0.02 : dice.pick([0.1, 0.3, 0.5])
  }
  const kind = dice.pick(VIEWS)
  const view: View = kind === 'standing-head' ? { kind } : { kind, blocks: dice.integer(1, 8) }
  return { rates, view: dice.chance(0.2) ? view : null }
}

export async function spoilNodes(stage: Stage): Promise<string> {
  const { dice } = stage
  const { chain, endpoints, wire } = pickChain(stage)
  const wireFault = dice.pick(WIRE_FAULTS)
  if (wireFault === null) wire?.heal()
  else wire?.play(wireFault)
  const spoilt = endpoints.filter(() => dice.chance(0.7))
  const schedules = spoilt.map(() => drawSchedule(dice))
  for (const [index, endpoint] of spoilt.entries()) endpoint.play(schedules[index] ?? null)
  const words = wire === null ? '' : `, and its websocket is ${wireFault ?? 'good'}`
  return `${spoilt.length} of ${endpoints.length} endpoints of ${chain.name} err: ${JSON.stringify(schedules)}${words}`
}

export async function healNodes({ chains }: Stage): Promise<string> {
  for (const { endpoints, wire } of chains) {
    for (const endpoint of endpoints) endpoint.play(null)
    wire?.heal()
  }
  return 'the endpoints are good again'
}

/** Every endpoint of a chain stands still for longer than any patience, while the chain goes on. */
export async function longStand(stage: Stage): Promise<string> {
  const { dice } = stage
  const { chain, endpoints, traffic: own, anvil, wire } = pickChain(stage)
  wire?.play('stalled')
  const view: View = dice.chance(0.5) ? { kind: 'standing-head' } : { kind: 'lagging', blocks: dice.integer(4, 30) }
  for (const endpoint of endpoints) endpoint.play({ rates: {}, view })
  await own.step(2)
  await anvil.mine(dice.integer(1, 4))
  // Beyond the patience with a head that stays below the checkpoint, which is two seconds here.
  await sleep(dice.integer(2_200, 2_800))
  wire?.heal()
  const after = dice.chance(0.5) ? drawSchedule(dice) : null
  for (const endpoint of endpoints) endpoint.play(after)
  return `all endpoints of ${chain.name} stand still or lag for long: ${JSON.stringify(view)}`
}
