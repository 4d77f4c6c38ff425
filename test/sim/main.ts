/**
 * `npm run sim -- [--seed N] [--runs M] [--minutes T] [--parallel P] [--log file] [--verbose] [--stop]`
 *
 * Runs seeds one after the other in a few lanes, each with a Postgres server of its own, so that a restart of one concerns one run
 * only. Without `--seed` they are new ones, by the time of day. Prints a line for each; a failure prints what differs, what was done and how to see it again. Exit code 1 if any seed failed;
 * `--stop` ends at the first. `--log` keeps a line for each of what it hit, and at the end all of it and the sources that it ran on.
 */
import { appendFile } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import { systemClock } from '../../src/runtime/clock.ts'
import { addUp, describeOutcome, describeSources, logLine, logTotals } from './report.ts'
import { type Counts, type Outcome, runSeed } from './run.ts'
import { startServer } from './server.ts'

const MAX_LANES = 16
const MAX_RUNS = 1_000_000

const { values } = parseArgs({
  options: {
    seed: { type: 'string' },
    runs: { type: 'string' },
    minutes: { type: 'string' },
    parallel: { type: 'string', default: '2' },
    log: { type: 'string' },
    stop: { type: 'boolean', default: false },
    verbose: { type: 'boolean', default: false },
  },
})

const first = wholeNumber('--seed', values.seed ?? String(Math.floor(systemClock.now() / 1_000)))
const runs =
  values.runs === undefined ? (values.minutes === undefined ? 1 : MAX_RUNS) : wholeNumber('--runs', values.runs)
const minutes = values.minutes === undefined ? null : Number(values.minutes)
const lanes = Math.min(wholeNumber('--parallel', values.parallel), runs, MAX_LANES)

function wholeNumber(name: string, text: string): number {
  const number = Number(text)
  if (Number.isSafeInteger(number) && number >= 0) return number
  process.stderr.write(`${name} needs a whole number, not ${text}\n`)
  process.exit(2)
}

const interrupted = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => interrupted.abort())
const ends = minutes === null ? Number.POSITIVE_INFINITY : performance.now() + minutes * 60_000

let next = 0
let done = 0
const failed: number[] = []
const counts: Counts[] = []

async function report(outcome: Outcome): Promise<void> {
  done += 1
  if (outcome.differences.length > 0) failed.push(outcome.seed)
  const text = describeOutcome(outcome, values.verbose)
  process.stdout.write(`${text}\n`)
  counts.push(outcome.counts)
  if (values.log !== undefined) await appendFile(values.log, `${logLine(outcome)}\n`)
}

function isOver(): boolean {
  return interrupted.signal.aborted || (values.stop && failed.length > 0)
}

async function runLane(): Promise<void> {
  const server = await startServer()
  try {
    while (next < runs && performance.now() < ends && !isOver()) {
      const seed = first + next
      next += 1
      await report(await runSeed(seed, server))
    }
  } finally {
    await server.close()
  }
}

// At the beginning: by the end somebody may have changed what did not run.
if (values.log !== undefined) await appendFile(values.log, `${describeSources()}\n`)
const began = performance.now()
await Promise.all(Array.from({ length: lanes }, runLane))
const took = (performance.now() - began) / 60_000
const verdict = failed.length === 0 ? 'all right' : `WRONG: ${failed.join(' ')}`
process.stdout.write(`${done} runs in ${took.toFixed(1)} minutes (${(done / took).toFixed(1)} a minute): ${verdict}\n`)
if (values.log !== undefined) await appendFile(values.log, `${logTotals(addUp(counts), done, failed, took)}\n`)
process.exitCode = failed.length === 0 ? 0 : 1
