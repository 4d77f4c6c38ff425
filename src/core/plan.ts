/**
 * What a chain's follower does next, from what it has and what the node says.
 *
 * Nothing is believed from a height alone: a head at or below the checkpoint that does not show the checkpoint's hash is looked
 * into, and only the header window tells how far to go back.
 */

import type { Confirmations } from './chain.ts'
import type { Header } from './types.ts'

/** Blocks that a reorg is expected to reach at most, where a node does not tell what is final. */
const FINALITY_DEPTH = 64

export type Checkpoint = {
  readonly number: number
  readonly hash: `0x${string}`
  readonly timestamp: number
  /** The highest finality ever seen; −1 while nothing is final. */
  readonly finalizedNumber: number
}

export type Plan =
  | { readonly kind: 'idle' }
  | { readonly kind: 'advance'; readonly from: number; readonly to: number }
  /** The head is lower than the checkpoint but on the same branch, as far as one can see: a lagging node, or a chain rolled back. */
  | { readonly kind: 'behind' }
  /** The head is on another branch than the checkpoint. */
  | { readonly kind: 'rewind' }

export type PlanInput = {
  readonly checkpoint: Checkpoint | null
  readonly head: Header
  /** Hash of our own window at the head's height, null if the window does not hold it. */
  readonly ownHashAtHead: `0x${string}` | null
  readonly startBlock: number
  /** Blocks that one step takes at most. */
  readonly maxBlocks: number
}

/** Decides the next step of a follower. */
export function planStep({ checkpoint, head, ownHashAtHead, startBlock, maxBlocks }: PlanInput): Plan {
  const next = checkpoint === null ? startBlock : checkpoint.number + 1
  if (head.number >= next) return { kind: 'advance', from: next, to: Math.min(head.number, next + maxBlocks - 1) }
  if (checkpoint === null) return { kind: 'idle' }
  if (head.number === checkpoint.number) return head.hash === checkpoint.hash ? { kind: 'idle' } : { kind: 'rewind' }
  return ownHashAtHead === null || ownHashAtHead === head.hash ? { kind: 'behind' } : { kind: 'rewind' }
}

/**
 * The highest block that no reorg may touch: the `finalized` tag, else top − max(64, confirmations), where the top is the newest block
 * that is there, and not the head that a node claims. Never lower than it was: a node that forgets what is final does not make it
 * undecided again; and never above the top: because it can't be taken back, one absurd tag would make blocks final that nobody has seen.
 */
export function finalityAfter(input: {
  readonly topNumber: number
  readonly finalizedTag: number | null
  readonly confirmations: Confirmations
  readonly previous: number
}): number {
  const depth = Math.max(FINALITY_DEPTH, typeof input.confirmations === 'number' ? input.confirmations : 0)
  return Math.max(input.previous, Math.min(input.finalizedTag ?? input.topNumber - depth, input.topNumber), -1)
}
