/**
 * Working under a lease: it is renewed while the work goes on, and the work is aborted when it is lost.
 */

import { describeError } from '../errors.ts'
import { sleep } from '../runtime/sleep.ts'
import { LEASE_TTL_MS, type Lease } from '../store/store.ts'
import type { ChainContext } from './context.ts'

const RENEW_EVERY_MS = LEASE_TTL_MS / 4
/** A database that takes longer to take a lease back will see it expire. */
const RELEASE_DEADLINE_MS = 2_000

/** The lease that guards the blocks of a chain that are not final, and its checkpoint. */
export function leaseName(chainId: number): string {
  return `chain:${chainId}`
}

/** Runs the work with a signal that also aborts when the lease is lost, and gives the lease back at the end. */
export async function whileHolding<T>(
  context: ChainContext,
  lease: Lease,
  signal: AbortSignal,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const ended = new AbortController()
  const both = AbortSignal.any([signal, ended.signal])
  const heartbeat = renewUntil(context, lease, both, () => ended.abort())
  try {
    return await work(both)
  } finally {
    ended.abort()
    await heartbeat
    // It is given back so that a successor need not wait; if that fails, it expires by itself.
    const released = context.store.releaseLease(lease).catch((error: unknown) => {
      context.log.debug(
        { chain: context.chain.name, reason: describeError(error) },
        'The lease could not be given back',
      )
    })
    const answered = new AbortController()
    await Promise.race([released, sleep(RELEASE_DEADLINE_MS, answered.signal)])
    answered.abort()
  }
}

/** Renews until aborted; tells when the lease is lost. One that can't be renewed is lost by time. */
async function renewUntil(
  { store, clock, log, chain }: ChainContext,
  lease: Lease,
  signal: AbortSignal,
  onLost: () => void,
): Promise<void> {
  let renewedAt = clock.monotonic()
  while (!signal.aborted) {
    await sleep(RENEW_EVERY_MS, signal)
    if (signal.aborted) return
    try {
      // A database that hangs must not keep the work from being stopped.
      const isOurs = await unlessAborted(store.renewLease(lease), signal)
      if (isOurs === null) return
      if (!isOurs) {
        log.warn({ chain: chain.name }, 'Another process took over this chain')
        onLost()
        return
      }
      renewedAt = clock.monotonic()
    } catch (error) {
      log.debug({ chain: chain.name, reason: describeError(error) }, 'The lease could not be renewed yet')
      if (clock.monotonic() - renewedAt > LEASE_TTL_MS) onLost()
    }
  }
}

/** Settles with the work, or with null as soon as the signal aborts. */
async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T | null> {
  const { promise, resolve } = Promise.withResolvers<null>()
  const onAbort = () => resolve(null)
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    return await Promise.race([work, promise])
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}
