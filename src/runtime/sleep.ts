/**
 * Waiting that a shutdown can end.
 */

import { setImmediate as nextTurn, setTimeout as wait } from 'node:timers/promises'

/** Resolves after `ms`, or at once when the signal aborts. Never rejects: the caller looks at the signal. */
export async function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  if (ms <= 0 || signal?.aborted) return
  try {
    await wait(ms, undefined, signal === undefined ? {} : { signal })
  } catch (error) {
    if (!signal?.aborted) throw error
  }
}

/** Lets timers and sockets have their turn within long work. */
export async function giveWay(): Promise<void> {
  await nextTurn()
}

/** Resolves after `ms`, and keeps no process alive for it. */
export async function sleepIdly(ms: number): Promise<void> {
  await wait(ms, undefined, { ref: false })
}

/** Calls back once, unless it is called off in time. @returns calls it off */
export function deadline(ms: number, onPassed: () => void): () => void {
  const timer = setTimeout(onPassed, ms)
  return () => clearTimeout(timer)
}

/** What the work gives, or null when it takes longer; the work goes on. Throws what the work throws. */
export async function within<T>(ms: number, work: Promise<T>): Promise<T | null> {
  const answered = new AbortController()
  try {
    return await Promise.race([work, sleep(ms, answered.signal).then(() => null)])
  } finally {
    answered.abort()
  }
}
