/**
 * The claims that this process holds: renewed by a heartbeat while it works on them.
 *
 * Always holds: only what was given to somebody here is renewed. A claim that the database made and whose answer was lost on the way
 * runs out by itself, so that nobody waits for a worker that does not know of it.
 */

import { describeError } from '../errors.ts'
import { sleep } from '../runtime/sleep.ts'
import type { Claim } from '../store/store.ts'
import type { ChainContext } from './context.ts'

/** Renewals within the life of a claim: some may fail. */
const RENEWALS = 4

export type HeldClaims = {
  add(claim: Claim): void
  remove(claim: Claim): void
  clear(): void
  /** Renews no more. */
  end(): Promise<void>
}

export function holdClaims({ store, log, chain }: ChainContext, claimTtlMs: number): HeldClaims {
  const held = new Map<string, Claim>()
  const ended = new AbortController()
  const renew = async () => {
    while (!ended.signal.aborted) {
      await sleep(claimTtlMs / RENEWALS, ended.signal)
      if (ended.signal.aborted || held.size === 0) continue
      try {
        await store.renewClaims([...held.values()])
      } catch (error) {
        // Whether they are lost shows when the next piece is committed.
        log.debug({ chain: chain.name, reason: describeError(error) }, 'Claims could not be renewed yet')
      }
    }
  }
  const renewing = renew()
  return {
    add: claim => void held.set(claim.pieceId, claim),
    remove: claim => void held.delete(claim.pieceId),
    clear: () => held.clear(),
    async end() {
      ended.abort()
      await renewing
    },
  }
}
