/**
 * Blocks for a backfill, by the way that costs the fewest requests, and of each what concerned somebody when it came.
 *
 * Where few blocks concern anybody, a block and its part of a question for logs is about one request. Where most do, their receipts are
 * needed anyway, and asked for at once. Which it is shows in the blocks that came before.
 */

import type { Range } from '../core/range.ts'
import { needsReceipts } from '../core/sieve.ts'
import type { Address, Block, Hash } from '../core/types.ts'
import { completeBlocks, interestIn } from './complete.ts'
import type { ChainContext } from './context.ts'

/** With a larger share of blocks that need their receipts, logs are not asked for besides. */
const WHOLE_FROM_SHARE = 0.6
/** What a piece weighs against all before it. */
const WEIGHT = 0.3

/** The blocks of a range without what concerned nobody, and for which set of wallets that is so: a later one may have more. */
export type Sieved = {
  readonly blocks: readonly Block[]
  readonly version: number
  /** The history of the database that the version belongs to. */
  readonly history: string
}

export type Download = {
  /** The blocks of a range, in order. */
  fetch(range: Range, signal: AbortSignal): Promise<Sieved>
  /** The same blocks, with all that has to be known of what is left in them by now. */
  complete(blocks: readonly Block[], sought: ReadonlySet<Hash>, signal: AbortSignal): Promise<Block[]>
  /** The share of blocks that needed their receipts lately, from 0 to 1. */
  readonly share: number
}

/** @param wallets only these; null: the whole tracked set */
export function createDownload(context: ChainContext, wallets: readonly Address[] | null): Download {
  const { registry, store } = context
  const source = context.source.inBackground()
  const only = wallets === null ? null : new Set(wallets)
  let share = 0
  return {
    async fetch(range, signal) {
      await registry.refresh()
      // Of now, before the first block: who comes later may be found in some of them, and is not counted on.
      const { version, history } = registry
      const interest = interestIn(context, await store.sought(), only)
      const way = share < WHOLE_FROM_SHARE ? 'logs' : 'receipts'
      const blocks = await source.history(range, interest, way, signal)
      const needing = blocks.filter(block => needsReceipts(block, interest)).length
      share += (needing / Math.max(blocks.length, 1) - share) * WEIGHT
      return { blocks, version, history }
    },
    complete: (blocks, sought, signal) => completeBlocks(source, blocks, interestIn(context, sought, only), signal),
    get share() {
      return share
    },
  }
}
