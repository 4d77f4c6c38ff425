/**
 * Blocks that come by themselves: each in its slot of the wall clock, later or earlier by chance.
 *
 * Always holds: a slot is where the block's timestamp says; a block is never there before its slot, and never before the one below it.
 */

import { createDice } from '../../../src/demo/dice.ts'
import { advanceHead, type Served } from './served.ts'

export type Rhythm = {
  readonly blockMs: number
  /** A block comes this long after its slot, more or less by as much, all of it equally likely. */
  readonly jitterMs: number
  readonly seed: number
}

/** Begins with the block above the head. @returns ends it */
export function beat(served: Served, { blockMs, jitterMs, seed }: Rhythm): () => void {
  const { anchor } = served.chain.spec
  const dice = createDice(seed)
  let timer: NodeJS.Timeout | undefined
  const plan = () => {
    const slot = anchor.seconds * 1000 + (served.head + 1 - anchor.height) * blockMs
    const due = slot + dice.float() * 2 * jitterMs
    timer = setTimeout(
      () => {
        advanceHead(served)
        plan()
      },
      Math.max(due - Date.now(), 0),
    )
  }
  plan()
  return () => clearTimeout(timer)
}
