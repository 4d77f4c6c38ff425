/**
 * `npm run bench [-- requests|live|backfill …] [--live-minutes N] [--live-blocks N] [--blocks N]`
 *
 * Runs workloads one after the other, prints what was measured beside its bar, and keeps it in `results.json`. Without a name: all but
 * the long ones. Nothing is asserted: machines are noisy, and this one may be busy. Exit code 1 only where a workload could not be run.
 */

import { parseArgs } from 'node:util'
import { createProgress } from '../../src/ops/progress.ts'
import { systemClock } from '../../src/runtime/clock.ts'
import { measureLive } from './live.ts'
import { formatRows, keep, load, type Section } from './report.ts'
import { measureRequests, type Progress } from './requests.ts'
import { openStage, type Stage } from './stage.ts'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    'live-blocks': { type: 'string', default: '96' },
    'live-minutes': { type: 'string', default: '3' },
    blocks: { type: 'string', default: '2000' },
  },
})

const liveBlocks = numberOf('live-blocks')
const liveMinutes = numberOf('live-minutes')
const blocks = numberOf('blocks')

function numberOf(name: keyof typeof values): number {
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
    onLine: text => process.stdout.write(`${text}\n`),
  })
}

const WORKLOADS: Readonly<Record<string, (stage: Stage) => Promise<Section>>> = {
  requests: stage => measureRequests(stage, { liveBlocks, backfillBlocks: blocks, progress }),
  live: stage => measureLive(stage, { minutes: liveMinutes, progress }),
}
const BY_DEFAULT = ['requests']

const wanted = positionals.length > 0 ? positionals : BY_DEFAULT
const unknown = wanted.filter(name => WORKLOADS[name] === undefined)
if (unknown.length > 0) {
  process.stderr.write(`No such workload: ${unknown.join(', ')}. Known: ${Object.keys(WORKLOADS).join(', ')}.\n`)
  process.exit(2)
}

const stage = await openStage()
try {
  for (const name of wanted) {
    process.stdout.write(`\n${name}\n`)
    const loadBefore = load()
    const section = await WORKLOADS[name]?.(stage)
    if (section === undefined) continue
    await keep(name, section, loadBefore)
    process.stdout.write(`${formatRows(section.rows)}\n`)
  }
} finally {
  await stage.close()
}
