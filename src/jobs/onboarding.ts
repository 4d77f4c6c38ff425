/**
 * The job that fills the past of wallets: one at a time for each chain, beside its follower.
 *
 * Always holds: whoever stops it waits for one question at most; an error is told, waited out and tried again, and touches neither the
 * chain nor the other chains.
 */

import { backoffMs } from '../core/backoff.ts'
import { randomFloat, uniqueName } from '../runtime/random.ts'
import { sleep } from '../runtime/sleep.ts'
import type { ChainContext } from '../steps/context.ts'
import { onboard } from '../steps/onboard.ts'
import type { OnboardingCount } from '../store/store.ts'
import type { Tell } from './job.ts'

/** A wallet that was linked is taken up within this. */
const IDLE_MS = 1_000
const RETRY = { baseMs: 1_000, maxMs: 30_000 }
/** Counting costs a pass over what is lacking. */
const COUNT_EVERY_MS = 15_000

export type OnboardingState = { readonly chainId: number; readonly count: OnboardingCount | null }
export type Onboarding = { readonly ended: Promise<void>; readonly state: () => OnboardingState }

/** @param isHeld while it says so, nothing is begun. @param tell of troubles, as all jobs do */
export function startOnboarding(
  context: ChainContext,
  isHeld: () => boolean,
  tell: Tell,
  signal: AbortSignal,
): Onboarding {
  const { chain, clock, log, store } = context
  const holder = uniqueName()
  let count: OnboardingCount | null = null
  let countDueAt = Number.NEGATIVE_INFINITY

  const turn = async (): Promise<boolean> => {
    const done = await onboard(context, holder, signal)
    if (done !== null)
      log.info({ chain: chain.name, ...done }, 'The history of wallets was filled, as far as it is final')
    if (done !== null || clock.monotonic() >= countDueAt) {
      count = await store.countOnboarding(chain.id)
      countDueAt = clock.monotonic() + COUNT_EVERY_MS
    }
    return done !== null && done.failed < done.wallets
  }
  const loop = async () => {
    let failures = 0
    while (!signal.aborted) {
      try {
        const hasMore = !isHeld() && (await turn())
        failures = 0
        if (!hasMore) await sleep(IDLE_MS, signal)
      } catch (error) {
        if (signal.aborted) return
        tell('onboarding', error)
        await sleep(backoffMs(failures, RETRY, randomFloat()), signal)
        failures += 1
      }
    }
  }
  return { ended: loop(), state: () => ({ chainId: chain.id, count }) }
}
