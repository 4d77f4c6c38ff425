/**
 * A run in words: one line, and for a failure everything that helps to find out. Lines for the log that is kept.
 */
import { execFileSync } from 'node:child_process'
import { type Counts, type Outcome, sumUp } from './run.ts'

const MAX_LINE = 2_000
const MAX_LOG_LINE = 300
/** Of the repository, but for the log itself. */
const SOURCES = [':/src', ':/sql', ':/test/sim', ':/test/support', ':(exclude,top)test/sim/soak.log'] as const
/** What a kept line tells of. */
const KEPT = [
  'transactions',
  'reorgs',
  'left behind',
  'kills',
  'stops',
  'freezes',
  'lost answers',
  'outages',
  'restarts',
  'terminated sessions',
  'replacements',
  'forgotten',
  'sent again',
  'supplanted',
  'shifted clock',
] as const

export function describeOutcome(outcome: Outcome, isVerbose: boolean): string {
  const { seed, differences, diary, tail } = outcome
  if (differences.length === 0 && !isVerbose) return summarise(outcome)
  return [
    summarise(outcome),
    ...differences.map(line => `  ✗ ${line.slice(0, MAX_LINE)}`),
    '  what was done:',
    ...diary.map(line => `    ${line.slice(0, MAX_LINE)}`),
    '  what the programs said last:',
    ...tail.map(line => `    ${line.slice(0, MAX_LINE)}`),
    `  again: npm run sim -- --seed ${seed} --verbose`,
  ].join('\n')
}

function summarise({ seed, seconds, counts, differences }: Outcome): string {
  return [
    `seed ${seed}`,
    `${seconds.played.toFixed(1)} + ${seconds.settled.toFixed(1)} s`,
    `${counts.blocks} blocks`,
    `${counts.activities} activities`,
    `transitions: ${list(counts.transitions)}`,
    list(counts.done),
    `rpc faults: ${list(counts.faults)}`,
    verdictOf(differences),
  ].join(' | ')
}

/** For the log: what was hit, and what differs where something does. */
export function logLine({ seed, seconds, counts, differences }: Outcome): string {
  const took = seconds.played + seconds.settled
  const line = `seed ${seed} ${verdictOf(differences)}, ${took.toFixed(1)} s | ${describeCounts(counts)}`
  return [line, ...differences.map(difference => `  ${difference.replaceAll('\n', ' ')}`)]
    .map(text => text.slice(0, MAX_LOG_LINE))
    .join('\n')
}

/** The last lines of a log: all of it. */
export function logTotals(totals: Counts, seeds: number, wrong: readonly number[], minutes: number): string {
  const verdict = wrong.length === 0 ? 'all right' : `WRONG: ${wrong.join(' ')}`
  const all = `${seeds} seeds in ${minutes.toFixed(1)} minutes, ${verdict} | ${describeCounts(totals)}`
  return `${all}\nfaults: ${list(totals.faults)}`
}

export function addUp(counts: readonly Counts[]): Counts {
  return {
    blocks: counts.reduce((sum, { blocks }) => sum + blocks, 0),
    activities: counts.reduce((sum, { activities }) => sum + activities, 0),
    transitions: sumUp(counts.map(({ transitions }) => transitions)),
    done: sumUp(counts.map(({ done }) => done)),
    faults: sumUp(counts.map(({ faults }) => faults)),
  }
}

function describeCounts({ blocks, activities, transitions, done, faults }: Counts): string {
  const kept = Object.fromEntries(KEPT.flatMap(kind => (done[kind] === undefined ? [] : [[kind, done[kind]]])))
  const played = Object.values(faults)
  const total = played.reduce((sum, times) => sum + times, 0)
  return [
    `${blocks} blocks, ${activities} rows`,
    list(kept),
    list(transitions),
    `${total} rpc faults of ${played.length} kinds`,
  ].join(' | ')
}

/** The first line of a log: the trees of what ran and of what judged it, by which a log can be told from one of another version. */
export function describeSources(): string {
  try {
    const isDirty = git('status', '--porcelain', '--', ...SOURCES) !== ''
    const trees = ['src', 'test/sim'].map(path => `${path} ${git('rev-parse', `HEAD:${path}`)}`)
    return `on ${trees.join(', ')}${isDirty ? ', with changes that are not committed' : ''}`
  } catch {
    return 'on sources outside of a repository'
  }
}

function git(...args: readonly string[]): string {
  return execFileSync('git', args, { cwd: import.meta.dirname, encoding: 'utf8' }).trim()
}

function verdictOf(differences: readonly string[]): string {
  return differences.length === 0 ? 'right' : `WRONG (${differences.length})`
}

function list(counts: Readonly<Record<string, number>>): string {
  return (
    Object.entries(counts)
      .map(([kind, times]) => `${kind} ${times}`)
      .join(', ') || 'none'
  )
}
