/**
 * What is done by the clock and not by the chain: the sweep of application rows, the rounds through all users, giving rows to their
 * owners, and the past of wallets.
 * Where the database tells of what the application does (NOTIFY), they run at once besides.
 *
 * Always holds: no job runs twice at a time in one process, and several processes may run the same jobs: each piece of work is
 * claimed, or can be done twice with the same result. Nothing relies on a notification: the clock comes anyway.
 */

import { describeError } from '../errors.ts'
import { sleep } from '../runtime/sleep.ts'
import type { ChainContext } from '../steps/context.ts'
import { watchMempool } from '../steps/mempool.ts'
import { sweep } from '../steps/sweep.ts'
import { beat } from './beat.ts'
import { createJob, createTeller, type Job } from './job.ts'
import { type OnboardingState, startOnboarding } from './onboarding.ts'

const EVERY_MINUTE = '17 * * * * *'
const SWEEP_EVERY_BEATS = 2
/** Wallets that one run attributes at most; the next run goes on. */
const MAX_WALLETS_PER_RUN = 500
const NOTIFIED_PAUSE_MS = 200
const HELD_PAUSE_MS = 500

export type Jobs = {
  /** How many wallets wait for their history, by chain. */
  onboarding(): readonly OnboardingState[]
  stop(): Promise<void>
}

/** @param isHeld while it says so, nothing is written: rows that are missing are not to be made up for from what is left of them */
export function startJobs(contexts: readonly ChainContext[], signal: AbortSignal, isHeld = () => false): Jobs {
  const [first] = contexts
  if (first === undefined) return { onboarding: () => [], stop: async () => undefined }
  const { store, chains, log, registry, clock } = first
  const stopped = new AbortController()
  const tell = createTeller(first)
  const add = (name: string, work: () => Promise<void>) =>
    createJob({ work, isHeld, onError: error => tell(name, error) }, signal)

  const sweepRows = (scope: 'pending' | 'all') => async () => {
    const result = await sweep(store, contexts, scope, signal)
    if (Object.values(result).some(count => count > 0)) log.info({ ...result }, 'Application rows')
  }
  const sweepPending = add('sweep-pending', sweepRows('pending'))
  const sweepAll = add('sweep-all', sweepRows('all'))
  const attribute = add('attribute', async () => {
    // Also while no block comes: what somebody owns is shown as theirs within seconds of signing up.
    await registry.refresh('newest', signal)
    for (let count = 0; count < MAX_WALLETS_PER_RUN && !signal.aborted; count += 1) {
      if (!(await store.attributeNextWallet(chains))) return
    }
  })
  const compare = add('compare-users', () => registry.compareOn(signal))
  const hear = (what: 'users' | 'transactions', jobs: readonly Job[], onHeard?: () => void) => {
    let isQueued = false
    const runSoon = async () => {
      if (isQueued) return
      isQueued = true
      // Our own commits notify too: many of them are one run.
      await sleep(NOTIFIED_PAUSE_MS, signal)
      isQueued = false
      for (const job of jobs) await job.run()
    }
    return listenQuietly(first, what, () => {
      onHeard?.()
      void runSoon()
    })
  }
  const watching = contexts.map(context => watchMempool(context, signal))
  const listening = [hear('transactions', [sweepPending]), hear('users', [attribute, compare], registry.hint)]
  const until = AbortSignal.any([signal, stopped.signal])
  const onboarding = contexts.map(context => startOnboarding(context, isHeld, tell, until))
  // What was overwritten or lost while nobody looked is not left for another minute.
  const begin = async () => {
    while (isHeld() && !until.aborted) await sleep(HELD_PAUSE_MS, until)
    if (!until.aborted) await sweepAll.run()
  }
  const beginning = begin()
  const beating = beat(
    clock,
    [
      { job: attribute, everyBeats: 1 },
      { job: compare, everyBeats: 1 },
      { job: sweepPending, everyBeats: SWEEP_EVERY_BEATS },
      { job: sweepAll, pattern: EVERY_MINUTE },
    ],
    until,
  )
  return {
    onboarding: () => onboarding.map(({ state }) => state()),
    async stop() {
      stopped.abort()
      await Promise.all([beating, beginning, ...onboarding.map(({ ended }) => ended)])
      for (const end of await Promise.all(listening)) await end()
      await Promise.all([...[sweepPending, sweepAll, attribute, compare].map(job => job.ended()), ...watching])
    },
  }
}

/** A database that can't tell is looked at by the clock alone. @returns ends it */
async function listenQuietly(
  { store, log }: ChainContext,
  what: 'users' | 'transactions',
  onNotify: () => void,
): Promise<() => Promise<void>> {
  try {
    const end = await store.listen(what, onNotify)
    return () => end().catch(() => log.debug({ what }, 'Listening ended with its connection'))
  } catch (error) {
    log.debug({ what, reason: describeError(error) }, 'The database does not notify; the sweep looks by itself')
    return async () => undefined
  }
}
