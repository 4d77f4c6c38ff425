/**
 * Did a transaction succeed?
 *
 * Receipts tell since EIP-658 (block 4,370,000 of Mainnet). Before, they hold a state root instead, and two things prove success
 * all the same: a log (a failed transaction has none), and gas that was left over (before REVERT existed, whatever failed
 * consumed all of it). Nothing proves failure: an exact estimate consumes all its gas and succeeds. Where no receipt was asked for
 * because nobody takes part, a log proves success all the same.
 */

import type { Receipt, Transaction } from '../types.ts'

/** True or false where it is known, null where only a trace could tell. */
export function transactionOutcome(transaction: Transaction, receipt: Receipt): boolean | null {
  if (receipt.succeeded !== null) return receipt.succeeded
  const hasGasLeft = receipt.gasUsed !== null && receipt.gasUsed < transaction.gas
  return receipt.logs.length > 0 || hasGasLeft ? true : null
}
