/**
 * What is done by the clock and not by the chain, run by node-cron: the sweep of application rows, and giving rows to their owners.
 * Where the database tells of what the application does (NOTIFY), they run at once besides.
 *
 * Always holds: no job runs twice at a time in one process, and several processes may run the same jobs: each piece of work is
 * claimed, or can be done twice with the same result. Nothing relies on a notification: the clock comes anyway.
 */

import { schedule, type ScheduledTask } from 'node-cron'
import { AppError, describeError } from '../errors.ts'
import type { ChainContext } from '../steps/context.ts'
import { sleep } from '../runtime/sleep.ts'
import { watchMempool } from '../steps/mempool.ts'
import { sweep } from '../steps/sweep.ts'

const EVERY_SECOND = '* * * * * *'
const EVERY_TWO_SECONDS = '*/2 * * * * *'
const EVERY_MINUTE = '17 * * * * *'
/** Wallets that one run attributes at most; the next run goes on. */
const MAX_WALLETS_PER_RUN = 500
const NOTIFIED_PAUSE_MS = 200

export type Jobs = { stop(): Promise<void> }

type Job = { readonly task: ScheduledTask; readonly run: () => Promise<void> }

export function startJobs(contexts: readonly ChainContext[], signal: AbortSignal): Jobs {
  const [first] = contexts
  if (first === undefined) return { stop: async () => undefined }
  const { store, chains, log, registry } = first
  const running = new Set<Promise<void>>()

  const add = (name: string, pattern: string, work: () => Promise<void>): Job => {
    let current: Promise<void> | null = null
    const guarded = async () => {
      try {
        if (!signal.aborted) await work()
      } catch (error) {
        // The database's or the nodes' trouble is told by the chains' loops; a job just comes again.
        const isKnown = error instanceof AppError && error.retryable
        if (!signal.aborted)
          log[isKnown ? 'debug' : 'error']({ job: name, reason: describeError(error) }, 'A job failed; it comes again')
      }
    }
    const run = async () => {
      // Whoever comes while it runs is content with that run or the next.
      if (current !== null) return current
      current = guarded()
      running.add(current)
      await current
      running.delete(current)
      current = null
    }
    return { task: schedule(pattern, run, { name, suppressMissedWarning: true, logger: silent }), run }
  }

  const sweepRows = (scope: 'pending' | 'all') => async () => {
    const result = await sweep(store, contexts, scope, signal)
    if (Object.values(result).some(count => count > 0)) log.info({ ...result }, 'Application rows')
  }
  const sweepPending = add('sweep-pending', EVERY_TWO_SECONDS, sweepRows('pending'))
  const sweepAll = add('sweep-all', EVERY_MINUTE, sweepRows('all'))
  const attribute = add('attribute', EVERY_SECOND, async () => {
    // Also while no block comes: what somebody owns is shown as theirs within seconds of signing up.
    await registry.refresh()
    for (let count = 0; count < MAX_WALLETS_PER_RUN && !signal.aborted; count += 1) {
      if (!(await store.attributeNextWallet(chains))) return
    }
  })
  const hear = (what: 'users' | 'transactions', job: Job) => {
    let isQueued = false
    const runSoon = async () => {
      if (isQueued) return
      isQueued = true
      // Our own commits notify too: many of them are one run.
      await sleep(NOTIFIED_PAUSE_MS, signal)
      isQueued = false
      await job.run()
    }
    return listenQuietly(first, what, () => void runSoon())
  }
  const watching = contexts.map(context => watchMempool(context, signal))
  const listening = [hear('transactions', sweepPending), hear('users', attribute)]
  return {
    async stop() {
      for (const { task } of [sweepPending, sweepAll, attribute]) await task.destroy()
      for (const end of await Promise.all(listening)) await end()
      await Promise.all([...running, ...watching])
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

/** node-cron tells of missed and overlapping runs; a job that is late is no news here. */
const silent = { info: () => undefined, warn: () => undefined, error: () => undefined, debug: () => undefined }
