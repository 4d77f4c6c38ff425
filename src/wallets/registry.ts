/**
 * Who owns an address: the tracked wallets in memory.
 *
 * Always holds: what it says is the set of some version of `indexer.registry`, whole; a commit names that version and is refused if
 * it is no longer the current one. The comparison with the application's users costs more the more users there are, so it is made
 * before every match while it is cheap and less often when it is not.
 */

import type { Address } from '../core/types.ts'
import type { Clock } from '../runtime/clock.ts'
import type { Store } from '../store/store.ts'

/** A comparison this short is always made. */
const CHEAP_MS = 50
/** A longer one may take this part of the time at most; what it finds late is missing in the coverage, and filled later. */
const MAX_SHARE_OF_TIME = 1 / 10
const MAX_INTERVAL_MS = 30_000

export type Registry = {
  readonly version: number
  readonly size: number
  readonly isTracked: (address: Address) => boolean
  /** The user who owns a wallet; null for watched ones and strangers. */
  readonly ownerOf: (address: Address) => string | null
  /** Takes in what changed. Skipped where the last comparison was costly and recent, unless `now` is asked for. */
  refresh(when?: 'now' | 'if-due'): Promise<void>
}

export function createRegistry(store: Pick<Store, 'syncWallets' | 'loadWallets'>, clock: Clock): Registry {
  const owners = new Map<Address, string | null>()
  let version = 0
  let dueAt = 0
  let running: Promise<void> | null = null

  const load = async () => {
    const started = clock.monotonic()
    const current = await store.syncWallets()
    if (current > version) {
      for await (const changes of store.loadWallets(version)) {
        for (const { address, userId, tracked } of changes) {
          if (tracked) owners.set(address, userId)
          else owners.delete(address)
        }
      }
      version = current
    }
    const took = clock.monotonic() - started
    dueAt = took <= CHEAP_MS ? 0 : clock.monotonic() + Math.min(took / MAX_SHARE_OF_TIME, MAX_INTERVAL_MS)
  }

  return {
    get version() {
      return version
    },
    get size() {
      return owners.size
    },
    isTracked: address => owners.has(address),
    ownerOf: address => owners.get(address) ?? null,
    async refresh(when = 'if-due') {
      if (when === 'if-due' && clock.monotonic() < dueAt) return
      // Chains share one registry: those who ask while it loads wait for the same load.
      running ??= load().finally(() => {
        running = null
      })
      await running
    },
  }
}
