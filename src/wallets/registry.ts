/**
 * Who owns an address: the tracked wallets in memory.
 *
 * Always holds: what it says is the set of some version of `indexer.registry`, whole; a commit names that version and is refused if
 * it is no longer the current one. Versions count within one history of the database: after a failover or a restore the set is read
 * anew, because the same number may stand for another set there.
 *
 * Before every match one query looks for what is new: all users while they are few, else those who signed up last. The others (who
 * changed their wallet, were deleted, or committed late) are found by rounds through all users, slice by slice: at once where the
 * database tells that something happened which the look does not explain, else in a small part of the time. No match waits for that.
 * Who is found late lacks the blocks since, which the coverage says, and which are filled later.
 */

import { AppError } from '../errors.ts'
import type { Address } from '../core/types.ts'
import { createWalletSet } from '../core/wallet-set.ts'
import type { Clock } from '../runtime/clock.ts'
import type { SetState, Store } from '../store/store.ts'

/** So few users are all compared every time: that costs no more than looking for the newest. */
const FEW_USERS = 200
/** Users of a slice of the rounds. */
const SLICE = 4_000
/** How long one call may go on with a round that nobody waits for: a twentieth of a second, of each second. */
const ROUND_SHARE_MS = 50
/** Where so many came at once, more of them may be behind those that a look sees. */
const MANY_NEW = 5_000
/** What was told within this time of a look that found something is what it found. */
const EXPLAINED_MS = 2_000
/** A round that was asked for is followed by a rest this many times as long: who is told of something all the time looks a third of it. */
const REST_AFTER_ROUND = 2

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
  /**
   * Takes in what changed: by one cheap query, which finds the newest users; `now`: all users are compared, seconds for a million.
   * The first one of a process compares all.
   *
   * @throws AppError ABORTED, or whatever the store throws
   */
  refresh(which?: 'newest' | 'now', signal?: AbortSignal): Promise<void>
  /** The application changed its users: what the next look does not explain is searched for at once. */
  readonly hint: () => void
  /** Goes on with the rounds through all users. To be called once a second, and after a hint. */
  compareOn(signal: AbortSignal): Promise<void>
}

type RegistryStore = Pick<Store, 'compareNewest' | 'compareSlice' | 'compareAll' | 'readWallets'>

export function createRegistry(store: RegistryStore, clock: Clock): Registry {
  const { follow, current, state } = createFollowedSet(store)
  const running: { newest: Promise<void> | null; now: Promise<void> | null } = { newest: null, now: null }
  let isFirst = true
  /** As far as is known. */
  let areFew = false
  let foundAt = Number.NEGATIVE_INFINITY
  /** After which address the round goes on. */
  let after = ''
  let isHinted = false
  /** A whole round is wanted. */
  let isAsked = false
  let restUntil = Number.NEGATIVE_INFINITY

  const lookAtNewest = async () => {
    const seen = areFew ? await store.compareSlice('', FEW_USERS) : await store.compareNewest()
    if ('upto' in seen && seen.upto !== null) areFew = false
    if (seen.changes > 0) foundAt = clock.monotonic()
    if (seen.changes >= MANY_NEW) isAsked = true
    await follow(seen)
  }

  const compareAll = async (signal?: AbortSignal) => {
    await follow(await store.compareAll(signal))
    isFirst = false
    areFew = current().size <= FEW_USERS
  }

  const refresh: Registry['refresh'] = async (which = 'newest', signal) => {
    const wanted = isFirst ? 'now' : which
    for (;;) {
      try {
        // Chains share one registry: those who ask while it looks wait for the same look.
        running[wanted] ??= (wanted === 'now' ? compareAll(signal) : lookAtNewest()).finally(() => {
          running[wanted] = null
        })
        await running[wanted]
        return
      } catch (error) {
        // Whoever began it was stopped, and the others go on.
        const isOthers = error instanceof AppError && error.code === 'ABORTED' && signal?.aborted !== true
        if (!isOthers) throw error
      }
    }
  }

  const takeHint = async (signal: AbortSignal) => {
    isHinted = false
    try {
      await refresh('newest', signal)
    } catch (error) {
      isAsked = true
      throw error
    }
    if (!areFew && clock.monotonic() - foundAt > EXPLAINED_MS) isAsked = true
  }

  return {
    get version() {
      return state().version
    },
    get history() {
      return state().history
    },
    get size() {
      return current().size
    },
    isTracked: address => current().has(address),
    tracksAt: (text, at) => current().hasAt(text, at),
    ownerOf: address => current().ownerOf(address),
    refresh,
    hint: () => {
      isHinted = true
    },
    async compareOn(signal) {
      if (isHinted) await takeHint(signal)
      const began = clock.monotonic()
      const isUrgent = isAsked && began >= restUntil
      if (isUrgent) after = ''
      const isDue = () => !signal.aborted && (isUrgent || clock.monotonic() - began < ROUND_SHARE_MS)
      do {
        const seen = await store.compareSlice(after, SLICE)
        after = seen.upto ?? ''
        await follow(seen)
      } while (after !== '' && isDue())
      if (after !== '') return
      areFew = current().size <= FEW_USERS
      if (!isUrgent) return
      isAsked = false
      restUntil = clock.monotonic() + (clock.monotonic() - began) * REST_AFTER_ROUND
    },
  }
}

/** The set in memory, which follows the one in the database. */
function createFollowedSet(store: Pick<Store, 'readWallets'>) {
  let set = createWalletSet()
  let state: SetState = { version: 0, history: '' }
  let turn: Promise<void> = Promise.resolve()

  const takeIn = async (seen: SetState) => {
    if (seen.version === state.version && seen.history === state.history) return
    // While changes come in, the set is newer than its version says: what is matched meanwhile is refused.
    let into = set
    const reached = await store.readWallets(state, {
      beginWhole: expected => {
        into = createWalletSet(expected)
      },
      take: records => into.take(records),
    })
    set = into
    state = reached
  }
  return {
    current: () => set,
    state: () => state,
    /** One at a time: older records must not come after newer ones. */
    follow: (seen: SetState): Promise<void> => {
      turn = turn.catch(() => undefined).then(() => takeIn(seen))
      return turn
    },
  }
}
