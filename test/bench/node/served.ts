/**
 * A chain as one node serves it: how far it has come, how fast it answers, and who wants to hear of new blocks.
 */

import { type ChainSpec, createChain, FIRST_HEIGHT, type GeneratedChain } from '../chain/generated-chain.ts'
import { createTally, type Tally } from './tally.ts'

export type ServedSpec = {
  readonly chain: ChainSpec
  /** The head when it opens. */
  readonly head: number
  /** What each request takes at least. */
  readonly delayMs?: number
  /** Requests that are worked on at once; more of them wait. Absent: any number. */
  readonly maxAtOnce?: number
}

export type Served = {
  readonly spec: ServedSpec
  readonly chain: GeneratedChain
  readonly tally: Tally
  head: number
  readonly onHead: Set<(height: number) => void>
}

const EPOCH_BLOCKS = 32

export function createServed(spec: ServedSpec): Served {
  return { spec, chain: createChain(spec.chain), tally: createTally(), head: spec.head, onHead: new Set() }
}

/** The next block is there. */
export function advanceHead(served: Served): void {
  served.head += 1
  for (const tell of served.onHead) tell(served.head)
}

/** Heights of the tags, as a chain of epochs has them: one epoch behind, and two. */
export function tagHeight(head: number, tag: 'safe' | 'finalized'): number {
  const behind = tag === 'safe' ? EPOCH_BLOCKS : 2 * EPOCH_BLOCKS
  return Math.max(head - (head % EPOCH_BLOCKS) - behind, FIRST_HEIGHT)
}
