/**
 * The ways to hear of a mempool: a subscription over a websocket, a filter that is polled, and the whole pool, asked for again and
 * again.
 *
 * Always holds: every wait ends with the signal; what is opened at a node is given back, as far as the node answers within a second;
 * memory and requests of a poll are bounded, and what is beyond is left to the block.
 */

import pMap from 'p-map'
import { type Backoff, backoffMs } from '../core/backoff.ts'
import type { Hash } from '../core/types.ts'
import { AppError } from '../errors.ts'
import type { Clock } from '../runtime/clock.ts'
import { randomFloat } from '../runtime/random.ts'
import { sleep, within } from '../runtime/sleep.ts'
import type { Endpoint } from './endpoint.ts'
import { asksForRest, EndpointFailure } from './failure.ts'
import { parseBareHash, parseChanges, parseFilterId, parseHashOf, parsePool } from './parse.ts'
import type { Pool } from './pool.ts'

/** A socket may be open and say nothing. */
const SUBSCRIBE_MS = 20_000
const GOODBYE_MS = 1_000
/** Nobody can tell a quiet mempool from a subscription or filter that was lost: after this time it is made anew. */
const SILENCE_MS = 600_000
/** Polls that may fail in a row. */
const MAX_FAILURES = 3
const FAILED: Backoff = { baseMs: 2_000, maxMs: 30_000 }
/** An answer that takes long is asked for less often: of its time, a fifth at most goes into asking. */
const REST_PER_WORK = 4
/** A filter may be lost by a restart; behind a load balancer it is lost over and over. */
const MAX_LOSSES = 3
const LOSSES_WITHIN_MS = 600_000
/** Bodies asked for one by one after a poll. */
const MAX_BODIES = 50
const BODIES_AT_ONCE = 4
/** Hashes of one answer of the pool that are remembered until the next: some ten megabytes. */
const MAX_REMEMBERED = 100_000

export type Watch = {
  readonly endpoint: Endpoint
  readonly pool: Pool
  readonly clock: Clock
  readonly pollMs: number
  /** Aborts when the daemon stops, or a better way is due. */
  readonly signal: AbortSignal
  /** Takes a body as it came. @returns false for what is none, or not the one that was asked for */
  readonly tell: (body: unknown, asked?: Hash) => boolean
  /** To be called when it is sure that the endpoint offers this way. */
  readonly works: () => void
  readonly trouble: (facts: object, message: string) => void
}

/** `hashes`: bodies were wanted. `forgotten`: filters are lost too often. `closed`: the connection. `over`: it was ended, or is to begin anew. */
export type Ending = 'hashes' | 'forgotten' | 'closed' | 'over'

// ── A subscription ───────────────────────────────────────────────────────────────────────────────────────────────────────

/** Ends with the connection. */
export async function subscribe({ endpoint, pool, clock, signal, tell, works }: Watch): Promise<Ending> {
  const { promise: ended, resolve: end } = Promise.withResolvers<Ending>()
  let heardAt = clock.monotonic()
  const onData = (data: unknown) => {
    heardAt = clock.monotonic()
    // To ask for each body would cost more than a poll.
    if (!tell(data) && parseBareHash(data) !== null) end('hashes')
  }
  const open = () => endpoint.subscribe(['newPendingTransactions', true], onData, () => end('closed'))
  const close = await within(SUBSCRIBE_MS, pool.once(endpoint, open, signal))
  if (close === null) throw new AppError('RPC_UNAVAILABLE', `${endpoint.name} does not answer to a subscription.`)
  works()
  signal.addEventListener('abort', () => end('over'), { once: true })
  if (signal.aborted) end('over')
  let ending: Ending | null = null
  while (ending === null) {
    const silentMs = clock.monotonic() - heardAt
    ending = silentMs >= SILENCE_MS ? 'over' : await within(SILENCE_MS - silentMs, ended)
  }
  // A connection that is gone has nothing to unsubscribe from, and would never answer.
  await within(
    GOODBYE_MS,
    close().catch(() => undefined),
  )
  return ending
}

// ── A filter ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

type Filter = { readonly id: string; readonly gives: 'bodies' | 'hashes' }

export async function pollFilter(watch: Watch, wanted: Filter['gives']): Promise<Ending> {
  const { endpoint, clock } = watch
  let filter: Filter | null = null
  let heardAt = 0
  let losses: number[] = []
  /** @returns the ending, if it is one */
  const look = async (): Promise<Ending | null> => {
    if (filter !== null && clock.monotonic() - heardAt >= SILENCE_MS) filter = await uninstall(endpoint, filter)
    if (filter === null) {
      filter = await openFilter(endpoint, wanted)
      heardAt = clock.monotonic()
      if (filter.gives !== wanted) return 'hashes'
      watch.works()
      return null
    }
    const changes = parseChanges(await endpoint.request('eth_getFilterChanges', [filter.id]))
    if (changes.length > 0) heardAt = clock.monotonic()
    const hashes = tellBodies(watch, changes)
    await fetchBodies(watch, hashes)
    return hashes.length > 0 && wanted === 'bodies' ? 'hashes' : null
  }
  try {
    return await poll(watch, async () => {
      try {
        return await look()
      } catch (error) {
        if (!(error instanceof EndpointFailure) || error.kind !== 'filter-missing') throw error
        filter = null
        const now = clock.monotonic()
        losses = [...losses.filter(at => now - at < LOSSES_WITHIN_MS), now]
        return losses.length >= MAX_LOSSES ? 'forgotten' : look()
      }
    })
  } finally {
    await uninstall(endpoint, filter)
  }
}

/** With bodies where they are wanted and given (geth from 1.11 on); nodes that know no such parameter refuse it in many words. */
async function openFilter(endpoint: Endpoint, wanted: Filter['gives']): Promise<Filter> {
  const open = async (...params: readonly true[]) =>
    parseFilterId(await endpoint.request('eth_newPendingTransactionFilter', params))
  if (wanted === 'bodies') {
    try {
      return { id: await open(true), gives: 'bodies' }
    } catch (error) {
      if (!(error instanceof EndpointFailure) || isLasting(error)) throw error
    }
  }
  return { id: await open(), gives: 'hashes' }
}

/** At best: a filter that is not polled expires by itself. */
async function uninstall(endpoint: Endpoint, filter: Filter | null): Promise<null> {
  if (filter === null) return null
  const answer = endpoint.request('eth_uninstallFilter', [filter.id]).catch(() => undefined)
  await within(GOODBYE_MS, answer)
  return null
}

/** @returns the bare hashes among them */
function tellBodies({ tell }: Watch, changes: readonly unknown[]): Hash[] {
  return changes.flatMap(change => {
    const hash = parseBareHash(change)
    if (hash === null) tell(change)
    return hash ?? []
  })
}

async function fetchBodies({ endpoint, signal, tell, trouble }: Watch, hashes: readonly Hash[]): Promise<void> {
  if (hashes.length > MAX_BODIES)
    trouble(
      { left: hashes.length - MAX_BODIES },
      'The mempool tells of more than is asked for: the rest is left to the block',
    )
  await pMap(
    hashes.slice(0, MAX_BODIES),
    async hash => {
      if (!signal.aborted) tell(await endpoint.request('eth_getTransactionByHash', [hash]), hash)
    },
    { concurrency: BODIES_AT_ONCE },
  )
}

// ── The whole pool ───────────────────────────────────────────────────────────────────────────────────────────────────────

export async function pollPool(watch: Watch): Promise<Ending> {
  const { endpoint, tell, trouble, works } = watch
  let known: ReadonlySet<string> = new Set()
  return poll(watch, async () => {
    const waiting = parsePool(await endpoint.request('txpool_content', []))
    works()
    const present = new Set<string>()
    let left = 0
    for (const body of waiting) {
      const hash = parseHashOf(body)
      if (hash === null) continue
      if (present.size >= MAX_REMEMBERED) left += 1
      else if (known.has(hash) || tell(body)) present.add(hash)
    }
    known = present
    if (left > 0) trouble({ left }, 'The mempool holds more than is remembered: the rest is left to the block')
    return null
  })
}

// ── Common to all ────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Looks again and again. Throws what a look fails with several times in a row, and at once what would not get better. */
async function poll(
  { endpoint, pool, clock, pollMs, signal }: Watch,
  look: () => Promise<Ending | null>,
): Promise<Ending> {
  let failures = 0
  while (!signal.aborted) {
    const began = clock.monotonic()
    // The blocks come first: an endpoint that rests is left alone.
    const restMs = endpoint.standing.restMs('live')
    if (restMs > 0) {
      await sleep(restMs, signal)
      continue
    }
    try {
      const ending = await pool.once(endpoint, look, signal)
      if (ending !== null) return ending
      failures = 0
    } catch (error) {
      if (signal.aborted) break
      failures += 1
      if (failures >= MAX_FAILURES || isLasting(error)) throw error
    }
    const pauseMs = Math.max(pollMs, (clock.monotonic() - began) * REST_PER_WORK)
    await sleep(failures === 0 ? pauseMs : pauseMs + backoffMs(failures - 1, FAILED, randomFloat()), signal)
  }
  return 'over'
}

function isLasting(error: unknown): boolean {
  return error instanceof EndpointFailure && (error.kind === 'unsupported' || asksForRest(error.kind))
}
