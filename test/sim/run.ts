/**
 * One run: a seed becomes deeds, the deeds are done, everything settles, and what is left is compared with the chains.
 *
 * Always holds: the same seed draws the same deeds in the same order. When a process is preempted is not the seed's to decide, so a
 * failure may need several attempts to show again; what was drawn, and the instants of traps, are the same each time.
 */
import type { Dice } from '../../src/demo/dice.ts'
import { sleep } from '../../src/runtime/sleep.ts'
import { DEEDS, type Deed } from './deeds.ts'
import { spoilNodes } from './deeds/faults.ts'
import { startDaemon } from './deeds/process.ts'
import type { Server } from './server.ts'
import { settle } from './settle.ts'
import { openStage, type Stage } from './stage.ts'

export type Outcome = {
  readonly seed: number
  /** Until everything was done, and until everything was right. */
  readonly seconds: { readonly played: number; readonly settled: number }
  readonly counts: Counts
  /** Empty: everything is right. */
  readonly differences: readonly string[]
  /** What was done, and what the programs said last. For a failure. */
  readonly diary: readonly string[]
  readonly tail: readonly string[]
}

export type Counts = {
  readonly blocks: number
  readonly activities: number
  /** By reason. */
  readonly transitions: Readonly<Record<string, number>>
  /** What was done to the programs, the database and the chains. */
  readonly done: Readonly<Record<string, number>>
  /** What the endpoints played, by kind. */
  readonly faults: Readonly<Record<string, number>>
}

const MIN_DEEDS = 14
const MAX_PAUSE_MS = 250
/** How often a chain goes on by itself after a deed. */
const PULSE = 0.5
const MAX_DEEDS = 34
const FIRST_USERS = 4
/** The part of seeds that leave a theme out. */
const LEAVES_OUT = 0.25
const RUN_DEADLINE_MS = 240_000
const TAIL_LINES = 60
const MAX_DIFFERENCES = 30

/** @param script what is done; by default what the seed draws */
export async function runSeed(
  seed: number,
  server: Server,
  script: (stage: Stage, deadline: AbortSignal) => Promise<void> = play,
): Promise<Outcome> {
  const started = performance.now()
  const elapsed = () => (performance.now() - started) / 1_000
  const stage = await openStage(seed, server)
  const deadline = AbortSignal.timeout(RUN_DEADLINE_MS)
  let differences: readonly string[]
  let played = 0
  try {
    try {
      await script(stage, deadline)
      played = elapsed()
      differences = await settle(stage)
    } catch (error) {
      differences = [error instanceof Error ? (error.stack ?? error.message) : String(error)]
    }
    return {
      seed,
      seconds: { played, settled: elapsed() - played },
      differences: [...differences, ...stage.programs.failures()].slice(0, MAX_DIFFERENCES),
      counts: await countAll(stage),
      diary: stage.diary,
      tail: stage.programs.tail(TAIL_LINES),
    }
  } finally {
    await stage.close()
  }
}

async function play(stage: Stage, deadline: AbortSignal): Promise<void> {
  const { dice, application, chains, diary } = stage
  for (let left = FIRST_USERS; left > 0; left -= 1) await application.signUp()
  const [watched] = chains[0]?.traffic.watched ?? []
  if (watched !== undefined) await application.watch(watched.address)
  const deeds = chooseDeeds(dice)
  // As often as not the endpoints are bad from the beginning.
  if (deeds.some(({ theme }) => theme === 'rpc') && dice.chance(0.5)) await spoilNodes(stage)
  const count = dice.integer(MIN_DEEDS, MAX_DEEDS)
  // As often as not the chain is there first.
  const daemon = startDaemon(stage, 'first')
  if (dice.chance(0.5)) await daemon.started()
  const started = performance.now()
  for (let done = 0; done < count && !deadline.aborted; done += 1) {
    const deed = draw(deeds, dice)
    const words = await deed.run(stage)
    for (const { traffic } of chains)
      if (dice.chance(PULSE)) stage.tally.add('transactions', (await traffic.step(dice.integer(1, 3))).length)
    // Most deeds are done in an instant, and the daemon must be met in the middle of its work.
    await sleep(dice.pick([0, dice.integer(0, MAX_PAUSE_MS), dice.integer(0, MAX_PAUSE_MS)]))
    const seconds = ((performance.now() - started) / 1_000).toFixed(2)
    diary.push(`${seconds.padStart(7)} s  ${deed.name}: ${words ?? '(nothing)'}`)
  }
}

/** Every seed has its own choice of themes and its own weights. */
function chooseDeeds(dice: Dice): readonly Deed[] {
  const out = new Set((['database', 'rpc', 'process', 'application'] as const).filter(() => dice.chance(LEAVES_OUT)))
  return DEEDS.filter(({ theme }) => !(out as ReadonlySet<string>).has(theme)).map(deed => ({
    ...deed,
    weight: deed.weight * dice.pick([0.3, 1, 1, 2]),
  }))
}

function draw(deeds: readonly Deed[], dice: Dice): Deed {
  const total = deeds.reduce((sum, { weight }) => sum + weight, 0)
  let at = dice.float() * total
  for (const deed of deeds) {
    at -= deed.weight
    if (at <= 0) return deed
  }
  return deeds.at(-1) as Deed
}

async function countAll({ chains, query, tally }: Stage): Promise<Counts> {
  const heads = await Promise.all(chains.map(({ anvil }) => anvil.rpc('eth_blockNumber').catch(() => 0)))
  const reasons = await query(
    sql => sql<{ reason: string; times: number }[]>`
      select reason, count(*)::int as times from indexer.transitions group by reason order by reason`,
  ).catch(() => [])
  const [activities] = await query(
    sql => sql<{ times: number }[]>`select count(*)::int as times from wallet_activity`,
  ).catch(() => [])
  const faults = sumUp(
    chains.flatMap(({ endpoints, wire }) =>
      [...endpoints, ...(wire === null ? [] : [wire])].map(each => each.counters()),
    ),
  )
  return {
    blocks: heads.reduce<number>((sum, head) => sum + Number(head), 0),
    activities: activities?.times ?? 0,
    transitions: Object.fromEntries(reasons.map(({ reason, times }) => [reason, times])),
    done: tally.all(),
    faults,
  }
}

/** Counts by kind, added up. */
export function sumUp(all: readonly Readonly<Record<string, number>>[]): Record<string, number> {
  const sum: Record<string, number> = {}
  for (const counts of all) for (const [kind, times] of Object.entries(counts)) sum[kind] = (sum[kind] ?? 0) + times
  return sum
}
