/**
 * fast-check with a seed that stays the same, so that a run means the same everywhere. A failure prints seed and path;
 * `FC_SEED` and `FC_RUNS` look further (`FC_SEED=$RANDOM FC_RUNS=10000`).
 */

import * as fc from 'fast-check'

const SEED = Number(process.env['FC_SEED'] ?? 1)
const RUNS = Number(process.env['FC_RUNS'] ?? 200)

fc.configureGlobal({ seed: SEED, numRuns: RUNS })

/** For a property that needs more runs than others to reach its corners; `FC_RUNS` still looks further. */
export function atLeast(numRuns: number): { numRuns: number } {
  return { numRuns: Math.max(numRuns, RUNS) }
}

export { fc }
