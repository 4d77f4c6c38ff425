/**
 * The endpoints of a chain: which one is asked, and what happens when it fails.
 *
 * Always holds: no answer is taken from an endpoint whose chain id was not verified since it last failed; every question ends, by an
 * answer, by an error after a bounded number of attempts, or by the abort signal; an endpoint that fails rests, longer each time.
 * With one endpoint everything still works: it is asked again after its rest.
 */

import { type Backoff, backoffMs } from '../core/backoff.ts'
import { AppError, describeError, isRetryable } from '../errors.ts'
import type { Clock } from '../runtime/clock.ts'
import { randomFloat } from '../runtime/random.ts'
import { sleep } from '../runtime/sleep.ts'
import type { Endpoint } from './endpoint.ts'
import { asksForRest, EndpointFailure, gaveNoAnswer } from './failure.ts'
import { parseQuantity } from './parse.ts'

const ATTEMPTS_PER_ENDPOINT = 3
const MIN_ATTEMPTS = 6
const REST: Backoff = { baseMs: 100, maxMs: 30_000 }
const THROTTLED_REST: Backoff = { baseMs: 1_000, maxMs: 120_000 }
const MAX_WAIT_MS = 5_000

export type Pool = {
  /** Runs `work` on the best endpoint; on a fault that another one may not have, on the next. */
  attempt<T>(work: (endpoint: Endpoint) => Promise<T>, signal: AbortSignal): Promise<T>
  /** Runs `work` on one endpoint and no other, once. */
  once<T>(endpoint: Endpoint, work: () => Promise<T>, signal: AbortSignal): Promise<T>
}

export function createPool(chainId: number, endpoints: readonly Endpoint[], clock: Clock): Pool {
  const attempts = Math.max(MIN_ATTEMPTS, endpoints.length * ATTEMPTS_PER_ENDPOINT)

  /** The endpoint that has rested and failed least; if all rest, the one that wakes first. */
  const choose = (): Endpoint => {
    const now = clock.monotonic()
    const [best] = endpoints.toSorted(
      (a, b) =>
        Math.max(a.restsUntil - now, 0) - Math.max(b.restsUntil - now, 0) ||
        a.consecutiveFailures - b.consecutiveFailures,
    )
    if (best === undefined) throw new AppError('CONFIG_INVALID', `Chain ${chainId} has no RPC endpoint.`)
    return best
  }

  return {
    async once(endpoint, work, signal) {
      if (!endpoint.chainVerified) await abortable(verifyChain(endpoint, chainId), signal)
      return abortable(work(), signal)
    },
    async attempt(work, signal) {
      let last: unknown
      for (let attempt = 0; attempt < attempts; attempt += 1) {
        const endpoint = choose()
        await sleep(Math.min(Math.max(endpoint.restsUntil - clock.monotonic(), 0), MAX_WAIT_MS), signal)
        if (signal.aborted) throw new AppError('ABORTED', 'The question was given up because the daemon stops.')
        try {
          if (!endpoint.chainVerified) await abortable(verifyChain(endpoint, chainId), signal)
          const answer = await abortable(work(endpoint), signal)
          endpoint.noteSuccess()
          return answer
        } catch (error) {
          if (!isRetryable(error)) throw error
          last = error
          // Behind the same address there may be another node by now.
          if (error instanceof EndpointFailure && gaveNoAnswer(error.kind)) endpoint.chainVerified = false
          endpoint.noteFailure(describeError(error), restAfter(error, endpoint.consecutiveFailures))
        }
      }
      throw last instanceof AppError && last.code === 'RPC_INCONSISTENT'
        ? last
        : new AppError('RPC_UNAVAILABLE', `No endpoint of chain ${chainId} answered after ${attempts} attempts.`, {
            facts: { chain: chainId, endpoints: endpoints.length, last: describeError(last) },
            hint: 'The daemon goes on trying; check the endpoints with `doctor`.',
            cause: last,
          })
    },
  }
}

function restAfter(error: unknown, failuresBefore: number): number {
  const kind = error instanceof EndpointFailure ? error.kind : null
  if (kind !== null && asksForRest(kind)) {
    const asked = error instanceof EndpointFailure ? error.retryAfterMs : null
    return Math.max(asked ?? 0, backoffMs(failuresBefore, THROTTLED_REST, randomFloat()))
  }
  return backoffMs(failuresBefore, REST, randomFloat())
}

async function verifyChain(endpoint: Endpoint, chainId: number): Promise<void> {
  const answered = Number(parseQuantity(await endpoint.request('eth_chainId', []), 'chain id'))
  if (answered !== chainId) {
    throw new AppError('RPC_WRONG_CHAIN', `${endpoint.name} serves chain ${answered}, not ${chainId}.`, {
      facts: { endpoint: endpoint.name, expected: chainId, answered },
      hint: 'Correct the RPC URL of this chain.',
    })
  }
  endpoint.chainVerified = true
}

/** Settles with the work, or rejects as soon as the signal aborts; what the work then still does is nobody's business. */
async function abortable<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>()
  const onAbort = () => reject(new AppError('ABORTED', 'The question was given up because the daemon stops.'))
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    return await Promise.race([work, promise])
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}
