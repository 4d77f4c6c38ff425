/**
 * In which way a mempool is watched: the best one that an endpoint offers, and what comes after one that fails.
 *
 * Always holds: one way at a time; a way that is not offered is left alone for ten minutes, one that fails for longer each time, so no
 * loop turns without a wait; while a lesser way is used, better ones get their chance as soon as they are due. Nothing is thrown, and
 * what nodes answer is believed as little as anywhere: a body that is none is passed over, and the block will tell.
 */

import { type Backoff, backoffMs } from '../core/backoff.ts'
import type { Hash } from '../core/types.ts'
import { describeError } from '../errors.ts'
import type { Clock } from '../runtime/clock.ts'
import { randomFloat } from '../runtime/random.ts'
import { sleep } from '../runtime/sleep.ts'
import type { Endpoint } from './endpoint.ts'
import { asksForRest, EndpointFailure } from './failure.ts'
import { type Ending, pollFilter, pollPool, subscribe, type Watch } from './mempool-ways.ts'
import { parsePending } from './parse.ts'
import type { Pool } from './pool.ts'
import type { PendingWatcher } from './source.ts'

/** Methods that are missing today may be there after an upgrade, and behind another plan. */
const NOT_OFFERED_MS = 600_000
const FAILED: Backoff = { baseMs: 5_000, maxMs: NOT_OFFERED_MS }
const THROTTLED: Backoff = { baseMs: 120_000, maxMs: NOT_OFFERED_MS }
/** What went well for so long has not failed again but anew. */
const STEADY_MS = 60_000

type Way = {
  readonly name: string
  readonly method: 'eth_subscribe' | 'eth_newPendingTransactionFilter' | 'txpool_content'
  readonly endpoint: Endpoint
  readonly run: (watch: Watch) => Promise<Ending>
  /** Monotonic milliseconds before which it is not tried (again). */
  dueAt: number
  failures: number
}

/** @returns at the signal; before it only where there is nothing to ask */
export async function watchMempool(
  pool: Pool,
  clock: Clock,
  watcher: PendingWatcher,
  signal: AbortSignal,
): Promise<void> {
  const ways = waysOf(pool.endpoints, watcher.polls)
  const onWay = tellOfChanges(watcher)
  while (ways.length > 0 && !signal.aborted) {
    const began = clock.monotonic()
    const way = ways.find(({ dueAt }) => dueAt <= began)
    if (way === undefined) {
      await sleep(earliest(ways) - began, signal)
      continue
    }
    const turn = turnOf(earliest(ways.slice(0, ways.indexOf(way))) - began, signal)
    const { endpoint } = way
    const outcome = await take(way, {
      endpoint,
      pool,
      clock,
      pollMs: watcher.pollMs,
      signal: turn,
      tell: (body, asked) => tell(watcher, body, asked),
      works: () => onWay(way.name, endpoint.name),
      trouble: (facts, message) => watcher.onTrouble({ endpoint: endpoint.name, ...facts }, message),
    })
    if (outcome === 'over' || turn.aborted) continue
    const now = clock.monotonic()
    if (now - began >= STEADY_MS) way.failures = 0
    postpone(ways, way, outcome, now)
    const reason = typeof outcome === 'string' ? outcome : describeError(outcome)
    watcher.onTrouble({ way: way.name, endpoint: endpoint.name, reason }, 'The mempool is not watched this way for now')
  }
}

/** @returns how it ended, or what it failed with */
async function take(way: Way, watch: Watch): Promise<unknown> {
  try {
    return await way.run(watch)
  } catch (error) {
    return error
  }
}

/** Until the signal, or until a better way is due. */
function turnOf(betterMs: number, signal: AbortSignal): AbortSignal {
  return Number.isFinite(betterMs) ? AbortSignal.any([signal, AbortSignal.timeout(Math.ceil(betterMs) + 1)]) : signal
}

/** Best first, on every endpoint before the next way: bodies that are told, bodies in one answer, hashes with a question each. */
function waysOf(endpoints: readonly Endpoint[], polls: boolean): readonly Way[] {
  const on = (name: string, method: Way['method'], run: Way['run'], among = endpoints): Way[] =>
    among.map(endpoint => ({ name, method, endpoint, run, dueAt: 0, failures: 0 }))
  const sockets = endpoints.filter(({ isSocket }) => isSocket)
  const told = on('websocket', 'eth_subscribe', subscribe, sockets)
  if (!polls) return told
  return [
    ...told,
    ...on('filter', 'eth_newPendingTransactionFilter', watch => pollFilter(watch, 'bodies')),
    ...on('pool', 'txpool_content', pollPool),
    ...on('filter of hashes', 'eth_newPendingTransactionFilter', watch => pollFilter(watch, 'hashes')),
  ]
}

/** Decides when a way is tried again, after it ended or failed. */
function postpone(ways: readonly Way[], way: Way, outcome: unknown, now: number): void {
  const failure = outcome instanceof EndpointFailure ? outcome : null
  if (outcome === 'hashes') {
    // The same method may still serve where hashes have to do.
    way.dueAt = now + NOT_OFFERED_MS
  } else if (outcome === 'forgotten' || failure?.kind === 'unsupported') {
    const { endpoint, method } = way
    leave(ways, each => each.endpoint === endpoint && each.method === method, now + NOT_OFFERED_MS)
  } else if (failure !== null && asksForRest(failure.kind)) {
    // Whoever is asked too much is not asked in another way: what is left of its patience is for the blocks.
    const waitMs = Math.max(failure.retryAfterMs ?? 0, backoffMs(way.failures, THROTTLED, randomFloat()))
    leave(ways, each => each.endpoint === way.endpoint, now + waitMs)
  } else {
    way.dueAt = now + backoffMs(way.failures, FAILED, randomFloat())
  }
  way.failures += 1
}

function leave(ways: readonly Way[], concerns: (way: Way) => boolean, until: number): void {
  for (const way of ways) if (concerns(way)) way.dueAt = Math.max(way.dueAt, until)
}

/** @returns whether it was a body, and where one was asked for, that one */
function tell(watcher: PendingWatcher, body: unknown, asked: Hash | undefined): boolean {
  try {
    const transaction = parsePending(body)
    if (asked !== undefined && transaction !== null && transaction.hash !== asked) return false
    if (transaction !== null) watcher.onTransaction(transaction)
    return true
  } catch {
    return false
  }
}

/** A way that comes back after a hiccup is no news. */
function tellOfChanges(watcher: PendingWatcher): (way: string, endpoint: string) => void {
  let known = ''
  return (way, endpoint) => {
    const current = `${way} ${endpoint}`
    if (current === known) return
    known = current
    watcher.onWay({ way, endpoint })
  }
}

function earliest(ways: readonly Way[]): number {
  return Math.min(...ways.map(({ dueAt }) => dueAt))
}
