/**
 * A run in words: one line, and for a failure everything that helps to find out.
 */
import type { Outcome } from './run.ts'

const MAX_LINE = 2_000

export function describeOutcome(outcome: Outcome, isVerbose: boolean): string {
  const { seed, summary, differences, diary, tail } = outcome
  if (differences.length === 0 && !isVerbose) return summary
  return [
    summary,
    ...differences.map(line => `  ✗ ${line.slice(0, MAX_LINE)}`),
    '  what was done:',
    ...diary.map(line => `    ${line.slice(0, MAX_LINE)}`),
    '  what the programs said last:',
    ...tail.map(line => `    ${line.slice(0, MAX_LINE)}`),
    `  again: npm run sim -- --seed ${seed} --verbose`,
  ].join('\n')
}
