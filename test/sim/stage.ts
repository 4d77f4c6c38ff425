/**
 * What one run plays on: two chains behind bad endpoints, a database behind a gate for each program, the programs, and the dice.
 *
 * Always holds: whatever is drawn is drawn from the run's seed; what depends on the moment (which request meets a fault) has dice of
 * its own, so that it can't change what is done next; `close` leaves nothing behind.
 */
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import postgres from 'postgres'
import { loadConfig } from '../../src/config/env.ts'
import type { Chain } from '../../src/core/chain.ts'
import type { Hash } from '../../src/core/types.ts'
import { type Anvil, startAnvil } from '../../src/demo/anvil.ts'
import { createDice, type Dice } from '../../src/demo/dice.ts'
import type { Held } from '../../src/demo/held.ts'
import { createTraffic, type Traffic } from '../../src/demo/traffic.ts'
import { systemClock } from '../../src/runtime/clock.ts'
import { type FaultProxy, startFaultProxy } from '../support/fault-proxy.ts'
import { startWire, type Wire } from '../support/wire.ts'
import { type Application, createApplication } from './application.ts'
import { type Gate, openGate } from './gate.ts'
import { createPrograms, type Program, type Programs } from './process.ts'
import type { Server } from './server.ts'
import { createTally, type Tally } from './tally.ts'

/** A transaction that was signed, and forgotten by the pool or never shown to it. */
export type Forgotten = Held & { readonly chain: SimChain }

export type SimChain = {
  readonly chain: Chain
  readonly anvil: Anvil
  readonly traffic: Traffic
  readonly endpoints: readonly FaultProxy[]
  /** A websocket besides, straight to the chain; null where there is none. */
  readonly wire: Wire | null
  /** The newest block that was there before the run: no reorg may touch it. */
  readonly worldHead: number
  /** Blocks below the head that may be replaced. */
  readonly maxDepth: number
}

/** Programs that can run beside each other, each with its own way to the database. */
export const SLOTS = ['first', 'second', 'backfill'] as const
export type Slot = (typeof SLOTS)[number]

export type Stage = {
  readonly seed: number
  readonly dice: Dice
  readonly chains: readonly SimChain[]
  readonly server: Server
  readonly database: string
  readonly programs: Programs
  readonly gates: Readonly<Record<Slot, Gate>>
  readonly running: Map<Slot, Program>
  readonly application: Application
  /** What may still be sent again. */
  readonly forgotten: Forgotten[]
  /** Unix seconds at which something forgotten was sent after all. */
  readonly sentAgain: Map<Hash, number>
  /** Whether what no chain has counts as dropped within this run. */
  readonly dropsSoon: boolean
  readonly tally: Tally
  /** A line for every deed, for the report of a failure. */
  readonly diary: string[]
  /** Runs queries straight at the server, also if it was restarted since. */
  readonly query: <T>(work: (sql: postgres.Sql) => Promise<T>) => Promise<T>
  start(slot: Slot, args: readonly string[]): Program
  close(): Promise<void>
}

const FILES = [
  { file: 'mainnet.json', id: 1, variable: 'MAINNET_RPC_URL' },
  { file: 'sepolia.json', id: 11_155_111, variable: 'SEPOLIA_RPC_URL' },
] as const
const SHIPPED = fileURLToPath(new URL('../../chains', import.meta.url))
const SHIFTED_CLOCK = new URL('../support/shifted-clock.ts', import.meta.url).href
/** The part of runs whose programs have a wall clock that jumps. */
const HAS_SHIFTED_CLOCK = 0.2
const USERS = 8
/** The part of chains with one. It is never as bad as the other endpoints, so not all have it. */
const HAS_WEBSOCKET = 0.3
const HESITANT = 6
/** What a run outlives, and what it does not. */
const DROPPED_AFTER_SECONDS = [0.5, 1, 2, 86_400] as const
/** An old chain has blocks that are older than every row: what nodes must remember to be believed. */
const AGE_SECONDS = [0, 7_200, 200_000, 200_000] as const
const OLD_TRANSACTIONS = 4
const MAX_PER_BLOCK = 5
const MAX_RUN_SECONDS = 3_600
const MAX_QUERY_ATTEMPTS = 40
const QUERY_PAUSE_MS = 250

export async function openStage(seed: number, server: Server): Promise<Stage> {
  const dice = createDice(seed)
  const fork = () => createDice(dice.integer(0, 2 ** 31))
  const releases: (() => Promise<unknown>)[] = []
  const close = async () => {
    for (const release of releases.splice(0).toReversed()) await release()
  }
  try {
    const directory = await mkdtemp(join(tmpdir(), 'linkdao-sim-run-'))
    releases.push(() => rm(directory, { recursive: true, force: true }))
    const database = `seed_${seed}_${process.pid}`
    await server.createDatabase(database)
    releases.push(() => server.dropDatabase(database))
    const anvils: (Pick<SimChain, 'anvil' | 'endpoints' | 'wire'> & { readonly slots: number })[] = []
    for (const { id } of FILES) {
      const slots = dice.integer(2, 6)
      const timestamp = unixNow() - dice.pick(AGE_SECONDS)
      const anvil = await startAnvil({ chainId: id, slotsInAnEpoch: slots, timestamp })
      releases.push(() => anvil.stop())
      const endpoints: FaultProxy[] = []
      for (let left = dice.integer(1, 3); left > 0; left -= 1) {
        const endpoint = await startFaultProxy({ target: anvil.url, dice: fork() })
        releases.push(() => endpoint.close())
        endpoints.push(endpoint)
      }
      const wire = dice.chance(HAS_WEBSOCKET) ? await startWire(anvil.wsUrl) : null
      releases.push(async () => wire?.close())
      anvils.push({ anvil, endpoints, wire, slots })
    }
    const droppedAfterSeconds = dice.pick(DROPPED_AFTER_SECONDS)
    const env = await writeConfiguration(directory, dice, anvils, droppedAfterSeconds)
    const config = loadConfig({
      env: { ...env, DATABASE_URL: server.urlOf(database) },
      cwd: directory,
      isTerminal: false,
    })
    const chains: SimChain[] = []
    for (const { anvil, endpoints, wire, slots } of anvils) {
      const chain = config.chains.find(one => one.chain.id === anvil.chainId)?.chain
      if (chain === undefined) throw new Error(`chain ${anvil.chainId} is not configured`)
      const options = { users: USERS, maxPerBlock: MAX_PER_BLOCK, hesitant: HESITANT }
      const traffic = keepTime(anvil, await createTraffic({ anvil, chain, seed: dice.integer(0, 2 ** 31), ...options }))
      await traffic.step(OLD_TRANSACTIONS)
      await setTime(anvil)
      const worldHead = Number(await anvil.rpc('eth_blockNumber'))
      // `finalized` is two epochs behind the head.
      chains.push({ chain, anvil, traffic, endpoints, wire, worldHead, maxDepth: 2 * slots - 1 })
    }
    const gates = await openGates(server, releases)
    const clock = dice.chance(HAS_SHIFTED_CLOCK) ? `${SHIFTED_CLOCK}?seed=${dice.integer(0, 2 ** 31)}` : null
    const programs = createPrograms(directory, clock)
    const tally = createTally()
    if (clock !== null) tally.add('shifted clock')
    releases.push(() => programs.endAll())
    const running = new Map<Slot, Program>()
    const query = createQuery(server, database, releases)
    const stage: Stage = {
      seed,
      dice,
      chains,
      server,
      database,
      programs,
      gates,
      running,
      application: createApplication(query, chains[0]?.traffic.users ?? [], fork()),
      forgotten: [],
      sentAgain: new Map(),
      dropsSoon: droppedAfterSeconds < MAX_RUN_SECONDS,
      tally,
      diary: [],
      query,
      start(slot, args) {
        const url = gates[slot].through(server.urlOf(database))
        const program = programs.start(slot, args, { ...env, DATABASE_URL: url })
        running.set(slot, program)
        return program
      },
      close,
    }
    return stage
  } catch (error) {
    await close()
    throw error
  }
}

export function unixNow(): number {
  return Math.floor(systemClock.now() / 1_000)
}

function setTime(anvil: Anvil): Promise<unknown> {
  return anvil.rpc('evm_setTime', [unixNow()])
}

/** After a reorg Anvil goes on from the time of the common block, and the newest block is what the daemon knows of the time. */
function keepTime(anvil: Anvil, traffic: Traffic): Traffic {
  return {
    ...traffic,
    async reorganise(depth, shift) {
      await traffic.reorganise(depth, shift)
      await setTime(anvil)
    },
  }
}

async function openGates(server: Server, releases: (() => Promise<unknown>)[]): Promise<Record<Slot, Gate>> {
  const open = async () => {
    const gate = await openGate(server.place)
    releases.push(() => gate.close())
    return gate
  }
  return { first: await open(), second: await open(), backfill: await open() }
}

/** The shipped chain files, with what the seed makes of them. */
async function writeConfiguration(
  directory: string,
  dice: Dice,
  anvils: readonly Pick<SimChain, 'endpoints' | 'wire'>[],
  droppedAfterSeconds: number,
): Promise<Record<string, string>> {
  const chains = join(directory, 'chains')
  await mkdir(chains)
  const env: Record<string, string> = { CHAINS_DIR: chains, HTTP_PORT: '0', LOG_FORMAT: 'json', LOG_LEVEL: 'debug' }
  for (const [index, { file, variable }] of FILES.entries()) {
    const shipped = JSON.parse(await readFile(join(SHIPPED, file), 'utf8')) as Record<string, unknown>
    const own = {
      ...shipped,
      $schema: undefined,
      startBlock: 0,
      blockTimeSeconds: dice.pick([0.1, 0.2]),
      confirmations: dice.pick([1, 2, 3, 3, 5, 'safe', 'finalized']),
      droppedAfterSeconds,
    }
    await writeFile(join(chains, file), JSON.stringify(own))
    const { endpoints = [], wire = null } = anvils[index] ?? {}
    env[variable] = dice
      .shuffle([...endpoints, ...(wire === null ? [] : [wire])])
      .map(({ url }) => url)
      .join(',')
  }
  return env
}

/** A restarted server has another port, and its sessions are gone: the pool is made anew. What is asked must bear being asked twice. */
function createQuery(server: Server, database: string, releases: (() => Promise<unknown>)[]): Stage['query'] {
  let pool: { readonly port: number; readonly sql: postgres.Sql } | null = null
  releases.push(async () => pool?.sql.end({ timeout: 1 }))
  const current = () => {
    if (pool === null || pool.port !== server.place.port) {
      void pool?.sql.end({ timeout: 0 }).catch(() => undefined)
      const options = { max: 4, onnotice: () => undefined, connection: { TimeZone: 'UTC', application_name: 'sim' } }
      pool = { port: server.place.port, sql: postgres(server.urlOf(database), options) }
    }
    return pool.sql
  }
  return async work => {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await work(current())
      } catch (error) {
        if (attempt >= MAX_QUERY_ATTEMPTS || !isPassing(error)) throw error
        await sleepBriefly()
      }
    }
  }
}

function isPassing(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  return /^(?:57P|08|40001|40P01|E[A-Z]|CONNECT)/.test(code)
}

function sleepBriefly(): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, QUERY_PAUSE_MS))
}
