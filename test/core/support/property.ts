/**
 * fast-check with a seed that stays the same, so that a run means the same everywhere. A failure prints seed and path;
 * `FC_SEED` and `FC_RUNS` look further (`FC_SEED=$RANDOM FC_RUNS=10000`).
 */

import * as fc from 'fast-check'

fc.configureGlobal({
  seed: Number(process.env['FC_SEED'] ?? 1),
  numRuns: Number(process.env['FC_RUNS'] ?? 200),
})

export { fc }
