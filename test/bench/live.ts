/**
 * The workload `live`: how long after a block was announced its rows can be seen by another connection.
 *
 * Time is not compressed here. Several chains side by side give more samples in the same time, and are what a daemon does anyway.
 */

import { type LiveOutcome, type LiveRun, runLive } from './live-run.ts'
import { atMost, plainRow, type Row, type Section } from './report.ts'
import { type Progress, summarizeLive } from './requests.ts'
import type { Stage } from './stage.ts'
import { meanOf, spreadOf } from './statistics.ts'

export type LiveOptions = {
  /** Of each transport. */
  readonly minutes: number
  readonly progress: (label: string, total: number, unit: string) => Progress
}

type Case = Pick<LiveRun, 'transport' | 'chains' | 'blockSeconds' | 'jitterMs' | 'lookMs'> & {
  readonly name: string
  readonly p50Ms: number
  readonly p99Ms: number
}

const CASES: readonly Case[] = [
  {
    name: 'live, websocket',
    transport: 'websocket',
    chains: 4,
    blockSeconds: 4,
    jitterMs: 300,
    lookMs: 1,
    p50Ms: 20,
    p99Ms: 100,
  },
  {
    name: 'live, polling, 12-second blocks',
    transport: 'http',
    chains: 12,
    blockSeconds: 12,
    jitterMs: 1_000,
    lookMs: 5,
    p50Ms: 500,
    p99Ms: 1_500,
  },
]

export async function measureLive(stage: Stage, { minutes, progress }: LiveOptions): Promise<Section> {
  const rows: Row[] = []
  const numbers: Record<string, unknown> = {}
  for (const { name, p50Ms, p99Ms, ...run } of CASES) {
    const blocks = Math.max(Math.ceil((minutes * 60) / run.blockSeconds), 2)
    const bar = progress(name, blocks * run.chains, 'blocks')
    const outcome = await runLive(stage, { ...run, blocks, concerns: 'crowd', onProgress: done => bar.update(done) })
    bar.end()
    rows.push(...latencyRows(name, outcome, p50Ms, p99Ms))
    numbers[name] = {
      ...summarizeLive(outcome),
      unseen: outcome.unseen,
      latencyMs: spreadOf(outcome.latenciesMs),
      rhythm: { chains: run.chains, blockSeconds: run.blockSeconds, jitterMs: run.jitterMs },
    }
  }
  return { rows, numbers }
}

function latencyRows(name: string, outcome: LiveOutcome, p50Ms: number, p99Ms: number): Row[] {
  const spread = spreadOf(outcome.latenciesMs)
  return [
    atMost(`${name}: announced to visible, p50`, spread?.p50 ?? Number.NaN, p50Ms, ' ms', 1),
    atMost(`${name}: p99`, spread?.p99 ?? Number.NaN, p99Ms, ' ms', 1),
    plainRow(`${name}: the longest of ${spread?.samples ?? 0}`, `${spread?.max.toFixed(1) ?? '–'} ms`),
    atMost(`${name}: not seen within a minute`, outcome.unseen, 0, '', 0),
    ...(name.includes('polling') ? [atMost(`${name}: idle polls a block`, meanOf(outcome.idle), 3)] : []),
  ]
}
