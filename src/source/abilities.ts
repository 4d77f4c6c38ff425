/**
 * What an endpoint can do, as far as it has shown.
 *
 * Always holds: nothing is assumed missing before the endpoint said so, and nothing that it once lacked is held against it for ever:
 * after a while it is asked again, because nodes are upgraded, plans change, and behind one address stand several nodes.
 */

import type { Clock } from '../runtime/clock.ts'

const ABILITIES = ['blockReceipts', 'logs', 'tags', 'archive', 'traces'] as const
export type Ability = (typeof ABILITIES)[number]

const ASK_AGAIN_AFTER_MS = 600_000

export type Abilities = {
  /** False only while it is known to lack it. */
  may(ability: Ability): boolean
  note(ability: Ability, has: boolean): void
  /** Resolves when it did what it could not do before, or the other way round; or at the signal. */
  contradiction(signal: AbortSignal): Promise<void>
  /** What is known; null: nothing yet. */
  known(): Readonly<Record<Ability, boolean | null>>
}

export function createAbilities(clock: Clock): Abilities {
  const noted = new Map<Ability, { readonly has: boolean; readonly at: number }>()
  let contradicts = false
  let tell: (() => void) | null = null
  return {
    may(ability) {
      const known = noted.get(ability)
      return known === undefined || known.has || clock.monotonic() - known.at >= ASK_AGAIN_AFTER_MS
    },
    note(ability, has) {
      const before = noted.get(ability)
      noted.set(ability, { has, at: clock.monotonic() })
      if (before === undefined || before.has === has) return
      contradicts = true
      tell?.()
    },
    async contradiction(signal) {
      if (!contradicts && !signal.aborted) {
        const { promise, resolve } = Promise.withResolvers<void>()
        tell = resolve
        signal.addEventListener('abort', () => resolve(), { once: true })
        await promise
      }
      contradicts = false
    },
    known: () =>
      Object.fromEntries(ABILITIES.map(ability => [ability, noted.get(ability)?.has ?? null])) as Record<
        Ability,
        boolean | null
      >,
  }
}
