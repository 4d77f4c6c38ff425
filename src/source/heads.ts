/**
 * New heads as a websocket tells them (`eth_subscribe newHeads`), from every endpoint that is one.
 *
 * What is told is a hint to look, and nothing more: it comes late, twice, of another branch, or not at all, and a socket can stay open
 * and say nothing for ever. So one that was silent for longer than the chain explains is left and opened anew, with pauses that grow,
 * and the polls beside it never stop.
 */

import { type Backoff, backoffMs } from '../core/backoff.ts'
import { describeError } from '../errors.ts'
import type { Clock } from '../runtime/clock.ts'
import { randomFloat } from '../runtime/random.ts'
import { sleep, within } from '../runtime/sleep.ts'
import type { Endpoint } from './endpoint.ts'
import { EndpointFailure } from './failure.ts'
import { parseHeader } from './parse.ts'
import type { Pool } from './pool.ts'
import type { HeadWatcher } from './source.ts'

const SUBSCRIBE_MS = 20_000
const GOODBYE_MS = 1_000
const AGAIN: Backoff = { baseMs: 500, maxMs: 60_000 }
/** Subscriptions may be offered after an upgrade, or by another node behind the address. */
const NOT_OFFERED_MS = 600_000

/** Until the signal; at once where no endpoint is a websocket. Never throws. */
export async function watchHeads(pool: Pool, clock: Clock, watcher: HeadWatcher, signal: AbortSignal): Promise<void> {
  const sockets = pool.endpoints.filter(({ isSocket }) => isSocket)
  await Promise.all(sockets.map(endpoint => keepWatching(pool, endpoint, clock, watcher, signal)))
}

async function keepWatching(
  pool: Pool,
  endpoint: Endpoint,
  clock: Clock,
  watcher: HeadWatcher,
  signal: AbortSignal,
): Promise<void> {
  let failures = 0
  while (!signal.aborted) {
    let pauseMs: number
    try {
      const heard = await watchOnce(pool, endpoint, clock, watcher, signal)
      if (signal.aborted) return
      failures = heard ? 0 : failures + 1
      pauseMs = heard ? 0 : backoffMs(failures - 1, AGAIN, randomFloat())
      watcher.onTrouble({ endpoint: endpoint.name }, 'The websocket fell silent or closed; it is opened anew')
    } catch (error) {
      failures += 1
      const isMissing = error instanceof EndpointFailure && error.kind === 'unsupported'
      pauseMs = isMissing ? NOT_OFFERED_MS : backoffMs(failures - 1, AGAIN, randomFloat())
      if (!signal.aborted)
        watcher.onTrouble(
          { endpoint: endpoint.name, reason: describeError(error) },
          'New heads are not told over this websocket for now; they are polled for',
        )
    }
    await sleep(Math.max(pauseMs, endpoint.standing.barredMs('live')), signal)
  }
}

/** @returns when the socket closed or fell silent: whether it had told anything */
async function watchOnce(
  pool: Pool,
  endpoint: Endpoint,
  clock: Clock,
  watcher: HeadWatcher,
  signal: AbortSignal,
): Promise<boolean> {
  const { promise: ended, resolve: end } = Promise.withResolvers<void>()
  let hasHeard = false
  let heardAt = clock.monotonic()
  const onData = (data: unknown) => {
    try {
      const header = parseHeader(data)
      heardAt = clock.monotonic()
      hasHeard = true
      endpoint.standing.noteHead(header.number)
      watcher.onHead(header, endpoint.name)
    } catch (error) {
      watcher.onTrouble({ endpoint: endpoint.name, reason: describeError(error) }, 'A head that was told is none')
    }
  }
  const opening = pool.once(endpoint, () => endpoint.subscribe(['newHeads'], onData, () => end()), signal)
  const close = await within(SUBSCRIBE_MS, opening)
  if (close === null) {
    // Should it be answered after all, nobody listens any more.
    void opening.then(late => late()).catch(() => undefined)
    endpoint.reset()
    return false
  }
  const onAbort = () => end()
  signal.addEventListener('abort', onAbort, { once: true })
  if (signal.aborted) end()
  const isOver = ended.then(() => true)
  const leftMs = () => watcher.silenceMs - (clock.monotonic() - heardAt)
  while (leftMs() > 0 && (await within(leftMs(), isOver)) === null) continue
  const isSilent = leftMs() <= 0
  signal.removeEventListener('abort', onAbort)
  // A connection that is gone, or deaf, has nothing to unsubscribe from, and would never answer.
  if (isSilent) endpoint.reset()
  else
    await within(
      GOODBYE_MS,
      close().catch(() => undefined),
    )
  return hasHeard
}
