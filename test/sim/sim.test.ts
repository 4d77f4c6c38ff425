/**
 * The simulation as a test: every seed that once failed, and a few that nobody has run before.
 */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { describeOutcome } from './report.ts'
import { runSeed } from './run.ts'
import { PAST_SEEDS } from './seeds.ts'
import { type Server, startServer } from './server.ts'

/** The day, unless SEED says otherwise: two seeds a day that are the same on every machine. */
const FRESH_SEED = Number(process.env['SEED'] ?? Math.floor(Date.now() / 86_400_000) * 2)
const FRESH_SEEDS = 2

let server: Server

beforeAll(async () => {
  server = await startServer()
}, 60_000)

afterAll(async () => {
  await server.close()
})

const seeds = [
  ...PAST_SEEDS,
  ...Array.from({ length: FRESH_SEEDS }, (_, index) => ({ seed: FRESH_SEED + index, found: 'a fresh one' })),
]

for (const { seed, found } of seeds) {
  test(`seed ${seed}: ${found}`, async () => {
    const outcome = await runSeed(seed, server)
    expect(outcome.differences, describeOutcome(outcome, true)).toEqual([])
  })
}
