/**
 * The gate in front of an endpoint: how many requests are under way at once, and how many a second.
 *
 * Always holds: whoever waits is let in or given up by its signal; live following comes before backfill; nobody waits on another
 * one's answer alone, since the pace never falls to nothing; no timer runs while nobody waits.
 */

import type { Priority } from '../core/budget.ts'
import { initialPace, type Pace, type PaceLimits, slowDown, speedUp } from '../core/pace.ts'
import { AppError } from '../errors.ts'
import type { Clock } from '../runtime/clock.ts'
import { sleep } from '../runtime/sleep.ts'

/** What may be sent at once after a pause, in seconds of the pace: providers count by the second. */
const BURST_SECONDS = 0.25
const RATE_WINDOW_MS = 1_000

export type Limiter = {
  /** Waits for its turn. @throws AppError ABORTED */
  enter(priority: Priority, signal: AbortSignal): Promise<void>
  /** What entered has its answer, or has failed. */
  leave(): void
  /** The endpoint said "too many requests". */
  refused(): void
  readonly pace: Pace
  readonly underWay: number
  readonly waiting: number
}

type Waiter = { readonly priority: Priority; readonly admit: () => void }

export function createLimiter(limits: PaceLimits, clock: Clock, onSend: () => void): Limiter {
  let pace = initialPace(limits, clock.monotonic())
  let underWay = 0
  let tokens = 1
  let tokensAt = clock.monotonic()
  let sent: number[] = []
  let waiters: Waiter[] = []
  let pumping: Promise<void> | null = null

  /** Requests a second that were sent lately. */
  const measured = () => {
    const now = clock.monotonic()
    sent = sent.filter(at => now - at < RATE_WINDOW_MS)
    return Math.max((sent.length * 1000) / RATE_WINDOW_MS, 1)
  }

  /** @returns how long until another one may be sent by the rate; 0: now */
  const waitMs = (): number => {
    if (pace.perSecond === null) return 0
    const now = clock.monotonic()
    const burst = Math.max(pace.perSecond * BURST_SECONDS, 1)
    tokens = Math.min(tokens + ((now - tokensAt) / 1000) * pace.perSecond, burst)
    tokensAt = now
    return tokens >= 1 ? 0 : Math.ceil(((1 - tokens) / pace.perSecond) * 1000)
  }

  const send = () => {
    underWay += 1
    tokens -= 1
    onSend()
    if (sent.length < 10_000) sent.push(clock.monotonic())
    else measured()
  }

  const next = (): Waiter | undefined => waiters.find(({ priority }) => priority === 'live') ?? waiters[0]

  /** Lets waiters in while there is room; waits for the rate, but not for room: whoever leaves comes by here again. */
  const pump = async () => {
    for (let waiter = next(); waiter !== undefined && underWay < pace.atOnce; waiter = next()) {
      const ms = waitMs()
      if (ms > 0) {
        await sleep(ms)
        continue
      }
      waiters = waiters.filter(other => other !== waiter)
      send()
      waiter.admit()
    }
  }
  const wake = () => {
    pumping ??= pump().finally(() => {
      pumping = null
      if (waiters.length > 0 && underWay < pace.atOnce) wake()
    })
  }

  return {
    async enter(priority, signal) {
      if (signal.aborted) throw aborted()
      if (waiters.length === 0 && underWay < pace.atOnce && waitMs() === 0) {
        send()
        return
      }
      const { promise, resolve, reject } = Promise.withResolvers<void>()
      const waiter = { priority, admit: resolve }
      const onAbort = () => {
        waiters = waiters.filter(other => other !== waiter)
        reject(aborted())
      }
      waiters.push(waiter)
      signal.addEventListener('abort', onAbort, { once: true })
      wake()
      try {
        await promise
      } finally {
        signal.removeEventListener('abort', onAbort)
      }
    },
    leave() {
      underWay -= 1
      pace = speedUp(pace, limits, clock.monotonic())
      if (waiters.length > 0) wake()
    },
    refused() {
      pace = slowDown(pace, measured(), clock.monotonic())
      tokens = Math.min(tokens, 0)
    },
    get pace() {
      return pace
    },
    get underWay() {
      return underWay
    },
    get waiting() {
      return waiters.length
    },
  }
}

function aborted(): AppError {
  return new AppError('ABORTED', 'The question was given up because the daemon stops.')
}
