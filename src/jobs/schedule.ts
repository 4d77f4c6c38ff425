/**
 * What is done by the clock and not by the chain, run by node-cron: the sweep of application rows, and giving rows to their owners.
 *
 * Always holds: no job runs twice at a time in one process, and several processes may run the same jobs: each piece of work is
 * claimed, or can be done twice with the same result.
 */

import { schedule } from 'node-cron'
import { AppError, describeError } from '../errors.ts'
import type { ChainContext } from '../steps/context.ts'
import { sweep } from '../steps/sweep.ts'

const EVERY_SECOND = '* * * * * *'
const EVERY_TWO_SECONDS = '*/2 * * * * *'
const EVERY_MINUTE = '17 * * * * *'
/** Wallets that one run attributes at most; the next run goes on. */
const MAX_WALLETS_PER_RUN = 500

export type Jobs = { stop(): Promise<void> }

export function startJobs(contexts: readonly ChainContext[], signal: AbortSignal): Jobs {
  const [first] = contexts
  if (first === undefined) return { stop: async () => undefined }
  const { store, chains, log, registry } = first
  const running = new Set<Promise<void>>()

  const add = (name: string, pattern: string, work: () => Promise<void>) => {
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
      const promise = guarded()
      running.add(promise)
      await promise
      running.delete(promise)
    }
    return schedule(pattern, run, { name, noOverlap: true, suppressMissedWarning: true, logger: silent })
  }

  const sweepRows = (scope: 'pending' | 'all') => async () => {
    const result = await sweep(store, contexts, scope, signal)
    if (result.enrolled + result.restored + result.found > 0) log.info({ ...result }, 'Application rows')
  }
  const tasks = [
    add('sweep-pending', EVERY_TWO_SECONDS, sweepRows('pending')),
    add('sweep-all', EVERY_MINUTE, sweepRows('all')),
    add('attribute', EVERY_SECOND, async () => {
      // Also while no block comes: what somebody owns is shown as theirs within seconds of signing up.
      await registry.refresh()
      for (let count = 0; count < MAX_WALLETS_PER_RUN && !signal.aborted; count += 1) {
        if (!(await store.attributeNextWallet(chains))) return
      }
    }),
  ]
  return {
    async stop() {
      for (const task of tasks) await task.destroy()
      await Promise.all(running)
    },
  }
}

/** node-cron tells of missed and overlapping runs; a job that is late is no news here. */
const silent = { info: () => undefined, warn: () => undefined, error: () => undefined, debug: () => undefined }
