/**
 * The workload `registry`: what a million users cost. Time until a process knows them, memory beside the same process without them,
 * each look-up, each look for what is new, and a backfill beside one with few users.
 *
 * The backfills take turns on one node, range by range, because their ratio is what counts and the machine may be busy.
 */

import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import postgres from 'postgres'
import { createCast } from './chain/cast.ts'
import { FIRST_HEIGHT } from './chain/generated-chain.ts'
import type { Taken, Task } from './measured.ts'
import type { RegistryTaken, RegistryTask } from './registry-measured.ts'
import { atMost, plainRow, type Row, type Section } from './report.ts'
import { historySpec } from './requests.ts'
import type { Stage } from './stage.ts'
import { maxOf, spreadOf } from './statistics.ts'

export type RegistryOptions = {
  readonly users: number
  /** Of each turn of the backfills; 0: none. */
  readonly blocks: number
  readonly tell: (line: string) => void
}

const BACKFILL = fileURLToPath(new URL('measured.ts', import.meta.url))
const REGISTRY = fileURLToPath(new URL('registry-measured.ts', import.meta.url))
const CHAIN_ID = 43_900
const FINAL_BLOCKS = 200
const TURNS = 4
const SET_WALLETS = 10_000_000
const USERS_PER_INSERT = 250_000
const MEBIBYTE = 1024 ** 2

export async function measureRegistry(stage: Stage, { users, blocks, tell }: RegistryOptions): Promise<Section> {
  const tracked = createCast(historySpec('sparse', CHAIN_ID)).tracked
  const few = await stage.createDatabase(tracked)
  const many = await stage.createDatabase(tracked)
  const label = `${users.toLocaleString('en-US')} users`
  try {
    tell(`${label}: signing up`)
    await addUsers(many, users - tracked.length)
    const without = await run<RegistryTaken>(REGISTRY, { kind: 'look', databaseUrl: few })
    tell(`${label}: starting`)
    const first = await run<RegistryTaken>(REGISTRY, { kind: 'start', databaseUrl: many })
    await analyze(many)
    const later = await run<RegistryTaken>(REGISTRY, { kind: 'look', databaseUrl: many })
    tell('the set alone')
    const alone = await run<RegistryTaken>(REGISTRY, { kind: 'set', wallets: SET_WALLETS })
    const rows = [...rowsOf(label, { without, first, later }), ...rowsOfSet(alone)]
    if (blocks === 0) return { rows, numbers: { without, first, later, alone } }
    const beside = await backfillBoth(stage, { few, many }, blocks, tell)
    return { rows: [...rows, ...rowsOfBackfill(label, beside)], numbers: { without, first, later, alone, beside } }
  } finally {
    await stage.dropDatabase(few)
    await stage.dropDatabase(many)
  }
}

/** As an application's users are: one after the other, each with an address like any. */
async function addUsers(databaseUrl: string, count: number): Promise<void> {
  const sql = postgres(databaseUrl, { max: 1, onnotice: () => undefined })
  try {
    for (let from = 1; from <= count; from += USERS_PER_INSERT) {
      await sql`
        insert into users (wallet_address, created_at)
        select '0x' || encode(substr(sha256(number::text::bytea), 1, 20), 'hex'), '2024-01-01'::timestamp + number * interval '1 second'
        from generate_series(${from}::int, ${Math.min(from + USERS_PER_INSERT - 1, count)}::int) number`
    }
    // As after any time of rest.
    await sql`vacuum analyze users`
    await sql`checkpoint`
  } finally {
    await sql.end()
  }
}

async function analyze(databaseUrl: string): Promise<void> {
  const sql = postgres(databaseUrl, { max: 1, onnotice: () => undefined })
  await sql`vacuum analyze indexer.wallets`
  await sql.end()
}

type Beside = { readonly few: readonly Turn[]; readonly many: readonly Turn[] }
type Turn = { readonly tookMs: number; readonly peakMiB: number }

async function backfillBoth(
  { node }: Stage,
  databases: { readonly few: string; readonly many: string },
  blocks: number,
  tell: (line: string) => void,
): Promise<Beside> {
  const spec = historySpec('sparse', CHAIN_ID)
  const { url } = await node.open({ chain: spec, head: FIRST_HEIGHT + TURNS * blocks + FINAL_BLOCKS })
  const turns: { few: Turn[]; many: Turn[] } = { few: [], many: [] }
  try {
    for (let turn = 0; turn < TURNS; turn += 1) {
      const from = FIRST_HEIGHT + 1 + turn * blocks
      // Whoever is second meets a node that has made these blocks before.
      for (const which of turn % 2 === 0 ? (['few', 'many'] as const) : (['many', 'few'] as const)) {
        tell(`backfill with ${which} users, turn ${turn + 1} of ${TURNS}`)
        const range = { from, to: from + blocks - 1 }
        const taken = await run<Taken>(BACKFILL, {
          kind: 'backfill',
          databaseUrl: databases[which],
          url,
          spec,
          range,
        })
        turns[which].push({ tookMs: taken.tookMs, peakMiB: maxOf(taken.residentBytes) / MEBIBYTE })
      }
    }
    return turns
  } finally {
    await node.end(spec.chainId)
  }
}

async function run<T>(file: string, task: RegistryTask | Task): Promise<T> {
  const child = fork(file, { serialization: 'advanced', execArgv: ['--expose-gc'] })
  const ended = once(child, 'exit')
  child.send(task)
  const told = await Promise.race([once(child, 'message'), ended.then(([code]) => Number(code))])
  await ended
  if (!Array.isArray(told)) throw new Error(`the measured process ended with ${told} and told nothing`)
  return told[0] as T
}

type Starts = { readonly without: RegistryTaken; readonly first: RegistryTaken; readonly later: RegistryTaken }

function rowsOf(label: string, { without, first, later }: Starts): Row[] {
  const memory = (later.residentBytes - without.residentBytes) / MEBIBYTE
  const isMillion = first.wallets <= 1_100_000
  const start = (what: string, { startMs, startCpuMs }: RegistryTaken) =>
    isMillion
      ? atMost(`${label}: ${what}`, startMs / 1000, 15, ' s', 1)
      : plainRow(
          `${label}: ${what}`,
          `${(startMs / 1000).toFixed(1)} s, of which this process ${(startCpuMs / 1000).toFixed(1)}`,
        )
  return [
    start('first start, all of them new', first),
    start('later start', later),
    isMillion
      ? atMost(`${label}: memory beside the same process without them`, memory, 100, ' MiB', 0)
      : plainRow(`${label}: memory beside the same process without them`, `${memory.toFixed(0)} MiB`),
    plainRow(`${label}: look-up of a stranger`, `${later.strangerNs.toFixed(0)} ns`),
    plainRow(`${label}: look-up of a tracked wallet`, `${later.trackedNs.toFixed(0)} ns`),
    plainRow(`${label}: a refresh that finds nothing, p50`, `${medianOf(later.refreshMs).toFixed(2)} ms`),
    plainRow(
      '100 users, all compared each time: a refresh that finds nothing, p50',
      `${medianOf(without.refreshMs).toFixed(2)} ms`,
    ),
    plainRow(`${label}: a new user is tracked after`, `${later.newUserMs.toFixed(0)} ms`),
    plainRow(`${label}: a deleted user is found after`, `${(later.roundMs / 1000).toFixed(1)} s`),
  ]
}

function rowsOfSet({ wallets, residentBytes, strangerNs, trackedNs }: RegistryTaken): Row[] {
  const label = `${wallets.toLocaleString('en-US')} wallets, the set alone`
  return [
    plainRow(`${label}: memory`, `${(residentBytes / MEBIBYTE).toFixed(0)} MiB`),
    plainRow(`${label}: look-ups`, `${strangerNs.toFixed(0)} ns a stranger, ${trackedNs.toFixed(0)} ns a tracked one`),
  ]
}

function rowsOfBackfill(label: string, { few, many }: Beside): Row[] {
  const [little, much] = [mediansOf(few), mediansOf(many)]
  return [
    atMost(`${label}: time of a sparse backfill / with 100 users`, much.tookMs / little.tookMs, 1.1),
    atMost(
      `${label}: memory of a backfill at its peak, beside 100 users`,
      much.peakMiB - little.peakMiB,
      100,
      ' MiB',
      0,
    ),
  ]
}

function mediansOf(turns: readonly Turn[]): Turn {
  return {
    tookMs: medianOf(turns.map(({ tookMs }) => tookMs)),
    peakMiB: medianOf(turns.map(({ peakMiB }) => peakMiB)),
  }
}

function medianOf(values: readonly number[]): number {
  return spreadOf(values)?.p50 ?? Number.NaN
}
