/**
 * The simulation as a test: every bug that it once found, told again, and a few seeds. `SEED=…` runs another one besides.
 */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { REGRESSIONS } from './regressions.ts'
import { describeOutcome } from './report.ts'
import { runSeed } from './run.ts'
import { type Server, startServer } from './server.ts'

const SEEDS = [1, 2, 3]

let server: Server

beforeAll(async () => {
  server = await startServer()
}, 60_000)

afterAll(async () => {
  await server.close()
})

for (const { found, name, play } of REGRESSIONS) {
  test(`found by ${found}: ${name}`, async () => {
    const outcome = await runSeed(found, server, play)
    expect(outcome.differences, describeOutcome(outcome, true)).toEqual([])
  })
}

for (const seed of [...SEEDS, ...(process.env['SEED'] === undefined ? [] : [Number(process.env['SEED'])])]) {
  test(`seed ${seed}`, async () => {
    const outcome = await runSeed(seed, server)
    expect(outcome.differences, describeOutcome(outcome, true)).toEqual([])
  })
}
