/**
 * Whose receipts have to be known, and the rest of those blocks of which too little is known by now.
 *
 * Wallets are linked while blocks are fetched. What was left out of a block because it concerned nobody is asked for again, whole, as
 * soon as it concerns somebody.
 */

import pMap from 'p-map'
import { type Interest, openOutcomes, ruledBy } from '../core/interest.ts'
import type { Address, Block, Hash } from '../core/types.ts'
import { AppError } from '../errors.ts'
import type { Source } from '../source/source.ts'
import type { ChainContext } from './context.ts'

const BLOCKS_AT_ONCE = 8
const ADDRESS_DIGITS = 40

/** @param only these wallets; null: the whole tracked set */
export function interestIn(
  { chain, registry }: Pick<ChainContext, 'chain' | 'registry'>,
  sought: ReadonlySet<Hash>,
  only: ReadonlySet<Address> | null = null,
): Interest {
  return {
    wallet: only === null ? registry.isTracked : address => only.has(address),
    walletAt: only === null ? registry.tracksAt : (text, at) => only.has(`0x${text.slice(at, at + ADDRESS_DIGITS)}`),
    transaction: hash => sought.has(hash),
    isRuled: ruledBy(chain.rules),
  }
}

/** @throws AppError RPC_INCONSISTENT where a block is another one by now: the step has to be planned again */
export function completeBlocks(
  source: Source,
  blocks: readonly Block[],
  interest: Interest,
  signal: AbortSignal,
): Promise<Block[]> {
  const complete = async (block: Block) => {
    if (openOutcomes(block, interest).length === 0) return block
    const whole = await source.block(block.number, signal)
    if (whole.hash === block.hash) return whole
    throw new AppError('RPC_INCONSISTENT', `Block ${block.number} was ${block.hash} and is ${whole.hash}.`, {
      facts: { block: block.number },
      hint: 'The chain went another way, or the endpoints disagree; it is asked again.',
    })
  }
  return pMap(blocks, complete, { concurrency: BLOCKS_AT_ONCE })
}
