/**
 * Blocks for a backfill, by the way that costs the fewest requests.
 *
 * Where few blocks concern anybody, a block and its part of a question for logs is about one request. Where most do, their receipts are
 * needed anyway, and asked for at once. Which it is shows in the blocks that came before.
 */

import pMap from 'p-map'
import { needsReceipts } from '../core/interest.ts'
import type { Range } from '../core/range.ts'
import type { Address, Block, Hash } from '../core/types.ts'
import { completeBlocks, interestIn } from './complete.ts'
import type { ChainContext } from './context.ts'

const BLOCKS_AT_ONCE = 16
/** With a larger share of blocks that need their receipts, logs are not asked for besides. */
const WHOLE_FROM_SHARE = 0.6
/** What a piece weighs against all before it. */
const WEIGHT = 0.3

export type Download = {
  /** The blocks of a range, in order. What is not known of them concerned nobody when they were asked for. */
  fetch(range: Range, signal: AbortSignal): Promise<Block[]>
  /** The same blocks, with all that concerns somebody by now. */
  complete(blocks: readonly Block[], sought: ReadonlySet<Hash>, signal: AbortSignal): Promise<Block[]>
  /** The share of blocks that needed their receipts lately, from 0 to 1. */
  readonly share: number
}

/** @param wallets only these; null: the whole tracked set */
export function createDownload(context: ChainContext, wallets: readonly Address[] | null): Download {
  const { store } = context
  const source = context.source.inBackground()
  const only = wallets === null ? null : new Set(wallets)
  let share = 0
  return {
    async fetch(range, signal) {
      const interest = interestIn(context, await store.sought(), only)
      const blocks = await (share < WHOLE_FROM_SHARE
        ? source.history(range, interest, signal)
        : pMap(numbersOf(range), number => source.block(number, signal), { concurrency: BLOCKS_AT_ONCE, signal }))
      const needing = blocks.filter(block => needsReceipts(block, interest)).length
      share += (needing / Math.max(blocks.length, 1) - share) * WEIGHT
      return blocks
    },
    complete: (blocks, sought, signal) => completeBlocks(source, blocks, interestIn(context, sought, only), signal),
    get share() {
      return share
    },
  }
}

function numbersOf({ from, to }: Range): number[] {
  return Array.from({ length: to - from + 1 }, (_, index) => from + index)
}
