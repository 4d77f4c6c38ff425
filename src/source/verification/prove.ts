/**
 * Is an answer the block of its hash? `verification: "full"` of a chain file.
 *
 * Everything that the hash commits to is recomputed: the header, the transactions, withdrawals and receipts roots, each
 * transaction's hash. Everything that no root commits to is derived again and compared where the answer has it: senders (from the
 * signatures), gas and prices of receipts, addresses of new contracts, blooms, and every index, hash and number that repeats where
 * a thing is.
 *
 * Always holds for a block that is `proved`: whoever believes the hash may believe every field, but these, which nothing in an answer
 * proves: `totalDifficulty` (of the whole chain before); the hashes in `uncles`, their order, and `size` where there are any (the
 * header commits to the uncles themselves); whether `size` counts the withdrawals; which of the known schedules made `blobGasPrice`; `blockTimestamp` 0 in a log; whether a
 * creation that failed shows the address it would have had; a `root` beside a `status`; and fields that the Ethereum specification
 * of the execution API does not have. A field that is left out claims nothing, unless a hash or this program needs it.
 *
 * What proves too much ends here: `newer` is said only of what can't be judged, after everything that can be. A liar can pretend to be
 * newer, and then has proved nothing; he can't make false of what is known.
 *
 * That the hash is the one of our chain is not asked here: parent links and agreement of endpoints tell.
 */

import { proveBody } from './body.ts'
import { Contradiction, itemOf, readList } from './fields.ts'
import { proveHeader } from './header.ts'
import { proveReceipts } from './receipts.ts'
import { proveSenders } from './signatures.ts'
import { proveTransaction } from './transactions.ts'

export type RootsVerdict =
  | { readonly kind: 'proved' }
  /** What was answered can't be the block of this hash: one sentence that names the field. */
  | { readonly kind: 'wrong'; readonly problem: string }
  /** Header fields, transaction types or blob prices that are newer than this code: they can't be proved, `basic` has to do. */
  | { readonly kind: 'newer'; readonly reason: string }

/**
 * Never throws for what a node may answer.
 *
 * @param block the raw answer of `eth_getBlockByNumber(n, true)`
 * @param receipts that of `eth_getBlockReceipts(n)`, or null to check the block alone
 */
export async function proveBlock(block: unknown, receipts: readonly unknown[] | null): Promise<RootsVerdict> {
  try {
    const newer = await prove(block, receipts)
    return newer === null ? { kind: 'proved' } : { kind: 'newer', reason: newer }
  } catch (error) {
    if (error instanceof Contradiction) return { kind: 'wrong', problem: error.message }
    throw error
  }
}

/** From cheap to dear, so that most lies cost little. @returns why it can't be judged, or null */
async function prove(answer: unknown, receipts: readonly unknown[] | null): Promise<string | null> {
  const block = itemOf(answer, 'the block')
  const header = proveHeader(block)
  const all = readList(block, 'transactions').map((transaction, index) => proveTransaction(transaction, index, header))
  const known = all.filter(transaction => transaction.newer === null)
  let newer = header.newer ?? all.find(transaction => transaction.newer !== null)?.newer ?? null
  // Without each byte of each list there is no root.
  if (newer === null) {
    await proveBody(block, header, known)
    if (receipts !== null) newer = await proveReceipts(receipts, header, known)
  }
  await proveSenders(known)
  return newer
}
