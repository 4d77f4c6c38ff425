/**
 * The workload `backfill`: its wall time beside the limits that nobody gets below (D, the download alone, and W, the writing alone),
 * its memory, its calls, and every row of it beside the oracle's.
 *
 * The numbers of one case are taken one right after the other, on the same node and server, so that their ratios say something even
 * where the machine is busy.
 */

import { fork } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import postgres from 'postgres'
import { createCast } from './chain/cast.ts'
import { compareRows } from './chain/compare.ts'
import { type ChainSpec, createChain, FIRST_HEIGHT } from './chain/generated-chain.ts'
import { copyRows } from './copy.ts'
import type { Download } from './download.ts'
import type { Taken, Task } from './measured.ts'
import { atMost, plainRow, type Row, type Section } from './report.ts'
import { historySpec, type Progress } from './requests.ts'
import type { Stage } from './stage.ts'
import { maxOf, meanOf } from './statistics.ts'

export type BackfillOptions = {
  /** Of each case without a delay. */
  readonly blocks: number
  /** Names of cases (`sparse-0`); null: all. */
  readonly only: readonly string[] | null
  /** Where a CPU profile of each measured process goes; null: none is made. */
  readonly profileDirectory: string | null
  readonly progress: (label: string, total: number, unit: string) => Progress
  /** Told what is done now. */
  readonly tell: (line: string) => void
}

type Case = {
  readonly kind: 'sparse' | 'dense'
  readonly delayMs: number
  /** Requests at once, of the download and of the backfill; null: as many as are best. */
  readonly maxAtOnce: number | null
  /** Of the blocks that are asked for: a slow node is not waited for as long. */
  readonly share: number
}

const CASES: readonly Case[] = [
  { kind: 'sparse', delayMs: 0, maxAtOnce: null, share: 1 },
  { kind: 'dense', delayMs: 0, maxAtOnce: null, share: 1 },
  { kind: 'sparse', delayMs: 50, maxAtOnce: 16, share: 0.2 },
  { kind: 'dense', delayMs: 50, maxAtOnce: 16, share: 0.2 },
]
const MEASURED = fileURLToPath(new URL('measured.ts', import.meta.url))
const PACKAGE = fileURLToPath(new URL('../../package.json', import.meta.url))
const FIRST_CHAIN_ID = 43_000
const FINAL_BLOCKS = 200
const CONCURRENCIES = [4, 8, 16, 32]
const TRIAL_BLOCKS = 600
const COVERAGE_LOOK_MS = 1_000
const LOGS_OF_BLOCKS = 20
const MEBIBYTE = 1024 ** 2
/** The parts of a run whose memory is compared, for growth. */
const EARLY = { from: 0.2, to: 0.4 }
const LATE = { from: 0.8, to: 1 }

export async function measureBackfill(
  stage: Stage,
  { blocks, only, profileDirectory, progress, tell }: BackfillOptions,
): Promise<Section> {
  const rows: Row[] = []
  const numbers: Record<string, unknown> = {}
  for (const [index, each] of CASES.entries()) {
    if (only !== null && !only.includes(`${each.kind}-${each.delayMs}`)) continue
    const name = `backfill, ${each.kind}, ${each.delayMs} ms node`
    const count = Math.ceil(blocks * each.share)
    const measured = await measureCase(stage, each, FIRST_CHAIN_ID + index, count, {
      measure: task => measure(task, profileDirectory),
      tell: step => tell(`${name}: ${step}`),
      progress: () => progress(name, count, 'blocks'),
    })
    rows.push(...rowsOf(name, each, measured))
    numbers[name] = measured
  }
  return { rows, numbers }
}

type Measured = {
  readonly blocks: number
  readonly downloadMs: number
  readonly downloadAtOnce: number
  readonly writeMs: number
  readonly writtenRows: number
  readonly backfillMs: number
  /** Of the measured processes alone. */
  readonly downloadCpuMs: number
  readonly backfillCpuMs: number
  readonly callsPerBlock: number
  readonly atOnce: number
  readonly peakMiB: number
  /** Mean of an early and of a late part of the run. */
  readonly earlyMiB: number
  readonly lateMiB: number
  readonly activities: number
  readonly transactions: number
  readonly differences: readonly string[]
}

type Tools = {
  readonly measure: (task: Task) => Promise<Taken>
  readonly tell: (step: string) => void
  readonly progress: () => Progress
}

async function measureCase(
  stage: Stage,
  { kind, delayMs, maxAtOnce }: Case,
  chainId: number,
  blocks: number,
  { measure: run, tell, progress }: Tools,
): Promise<Measured> {
  const { node } = stage
  const spec = historySpec(kind, chainId)
  const range = { from: FIRST_HEIGHT + 1, to: FIRST_HEIGHT + blocks }
  const limits = maxAtOnce === null ? { delayMs } : { delayMs, maxAtOnce }
  const { url } = await node.open({ chain: spec, head: range.to + FINAL_BLOCKS, ...limits })
  const database = await stage.createDatabase(createCast(spec).tracked)
  const copy = await stage.createDatabase([])
  try {
    tell('downloading')
    const fetched = await limitOfDownload(run, { url, range, beside: kind === 'dense' ? 'receipts' : LOGS }, maxAtOnce)
    await node.resetCounts(spec.chainId)
    const bar = progress()
    const stop = watchCoverage(database, done => bar.update(done))
    const taken = await run({ kind: 'backfill', databaseUrl: database, url, spec, range })
    await stop()
    bar.end()
    const counts = await node.counts(spec.chainId)
    tell('copying')
    const copied = await copyRows(database, copy)
    tell('comparing')
    return {
      blocks,
      downloadMs: fetched.tookMs,
      downloadAtOnce: fetched.atOnce,
      writeMs: copied.tookMs,
      writtenRows: copied.rows,
      backfillMs: taken.tookMs,
      downloadCpuMs: fetched.cpuMs,
      backfillCpuMs: taken.cpuMs,
      callsPerBlock: counts.items / blocks,
      atOnce: counts.maxAtOnce,
      ...memoryOf(taken.residentBytes),
      ...(await compare(database, spec, range)),
    }
  } finally {
    await node.end(spec.chainId)
    await stage.dropDatabase(database)
    await stage.dropDatabase(copy)
  }
}

/** Tells of the blocks that are done, once a second. @returns ends it */
function watchCoverage(databaseUrl: string, onBlocks: (done: number) => void): () => Promise<void> {
  const sql = postgres(databaseUrl, { max: 1, onnotice: () => undefined })
  const look = async () => {
    const [covered] = await sql<{ blocks: string | null }[]>`
      select sum(to_block - from_block + 1) as blocks from indexer.coverage`
    onBlocks(Number(covered?.blocks ?? 0))
  }
  const timer = setInterval(() => void look().catch(() => undefined), COVERAGE_LOOK_MS)
  return async () => {
    clearInterval(timer)
    await look()
    await sql.end()
  }
}

const LOGS = { logsOfBlocks: LOGS_OF_BLOCKS }

/** At the concurrency that was best in short trials, or at the one that is allowed. */
async function limitOfDownload(
  run: Tools['measure'],
  what: Omit<Download, 'atOnce'>,
  maxAtOnce: number | null,
): Promise<{ tookMs: number; cpuMs: number; atOnce: number }> {
  let atOnce = maxAtOnce
  if (atOnce === null) {
    const { from, to } = what.range
    const range = { from, to: Math.min(from + TRIAL_BLOCKS - 1, to) }
    const trials: { atOnce: number; tookMs: number }[] = []
    for (const candidate of CONCURRENCIES) {
      const { tookMs } = await run({ kind: 'download', ...what, range, atOnce: candidate })
      trials.push({ atOnce: candidate, tookMs })
    }
    atOnce = trials.toSorted((a, b) => a.tookMs - b.tookMs)[0]?.atOnce ?? 1
  }
  return { ...(await run({ kind: 'download', ...what, atOnce })), atOnce }
}

async function measure(task: Task, profileDirectory: string | null): Promise<Taken> {
  const profiling = profileDirectory === null ? [] : ['--cpu-prof', `--cpu-prof-dir=${profileDirectory}`]
  const execArgv = [...(await readFlags()), ...profiling]
  const child = fork(MEASURED, { serialization: 'advanced', execArgv })
  const ended = once(child, 'exit')
  child.send(task)
  const told = await Promise.race([once(child, 'message'), ended.then(([code]) => Number(code))])
  await ended
  if (!Array.isArray(told)) throw new Error(`the measured process ended with ${told} and told nothing`)
  return told[0] as Taken
}

/** The flags that `npm run backfill` gives to the engine. */
async function readFlags(): Promise<string[]> {
  const { scripts } = JSON.parse(await readFile(PACKAGE, 'utf8')) as { scripts: { backfill: string } }
  return scripts.backfill.split(' ').filter(word => word.startsWith('--'))
}

function memoryOf(residentBytes: readonly number[]) {
  const part = ({ from, to }: typeof EARLY) =>
    meanOf(residentBytes.slice(Math.floor(residentBytes.length * from), Math.ceil(residentBytes.length * to))) /
    MEBIBYTE
  return { peakMiB: maxOf(residentBytes) / MEBIBYTE, earlyMiB: part(EARLY), lateMiB: part(LATE) }
}

async function compare(databaseUrl: string, spec: ChainSpec, range: Download['range']) {
  const sql = postgres(databaseUrl, { max: 1, onnotice: () => undefined })
  try {
    return await compareRows(sql, createChain(spec), range, range.to)
  } finally {
    await sql.end()
  }
}

function rowsOf(name: string, { kind, delayMs }: Case, measured: Measured): Row[] {
  const { blocks, downloadMs, writeMs, backfillMs, writtenRows, peakMiB, earlyMiB, lateMiB } = measured
  const largest = Math.max(downloadMs, writeMs)
  return [
    plainRow(`${name}: limit D`, `${seconds(downloadMs)}, ${perSecond(blocks, downloadMs)} blocks/s`),
    plainRow(`${name}: limit W`, `${seconds(writeMs)}, ${perSecond(writtenRows, writeMs)} rows/s`),
    plainRow(`${name}: wall time`, `${seconds(backfillMs)}, ${perSecond(blocks, backfillMs)} blocks/s`),
    delayMs === 0
      ? atMost(`${name}: wall time / (D + W)`, backfillMs / (downloadMs + writeMs), 1.25)
      : atMost(`${name}: wall time / the larger`, backfillMs / largest, 1.15),
    ...(delayMs === 0 ? [plainRow(`${name}: wall time / the larger`, (backfillMs / largest).toFixed(2))] : []),
    plainRow(
      `${name}: CPU time, beside the download's`,
      `${seconds(measured.backfillCpuMs)} and ${seconds(measured.downloadCpuMs)}`,
    ),
    atMost(`${name}: calls a block`, measured.callsPerBlock, kind === 'sparse' ? 1.1 : 2.1),
    atMost(`${name}: memory at its peak`, peakMiB, 250, ' MiB', 0),
    plainRow(`${name}: memory early and late`, `${earlyMiB.toFixed(0)} and ${lateMiB.toFixed(0)} MiB`),
    atMost(
      `${name}: rows that differ of ${measured.activities + measured.transactions}`,
      measured.differences.length,
      0,
      '',
      0,
    ),
  ]
}

function perSecond(count: number, tookMs: number): string {
  return Math.round((count / tookMs) * 1000).toLocaleString('en-US')
}

function seconds(tookMs: number): string {
  return `${(tookMs / 1000).toFixed(1)} s`
}
