/**
 * What an endpoint was asked today, against its budget.
 *
 * Always holds: with a ledger, what other processes ask counts too and a restart forgets nothing but the last few seconds; without
 * one, or while it fails, this process counts alone. Nobody waits for the ledger.
 */

import { DAY_MS, dayOf, type Priority, remainingToday } from '../core/budget.ts'
import type { Clock } from '../runtime/clock.ts'

/** Where the requests of all processes are added up. */
export type RequestLedger = {
  /** Adds to a day's requests of an endpoint. @returns all of that day */
  add(chainId: number, endpoint: string, day: number, requests: number): Promise<number>
}

export type Budget = {
  spend(): void
  /** How long until it may be asked again; 0: now. */
  waitMs(priority: Priority): number
  readonly today: { readonly requests: number; readonly perDay: number | null }
  /** Writes down what was not yet. Never throws. */
  flush(): Promise<void>
}

const FLUSH_EVERY_MS = 10_000
const FLUSH_EVERY_REQUESTS = 500

export type BudgetOptions = {
  readonly chainId: number
  readonly endpoint: string
  readonly perDay: number | null
  readonly blockTimeSeconds: number
  readonly ledger: RequestLedger | null
}

export function createBudget(options: BudgetOptions, clock: Clock): Budget {
  const { chainId, endpoint, perDay, blockTimeSeconds, ledger } = options
  let day = dayOf(clock.now())
  /** Written down, by all processes. */
  let recorded = 0
  let unrecorded = 0
  let flushedAt = Number.NEGATIVE_INFINITY
  let flushing: Promise<void> | null = null

  const turnDay = () => {
    const today = dayOf(clock.now())
    if (today === day) return
    day = today
    recorded = 0
    unrecorded = 0
  }

  const write = async (to: RequestLedger) => {
    flushedAt = clock.monotonic()
    const [count, ofDay] = [unrecorded, day]
    unrecorded = 0
    try {
      const total = await to.add(chainId, endpoint, ofDay, count)
      if (ofDay === day) recorded = total
    } catch {
      // The database is away: that is told by those who need it. What was asked is added the next time.
      if (ofDay === day) unrecorded += count
    }
  }

  const flush = async () => {
    if (ledger === null || unrecorded === 0) return
    flushing ??= write(ledger).finally(() => {
      flushing = null
    })
    await flushing
  }

  return {
    spend() {
      turnDay()
      unrecorded += 1
      const isDue = clock.monotonic() - flushedAt >= FLUSH_EVERY_MS || unrecorded >= FLUSH_EVERY_REQUESTS
      if (isDue && flushing === null) void flush()
    },
    waitMs(priority) {
      turnDay()
      if (perDay === null) return 0
      const now = clock.now()
      const left = remainingToday({ perDay, spent: recorded + unrecorded, blockTimeSeconds }, priority, now)
      return left >= 1 ? 0 : (day + 1) * DAY_MS - now
    },
    get today() {
      turnDay()
      return { requests: recorded + unrecorded, perDay }
    },
    flush,
  }
}
