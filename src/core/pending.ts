/**
 * What can be said of a transaction that no block holds yet.
 *
 * Only whose it is and, provisionally, what it looks like: it has moved nothing, and may never. The block decides the rest.
 */

import type { OwnerOf } from './classify.ts'
import type { Address, Hash, Hex } from './types.ts'

export type PendingTransaction = {
  readonly hash: Hash
  readonly from: Address
  readonly to: Address | null
  readonly value: bigint
  readonly input: Hex
  readonly nonce: number
}

export type PendingRow = {
  readonly hash: Hash
  readonly sender: Address
  readonly nonce: number
  readonly userId: string
  /** Replaced when the transaction is in a block. */
  readonly eventType: string
}

/** The row of a pending transaction: its sender's, else its recipient's if it brings value; null if neither is a user. */
export function pendingRow(transaction: PendingTransaction, ownerOf: OwnerOf): PendingRow | null {
  const { hash, from, to, value, nonce } = transaction
  const userId = ownerOf(from) ?? (to !== null && value > 0n ? ownerOf(to) : null)
  return userId === null ? null : { hash, sender: from, nonce, userId, eventType: provisionalType(transaction) }
}

function provisionalType({ to, value, input }: PendingTransaction): string {
  if (to === null) return 'CONTRACT_DEPLOYMENT'
  return value > 0n && input === '0x' ? 'TRANSFER' : 'CONTRACT_INTERACTION'
}
