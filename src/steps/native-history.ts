/**
 * Where a wallet's native history is, found from the state of its account instead of from the blocks.
 */

import type { Range, Ranges } from '../core/range.ts'
import type { Address } from '../core/types.ts'
import type { ChainContext } from './context.ts'

export type WholeReason = 'could-be-contract' | 'contract' | 'delegated' | 'no-archive' | 'inconsistent' | 'dense'

/** Every block of the range is in one of the three. Whoever reads hits and `whole` has every row of the wallet's native history. */
export type NativeHistory = {
  /** Blocks in which something happened, ascending; to be read. */
  readonly hits: readonly number[]
  /** Blocks of which nothing can be told without reading them, ascending, and why. */
  readonly whole: readonly { readonly range: Range; readonly reason: WholeReason }[]
  /** Blocks in which nothing happened to the wallet. */
  readonly empty: Ranges
  /** Questions that were put to nodes. */
  readonly calls: number
}

/** @param range final blocks */
export async function findNativeHistory(
  _context: ChainContext,
  _wallet: Address,
  range: Range,
  _signal: AbortSignal,
): Promise<NativeHistory> {
  return { hits: [], whole: [{ range, reason: 'no-archive' }], empty: [], calls: 0 }
}
