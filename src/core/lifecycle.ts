/**
 * The status machine: from evidence to a status, and to the transitions that record it.
 *
 * A block's depth alone decides, counted on our own verified chain: `checkpoint − block + 1 >= n` for a number, `block <= tag` for
 * `safe` and `finalized`. A reverted transaction is pending until then like any other: a reorg may make it succeed.
 */

import type { Confirmations } from './chain.ts'
import type { TransactionStatus } from './types.ts'

export type TransitionReason =
  | 'included'
  | 'confirmed'
  | 'reverted'
  | 'replaced'
  | 'dropped'
  | 'reorged'
  | 'found'
  /** The application called it decided, and no chain has it. */
  | 'unseen'

/** The highest block that is deep enough for a status; −1 if none is. */
export function settledHeight(input: {
  readonly confirmations: Confirmations
  readonly checkpointNumber: number
  /** The tag's height, for `safe` and `finalized`. */
  readonly tagNumber: number | null
  readonly finalizedNumber: number
}): number {
  const { confirmations, checkpointNumber, tagNumber, finalizedNumber } = input
  if (typeof confirmations === 'number') return Math.max(checkpointNumber - confirmations + 1, -1)
  return Math.min(tagNumber ?? finalizedNumber, checkpointNumber)
}

/** The status of a transaction that stands in a block. */
export function includedStatus(succeeded: boolean | null, settled: boolean): TransactionStatus {
  if (!settled || succeeded === null) return 'pending'
  return succeeded ? 'confirmed' : 'failed'
}

export type Transition = {
  readonly from: TransactionStatus | null
  readonly to: TransactionStatus
  readonly reason: TransitionReason
}

/**
 * The transitions of a transaction that is seen in a block.
 *
 * @param before its status as last recorded, null if it was not known
 * @param wasGivenUp it counted as replaced or dropped
 * @param sameBlock that block held it already when it was last recorded
 */
export function transitionsOfInclusion(
  before: TransactionStatus | null,
  sameBlock: boolean,
  succeeded: boolean | null,
  settled: boolean,
  wasGivenUp = false,
): readonly Transition[] {
  const after = includedStatus(succeeded, settled)
  const transitions: Transition[] = []
  if (before === null || !sameBlock)
    transitions.push({ from: before, to: 'pending', reason: wasGivenUp ? 'found' : 'included' })
  const from = transitions.length > 0 ? 'pending' : before
  if (after !== from)
    transitions.push({
      from,
      to: after,
      reason: after === 'failed' ? 'reverted' : after === 'confirmed' ? 'confirmed' : 'included',
    })
  return transitions
}
