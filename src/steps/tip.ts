/**
 * The tip of a chain that was reached: where to look for the next block, at the lowest cost.
 *
 * While nothing contradicts, the next block is asked for by its height: one question that gives the block itself if it is there, where
 * asking for the head would be one more. What that can't show (a sibling of our newest block, a chain that was rolled back, a head that is
 * far ahead) is looked for by asking for the newest block instead, whatever its height: now and then while nothing new is there, when
 * the next block is late, and when block after block was there at the first look, as it is for somebody who lags behind.
 */

import type { Header } from '../core/types.ts'

/** Blocks after which a look that would find nothing asks for the head. */
const BLOCKS_PER_HEAD = 16
/** Blocks in a row that were there at the first look. */
const HITS_BEFORE_HEAD = 16
/** Looks that found nothing before the head is asked for; from then on every other one. */
const LOOKS_BEFORE_HEAD = 5

export type Tip = {
  /** The head as far as it is known; null: it has to be asked for. */
  readonly head: Header | null
  /** Looks in a row that found no new block. */
  readonly idleLooks: number
  /** Whether the next block may be asked for by its height; else the head has to be looked at. */
  readonly mayAskNext: boolean
  /** The head was asked for (or told), and is the checkpoint from now on. */
  reached(head: Header): void
  /** The next block was there, by its height, and is the checkpoint from now on. */
  advanced(head: Header): void
  /** Nothing new was there. */
  looked(): void
  /** Something contradicts: ask for the head. */
  leave(): void
}

export function createTip(): Tip {
  let head: Header | null = null
  let idleLooks = 0
  let blocks = 0
  let hits = 0
  return {
    get head() {
      return head
    },
    get idleLooks() {
      return idleLooks
    },
    get mayAskNext() {
      const isLate = idleLooks >= LOOKS_BEFORE_HEAD && (idleLooks - LOOKS_BEFORE_HEAD) % 2 === 0
      const isDue = idleLooks > 0 && blocks >= BLOCKS_PER_HEAD
      return hits < HITS_BEFORE_HEAD && !isLate && !isDue
    },
    reached(newest) {
      if (newest.hash !== head?.hash) idleLooks = 0
      head = newest
      blocks = 0
      hits = 0
    },
    advanced(newest) {
      hits = idleLooks === 0 ? hits + 1 : 0
      head = newest
      idleLooks = 0
      blocks += 1
    },
    looked() {
      idleLooks += 1
    },
    leave() {
      head = null
      idleLooks = 0
    },
  }
}
