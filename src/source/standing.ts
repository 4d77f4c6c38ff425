/**
 * How an endpoint has behaved: what the pool ranks it by, and when it may be asked again.
 *
 * A rest after a failure is advice: where nobody else is left it is cut short. A bar is an order: the endpoint said that it was asked
 * too much, or its budget is spent, and asking it would only make it longer. What is remembered against an endpoint fades, because
 * one that is not asked can't show that it is well again.
 */

import { type Backoff, backoffMs } from '../core/backoff.ts'
import type { Priority } from '../core/budget.ts'
import { hedgeAfterMs, type Standing as Rank } from '../core/rank.ts'
import type { Clock } from '../runtime/clock.ts'
import { randomFloat } from '../runtime/random.ts'
import type { Budget } from './budget.ts'

const REST: Backoff = { baseMs: 100, maxMs: 30_000 }
const THROTTLED: Backoff = { baseMs: 1_000, maxMs: 60_000 }
/** A plan that is used up: the first one may be a slip of the node's, the tenth is not. */
const EXHAUSTED: Backoff = { baseMs: 4_000, maxMs: 1_800_000 }
/** Left alone after it was overtaken by another one. */
const SLOW: Backoff = { baseMs: 4_000, maxMs: 60_000 }
/** How long a lack of the newest block is remembered; longer each time it is found again. */
const LACK: Backoff = { baseMs: 3_000, maxMs: 60_000 }
/** Heads that were seen longer ago say nothing of what is there now. */
const HEAD_MEMORY_MS = 3_000
const SUSPICIONS_OF_LAG = 2
const LATENCY_MEMORY_MS = 60_000
const ERROR_WEIGHT = 0.1
/** An error weighs half of it after this time. */
const ERROR_HALF_LIFE_MS = 60_000

export type FailureClass = 'failed' | 'throttled' | 'exhausted'

export type StandingOf = {
  noteSuccess(): void
  noteFailure(message: string, what: FailureClass, askedMs: number | null): void
  noteLatency(tookMs: number): void
  /** Another one answered while it was still busy with the same question. */
  noteOvertaken(afterMs: number): void
  /** Its newest block, as it said. */
  noteHead(number: number): void
  /** It has no block of this height, though another one has. */
  noteLack(number: number): void
  /** It has no block of this height, and perhaps nobody has yet. */
  noteAbsence(number: number): void
  /** Another one has the block of this height: who had not is suspected of lagging, and the second time believed to. */
  notePresence(number: number): void
  /** Leave it alone for a while, for a reason of somebody else's. */
  rest(message: string, restMs: number): void
  /** How long it may not be asked, whatever happens. */
  barredMs(priority: Priority): number
  /** How long it is left alone if there is somebody else. */
  restMs(priority: Priority): number
  /** @param newest the newest block that any endpoint showed lately: below it a head that was shown lately says something */
  lacks(number: number, newest: number): boolean
  /** The head that it showed lately; null: none. */
  recentHead(): number | null
  rank(
    asked: { readonly number: number | null; readonly newest: number; readonly priority: Priority },
    isBusy: boolean,
  ): Rank
  /** It was overtaken lately, and has not answered in good time since. */
  readonly isSlow: boolean
  readonly failuresInARow: number
  readonly lastError: string | null
  readonly latencyMs: number | null
  readonly head: number | null
  /** Why it is barred, and only while it is. */
  readonly barredBy: 'throttled' | 'exhausted' | 'budget' | null
}

export function createStanding(budget: Budget, clock: Clock): StandingOf {
  let failures = 0
  let restsUntil = 0
  let barredUntil = 0
  let barredBy: 'throttled' | 'exhausted' | null = null
  let lastError: string | null = null
  let errorShare = 0
  let errorsAt = clock.monotonic()
  let latency: { ms: number; at: number } | null = null
  let head: { number: number; at: number } | null = null
  let lack: { number: number; until: number } | null = null
  let lackCount = 0
  let overtaken = 0
  let slowUntil = 0
  let absent: number | null = null
  let suspicions = 0

  const noteOutcome = (isError: boolean) => {
    const now = clock.monotonic()
    const faded = errorShare * 2 ** ((errorsAt - now) / ERROR_HALF_LIFE_MS)
    errorShare = faded * (1 - ERROR_WEIGHT) + (isError ? ERROR_WEIGHT : 0)
    errorsAt = now
  }
  const isRecent = (at: number, ms: number) => clock.monotonic() - at < ms
  const recentHead = () => (head !== null && isRecent(head.at, HEAD_MEMORY_MS) ? head.number : null)
  const lacks = (number: number, newest: number) =>
    (lack !== null && number >= lack.number && clock.monotonic() < lack.until) ||
    (recentHead() ?? Number.POSITIVE_INFINITY) < Math.min(number, newest)
  const noteLack = (number: number) => {
    const now = clock.monotonic()
    if (lack !== null && now < lack.until) return
    lack = { number, until: now + backoffMs(lackCount, LACK, randomFloat()) }
    lackCount += 1
  }
  const barredMs = (priority: Priority) => Math.max(barredUntil - clock.monotonic(), budget.waitMs(priority), 0)
  const restMs = (priority: Priority) =>
    Math.max(Math.max(restsUntil, slowUntil) - clock.monotonic(), barredMs(priority))
  const recentLatency = () => (latency !== null && isRecent(latency.at, LATENCY_MEMORY_MS) ? latency.ms : null)

  return {
    noteSuccess() {
      failures = 0
      noteOutcome(false)
    },
    noteFailure(message, what, askedMs) {
      const now = clock.monotonic()
      const before = failures
      // What failed side by side failed once: the rest must not grow with the number of questions that were under way.
      if (now >= Math.max(restsUntil, barredUntil)) failures += 1
      lastError = message
      noteOutcome(true)
      if (what === 'failed') {
        restsUntil = Math.max(restsUntil, now + backoffMs(before, REST, randomFloat()))
        return
      }
      const own = backoffMs(before, what === 'throttled' ? THROTTLED : EXHAUSTED, randomFloat())
      barredBy = what
      barredUntil = Math.max(barredUntil, now + (askedMs ?? own))
    },
    noteOvertaken(afterMs) {
      const now = clock.monotonic()
      if (now < slowUntil) return
      slowUntil = now + backoffMs(overtaken, SLOW, randomFloat())
      overtaken += 1
      latency = { ms: Math.max(recentLatency() ?? 0, afterMs), at: now }
    },
    noteLatency(tookMs) {
      if (tookMs < hedgeAfterMs(null)) {
        overtaken = 0
        slowUntil = 0
      }
      const known = recentLatency()
      latency = { ms: known === null ? tookMs : known * 0.8 + tookMs * 0.2, at: clock.monotonic() }
    },
    noteHead(number) {
      head = { number, at: clock.monotonic() }
      if (absent !== null && number >= absent) {
        absent = null
        suspicions = 0
      }
      if (lack !== null && number >= lack.number) {
        lack = null
        lackCount = 0
      }
    },
    noteLack,
    noteAbsence(number) {
      absent = number
    },
    notePresence(number) {
      if (absent !== number) return
      // Once it may have come in between.
      suspicions += 1
      if (suspicions >= SUSPICIONS_OF_LAG) noteLack(number)
    },
    rest(message, ms) {
      lastError = message
      noteOutcome(true)
      restsUntil = Math.max(restsUntil, clock.monotonic() + ms)
    },
    barredMs,
    restMs,
    lacks,
    recentHead,
    rank: ({ number, newest, priority }, isBusy) => ({
      restMs: restMs(priority),
      isBusy,
      lacks: number !== null && lacks(number, newest),
      errorShare: errorShare * 2 ** ((errorsAt - clock.monotonic()) / ERROR_HALF_LIFE_MS),
      latencyMs: recentLatency(),
    }),
    get isSlow() {
      return clock.monotonic() < slowUntil
    },
    get failuresInARow() {
      return failures
    },
    get lastError() {
      return lastError
    },
    get latencyMs() {
      return latency === null ? null : latency.ms
    },
    get head() {
      return head === null ? null : head.number
    },
    get barredBy() {
      if (clock.monotonic() < barredUntil) return barredBy
      return budget.waitMs('live') > 0 ? 'budget' : null
    },
  }
}
