/**
 * Is an answer the block of its hash? `verification: "full"` of a chain file.
 *
 * Everything that the hash commits to is recomputed: the header, the roots of transactions, withdrawals and receipts, each
 * transaction's hash. Everything that no root commits to is derived again and compared where the answer has it: senders (from the
 * signatures), gas and prices of receipts, addresses of new contracts, blooms, the size, and every index, hash and number that
 * repeats where a thing is. A field that is left out claims nothing, unless a hash or this program needs it.
 *
 * Always holds for a block that is `proved`: whoever believes its hash may believe every field that the execution API specifies, but
 * - `totalDifficulty`, which sums up all blocks before;
 * - the hashes in `uncles`, and `size` where there are any: the header commits to whole uncles, and an answer has their hashes;
 * - whether `size` counts the withdrawals, where nodes differ;
 * - which schedule made `blobGasPrice`, of those that are known for its time: no header tells;
 * - `blockTimestamp` 0 in a log, and a `contractAddress` that is missing where a creation failed: nodes that don't tell;
 * - a `root` beside a `status`, and numbers that a type of transaction does not have: nobody reads them.
 *
 * `newer` is said of what can't be judged, after everything that can be: what is known and false is `wrong` all the same. A liar can
 * always pretend that something is newer. What he gains is that `basic` decides for that block, so others should be asked first.
 *
 * Whether the hash is that of our chain is not asked here: parent links and the agreement of endpoints tell.
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
