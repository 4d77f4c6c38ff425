import { expect, test } from 'vitest'
import { AppError } from '../../src/errors.ts'
import { createJob, createTeller } from '../../src/jobs/job.ts'

const MINUTE_MS = 60_000

/** A teller on a clock that is set by hand, and what it told aloud. */
function openTeller() {
  const told: { job: string; reason: string }[] = []
  const clock = { at: 0, now: () => 0, monotonic: () => clock.at }
  const log = { debug: () => {}, info: () => {}, warn: () => {}, error: (facts: object) => told.push(facts as never) }
  return { told, clock, tell: createTeller({ clock, log }) }
}

test('trouble that lasts is told once a minute, whichever jobs meet it', () => {
  const { told, clock, tell } = openTeller()
  const closed = new AppError('DB_REJECTED', 'Postgres lets nobody in.')
  for (clock.at = 0; clock.at < 2 * MINUTE_MS; clock.at += 1_000) {
    tell('sweep', closed)
    tell('attribute', closed)
  }
  expect(told).toEqual([
    { job: 'sweep', reason: 'Postgres lets nobody in.' },
    { job: 'sweep', reason: 'Postgres lets nobody in.' },
  ])
  tell('sweep', new AppError('DB_SCHEMA', 'A table is gone.'))
  expect(told.at(-1)).toEqual({ job: 'sweep', reason: 'A table is gone.' })
})

test('trouble that passes by itself is left to those who wait for it', () => {
  const { told, tell } = openTeller()
  tell('sweep', new AppError('DB_UNAVAILABLE', 'Postgres is away.'))
  expect(told).toEqual([])
})

test('a job never runs twice at a time, comes again after an error, and does nothing while it is held', async () => {
  let runs = 0
  let isHeld = false
  const errors: unknown[] = []
  const { promise: gate, resolve: open } = Promise.withResolvers<void>()
  const work = async () => {
    runs += 1
    await gate
    throw new Error(`run ${runs}`)
  }
  const job = createJob(
    { work, isHeld: () => isHeld, onError: error => errors.push(error) },
    new AbortController().signal,
  )
  const first = job.run()
  const second = job.run()
  open()
  await Promise.all([first, second, job.ended()])
  expect([runs, errors.length]).toEqual([1, 1])
  isHeld = true
  await job.run()
  expect(runs).toBe(1)
  isHeld = false
  await job.run()
  expect([runs, errors.length]).toEqual([2, 2])
})
