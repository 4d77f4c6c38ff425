/**
 * The process that is measured: a backfill by the program's own parts, or a download and nothing else.
 *
 * It is one of its own, so that neither the benchmark's memory nor its work is taken for the program's. It reads one task, works, and
 * tells what it took: times begin when everything is connected.
 */

import { once } from 'node:events'
import { createIndexer } from '../support/indexer.ts'
import { indexRange } from '../support/program.ts'
import type { ChainSpec } from './chain/generated-chain.ts'
import { type Download, download } from './download.ts'
import { chainFile } from './stage.ts'

export type Task =
  | {
      readonly kind: 'backfill'
      readonly databaseUrl: string
      readonly url: string
      readonly spec: ChainSpec
      readonly range: { readonly from: number; readonly to: number }
    }
  | ({ readonly kind: 'download' } & Download)

export type Taken = {
  readonly tookMs: number
  /** Of the process, in the same time. */
  readonly cpuMs: number
  /** Of the whole process, each tenth of a second. */
  readonly residentBytes: readonly number[]
}

const SAMPLE_MS = 100

const [task] = (await once(process, 'message')) as [Task]
const residentBytes: number[] = []
const sampling = setInterval(() => residentBytes.push(process.memoryUsage.rss()), SAMPLE_MS)
let cpu = process.cpuUsage()
const tookMs = task.kind === 'download' ? await download(task) : await backfill(task)
cpu = process.cpuUsage(cpu)
clearInterval(sampling)
residentBytes.push(process.memoryUsage.rss())
process.send?.({ tookMs, cpuMs: (cpu.user + cpu.system) / 1000, residentBytes } satisfies Taken)
process.disconnect()

async function backfill({ databaseUrl, url, spec, range }: Extract<Task, { kind: 'backfill' }>): Promise<number> {
  const indexer = createIndexer(databaseUrl, [{ chain: chainFile(spec), url }])
  try {
    await indexer.registry.refresh('now')
    cpu = process.cpuUsage()
    const started = performance.now()
    await indexRange(indexer.context(spec.chainId), range.from, range.to)
    return performance.now() - started
  } finally {
    await indexer.close()
  }
}
