/**
 * Who owns an address: the tracked wallets in memory.
 *
 * Always holds: what it says is the set of some version of `indexer.registry`, whole; a commit names that version and is refused if
 * it is no longer the current one. Versions count within one history of the database: after a failover or a restore the set is read
 * anew, because the same number may stand for another set there. The comparison with the application's users costs more the more users there are, so it is made
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
  /** The history of the database that the version belongs to: the same number in another one is another set. */
  readonly history: string
  readonly size: number
  readonly isTracked: (address: Address) => boolean
  /** Whether the 40 lower-case hex digits that begin at a place of a text are the address of a tracked wallet. */
  readonly tracksAt: (text: string, at: number) => boolean
  /** The user who owns a wallet; null for watched ones and strangers. */
  readonly ownerOf: (address: Address) => string | null
  /** Takes in what changed. Skipped where the last comparison was costly and recent, unless `now` is asked for. */
  refresh(when?: 'now' | 'if-due'): Promise<void>
}

export function createRegistry(store: Pick<Store, 'history' | 'syncWallets' | 'loadWallets'>, clock: Clock): Registry {
  let owners = new Map<Address, string | null>()
  let version = 0
  let history = ''
  let dueAt = 0
  let running: Promise<void> | null = null

  const load = async () => {
    const started = clock.monotonic()
    // Asked first: if the history changes in between, the next refresh still sees that it did.
    const known = await store.history()
    const current = await store.syncWallets()
    if (known !== history || current < version) {
      const anew = new Map<Address, string | null>()
      await takeIn(anew, 0)
      owners = anew
    } else if (current > version) await takeIn(owners, version)
    history = known
    version = current
    const took = clock.monotonic() - started
    dueAt = took <= CHEAP_MS ? 0 : clock.monotonic() + Math.min(took / MAX_SHARE_OF_TIME, MAX_INTERVAL_MS)
  }

  const takeIn = async (into: Map<Address, string | null>, sinceVersion: number) => {
    for await (const changes of store.loadWallets(sinceVersion)) {
      for (const { address, userId, tracked } of changes) {
        if (tracked) into.set(address, userId)
        else into.delete(address)
      }
    }
  }

  return {
    get version() {
      return version
    },
    get history() {
      return history
    },
    get size() {
      return owners.size
    },
    isTracked: address => owners.has(address),
    tracksAt: (text, at) => owners.has(`0x${text.slice(at, at + 40)}`),
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
