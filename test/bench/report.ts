/**
 * What was measured: a table on the terminal, and `results.json`, where each workload keeps its last numbers.
 *
 * Always holds: a workload that was not run keeps what it had, with its date and the sources that it ran on.
 */

import { execFileSync } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { availableParallelism, cpus, loadavg, totalmem } from 'node:os'
import { fileURLToPath } from 'node:url'
import { systemClock } from '../../src/runtime/clock.ts'

export type Row = {
  readonly what: string
  readonly measured: string
  readonly bar: string
  /** null: there is no bar for it. */
  readonly holds: boolean | null
}

export type Section = {
  readonly rows: readonly Row[]
  /** Everything that was measured. */
  readonly numbers: Readonly<Record<string, unknown>>
}

const RESULTS = fileURLToPath(new URL('results.json', import.meta.url))
const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const GIBIBYTE = 1024 ** 3

/** A row with an upper bar. */
export function atMost(what: string, measured: number, limit: number, unit = '', digits = 2): Row {
  return {
    what,
    measured: Number.isNaN(measured) ? 'nothing' : `${measured.toFixed(digits)}${unit}`,
    bar: `≤ ${limit}${unit}`,
    holds: measured <= limit,
  }
}

/** A row with a lower bar, in whole numbers. */
export function atLeast(what: string, measured: number, limit: number): Row {
  return {
    what,
    measured: Number.isNaN(measured) ? 'nothing' : Math.round(measured).toLocaleString('en-US'),
    bar: `≥ ${limit.toLocaleString('en-US')}`,
    holds: measured >= limit,
  }
}

export function plainRow(what: string, measured: string): Row {
  return { what, measured, bar: '', holds: null }
}

function signOf(holds: boolean | null): string {
  return holds === null ? ' ' : holds ? '✓' : '✗'
}

export function formatRows(rows: readonly Row[]): string {
  const cells = rows.map(({ what, measured, bar, holds }) => [signOf(holds), what, measured, bar])
  const widths = [0, 1, 2, 3].map(column => Math.max(0, ...cells.map(row => row[column]?.length ?? 0)))
  return cells
    .map(row =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

/** What was kept of each workload, as a table for a document. */
export async function formatKept(): Promise<string> {
  const kept = Object.entries(await readKept())
  const lines = kept.flatMap(([name, { at, sources, machine, rows }]) => [
    `\n**${name}**, ${at.slice(0, 10)}, \`src\` ${sources.slice(0, 12)}, ${machine.cores} cores, load ${machine.loadBefore} to ${machine.loadAfter}\n`,
    '| what | measured | bar | |',
    '|---|---|---|---|',
    ...rows.map(({ what, measured, bar, holds }) => `| ${what} | ${measured} | ${bar} | ${signOf(holds)} |`),
  ])
  return lines.join('\n')
}

/** Keeps a workload's numbers. */
export async function keep(name: string, { rows, numbers }: Section, loadBefore: number): Promise<void> {
  const section: Kept = {
    at: new Date(systemClock.now()).toISOString(),
    sources: describeSources(),
    node: process.version,
    machine: {
      cores: availableParallelism(),
      processor: cpus()[0]?.model.trim() ?? 'unknown',
      memoryGiB: Math.round(totalmem() / GIBIBYTE),
      // What else ran meanwhile makes everything slower.
      loadBefore,
      loadAfter: load(),
    },
    rows,
    numbers,
  }
  await writeFile(RESULTS, `${JSON.stringify({ ...(await readKept()), [name]: section }, null, 2)}\n`)
}

type Kept = Section & {
  readonly at: string
  readonly sources: string
  readonly node: string
  readonly machine: {
    readonly cores: number
    readonly processor: string
    readonly memoryGiB: number
    readonly loadBefore: number
    readonly loadAfter: number
  }
}

async function readKept(): Promise<Readonly<Record<string, Kept>>> {
  return readFile(RESULTS, 'utf8').then(
    text => JSON.parse(text) as Record<string, Kept>,
    () => ({}),
  )
}

export function load(): number {
  return Math.round((loadavg()[0] ?? 0) * 100) / 100
}

function git(...args: readonly string[]): string {
  return execFileSync('git', args, { cwd: ROOT, encoding: 'utf8' }).trim()
}

/** The tree of src/ as git knows it, and whether it was changed since. */
function describeSources(): string {
  try {
    const tree = git('rev-parse', 'HEAD:src')
    return git('status', '--porcelain', '--', 'src') === '' ? tree : `${tree} with changes`
  } catch {
    return 'unknown: no git here'
  }
}
