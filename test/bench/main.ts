/**
 * `npm run bench [-- requests|backfill|writing|native|registry|live|load …] [--live-minutes N] [--live-blocks N] [--blocks N] [--users N]
 * [--only CASE,…] [--profile DIR]`, and `npm run bench -- table`
 *
 * Runs workloads one after the other, prints what was measured beside its bar, and keeps it in `results.json`; `table` prints what is
 * kept there. `--only` takes some cases of the backfill (`sparse-0`, `dense-50`), and then keeps nothing; `--profile` writes CPU profiles of
 * the measured processes. Without a name: all but `live` and `load`, which take the minutes that are given (`live` for each transport), and
 * some to warm up. Nothing is asserted: machines are noisy, and this one may be busy. Exit code 1 only where a workload could not be run.
 */

import { parseArgs } from 'node:util'
import { createProgress } from '../../src/ops/progress.ts'
import { systemClock } from '../../src/runtime/clock.ts'
import { measureBackfill } from './backfill.ts'
import { measureLive } from './live.ts'
import { measureLoad } from './live-load.ts'
import { measureNative } from './native.ts'
import { measureRegistry } from './registry.ts'
import { formatKept, formatRows, keep, load, type Section } from './report.ts'
import { measureRequests, type Progress } from './requests.ts'
import { openStage, type Stage } from './stage.ts'
import { measureWriting } from './writing.ts'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    'live-blocks': { type: 'string', default: '96' },
    'live-minutes': { type: 'string', default: '3' },
    blocks: { type: 'string', default: '20000' },
    only: { type: 'string' },
    profile: { type: 'string' },
    users: { type: 'string', default: '1000000' },
  },
})

const liveBlocks = numberOf('live-blocks')
const liveMinutes = numberOf('live-minutes')
const historyBlocks = numberOf('blocks')
const users = numberOf('users')
/** Of each of the turns that backfills with few and with many users take. */
const turnBlocks = Math.ceil(historyBlocks / 10)
/** Calls a block can be counted on fewer. */
const countedBlocks = Math.min(historyBlocks, 2_000)
/** More of them say nothing else of the writing. */
const writtenBlocks = Math.min(historyBlocks, 5_000)

const only = values.only?.split(',') ?? null

function numberOf(name: 'live-blocks' | 'live-minutes' | 'blocks' | 'users'): number {
  const number = Number(values[name])
  if (Number.isFinite(number) && number > 0) return number
  process.stderr.write(`--${name} needs a number above 0, not ${values[name]}\n`)
  process.exit(2)
}

function progress(label: string, total: number, unit: string): Progress {
  const terminal = process.stdout.isTTY ? process.stdout : null
  return createProgress({
    label,
    total,
    unit,
    clock: systemClock,
    terminal,
    onLine: tell,
  })
}

function tell(line: string): void {
  process.stdout.write(`${line}\n`)
}

const WORKLOADS: Readonly<Record<string, (stage: Stage) => Promise<Section>>> = {
  requests: stage => measureRequests(stage, { liveBlocks, backfillBlocks: countedBlocks, progress }),
  backfill: stage =>
    measureBackfill(stage, { blocks: historyBlocks, only, profileDirectory: values.profile ?? null, progress, tell }),
  native: () => Promise.resolve(measureNative()),
  registry: stage => measureRegistry(stage, { users, blocks: turnBlocks, tell }),
  writing: stage => measureWriting(stage, { blocks: writtenBlocks, progress }),
  live: stage => measureLive(stage, { minutes: liveMinutes, progress }),
  load: stage => measureLoad(stage, { minutes: liveMinutes, progress }),
}
const BY_DEFAULT = ['requests', 'backfill', 'writing', 'native', 'registry']

if (positionals[0] === 'table') {
  tell(await formatKept())
  process.exit(0)
}
const wanted = positionals.length > 0 ? positionals : BY_DEFAULT
const unknown = wanted.filter(name => WORKLOADS[name] === undefined)
if (unknown.length > 0) {
  process.stderr.write(`No such workload: ${unknown.join(', ')}. Known: ${Object.keys(WORKLOADS).join(', ')}.\n`)
  process.exit(2)
}

const stage = await openStage()
const interrupted = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.once(signal, () => {
    interrupted.abort()
    // What is under way fails, and ends with it.
    void stage.close().finally(() => process.exit(1))
  })
try {
  for (const name of wanted) {
    tell(`\n${name}`)
    const loadBefore = load()
    const section = await WORKLOADS[name]?.(stage)
    if (section === undefined) continue
    if (only === null) await keep(name, section, loadBefore)
    tell(formatRows(section.rows))
  }
} catch (error) {
  if (!interrupted.signal.aborted) throw error
} finally {
  await stage.close()
}
