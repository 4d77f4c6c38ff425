/**
 * When jobs run: by a beat that never goes back, and by the minutes of the wall clock.
 *
 * node-cron reckons by the wall clock. Set back by days it is silent for days; set forward it goes through every moment that it
 * missed, one by one, and the process stands still meanwhile (25 s for three days of seconds). So what comes every few seconds does
 * not use it, and what does is scheduled anew as soon as the clock has jumped.
 */

import { schedule } from 'node-cron'
import type { Clock } from '../runtime/clock.ts'
import { sleep } from '../runtime/sleep.ts'
import type { Job } from './job.ts'

const BEAT_MS = 1_000
/** Less is what clocks drift and are corrected by. */
const MIN_JUMP_MS = 2_000

export type Rhythm = { readonly job: Job } & ({ readonly everyBeats: number } | { readonly pattern: string })

/** Runs jobs in their rhythm until the signal aborts. @returns when no more is begun */
export async function beat(clock: Clock, rhythms: readonly Rhythm[], signal: AbortSignal): Promise<void> {
  const scheduleAll = () =>
    rhythms.flatMap(rhythm =>
      'pattern' in rhythm
        ? [schedule(rhythm.pattern, () => rhythm.job.run(), { suppressMissedWarning: true, logger: silent })]
        : [],
    )
  let tasks = scheduleAll()
  let offset = clock.now() - clock.monotonic()
  const destroyAll = async () => {
    for (const task of tasks) await task.destroy()
  }
  for (let count = 1; !signal.aborted; count += 1) {
    await sleep(BEAT_MS, signal)
    if (signal.aborted) break
    const now = clock.now() - clock.monotonic()
    if (Math.abs(now - offset) >= MIN_JUMP_MS) {
      await destroyAll()
      tasks = scheduleAll()
    }
    offset = now
    for (const rhythm of rhythms) {
      if ('everyBeats' in rhythm && count % rhythm.everyBeats === 0) void rhythm.job.run()
    }
  }
  await destroyAll()
}

/** node-cron tells of missed and overlapping runs; a job that is late is no news here. */
const silent = { info: () => undefined, warn: () => undefined, error: () => undefined, debug: () => undefined }
