/**
 * What a step is given: the chain, the two ports, the wallets, and the places to wait and to tell.
 */

import type { Chain } from '../core/chain.ts'
import type { Clock } from '../runtime/clock.ts'
import type { Source } from '../source/source.ts'
import type { Store } from '../store/store.ts'
import type { Registry } from '../wallets/registry.ts'

/** The part of a logger that steps use. */
export type Log = {
  debug(facts: object, message: string): void
  info(facts: object, message: string): void
  warn(facts: object, message: string): void
  error(facts: object, message: string): void
}

export type ChainContext = {
  readonly chain: Chain
  /** All chains of this process: a transaction may stand on several. */
  readonly chains: ReadonlyMap<number, Chain>
  readonly source: Source
  readonly store: Store
  readonly registry: Registry
  readonly clock: Clock
  readonly log: Log
}
