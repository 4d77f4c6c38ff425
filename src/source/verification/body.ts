/**
 * What a block has beside its header: the roots of its lists, its uncles and its size.
 */

import { toRlp } from 'viem/utils'
import {
  Contradiction,
  encodeAddress,
  encodeQuantity,
  isAbsent,
  type Item,
  itemOf,
  mayOnlyBe,
  readHashes,
  readList,
  readQuantity,
} from './fields.ts'
import type { ProvenHeader } from './header.ts'
import type { ProvenTransaction } from './transactions.ts'
import { rootOf } from './trie.ts'

/** keccak256(rlp([])). */
const NO_UNCLES = '0x1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347'
/** Yellow Paper, 11.1. */
const MAX_UNCLES = 2

/** Throws a `Contradiction` where a list is not that of the header. */
export async function proveBody(
  block: Item,
  header: ProvenHeader,
  transactions: readonly ProvenTransaction[],
): Promise<void> {
  if ((await rootOf(transactions.map(({ encoded }) => encoded))) !== header.transactionsRoot) {
    throw new Contradiction('the transactions are not those of the transactionsRoot')
  }
  const withdrawals = await proveWithdrawals(block, header)
  const hasUncles = checkUncles(block, header)
  // The bytes of uncles are not in the answer.
  if (!hasUncles) checkSize(block, header, transactions, withdrawals)
}

/** Their RLP; null before Shanghai. */
async function proveWithdrawals(block: Item, header: ProvenHeader): Promise<Uint8Array[] | null> {
  if (header.withdrawalsRoot === null) {
    if (!isAbsent(block, 'withdrawals') && readList(block, 'withdrawals').length > 0)
      throw new Contradiction('the block has withdrawals and its header no withdrawalsRoot')
    return null
  }
  const encoded = readList(block, 'withdrawals').map((entry, index) => {
    const item = itemOf(entry, `withdrawal ${index}`)
    const fields = [
      encodeQuantity(item, 'index'),
      encodeQuantity(item, 'validatorIndex'),
      encodeAddress(item, 'address'),
      encodeQuantity(item, 'amount'),
    ]
    return toRlp(fields, 'bytes')
  })
  if ((await rootOf(encoded)) !== header.withdrawalsRoot) {
    throw new Contradiction('the withdrawals are not those of the withdrawalsRoot')
  }
  return encoded
}

/** sha3Uncles is of whole headers, and an answer has only their hashes: it proves whether there are any, and no more. */
function checkUncles(block: Item, header: ProvenHeader): boolean {
  const isPromised = header.sha3Uncles !== NO_UNCLES
  if (isAbsent(block, 'uncles')) return isPromised
  const uncles = readHashes(block, 'uncles')
  if (uncles.length > 0 !== isPromised) {
    throw new Contradiction(
      isPromised ? 'sha3Uncles promises uncles and there are none' : 'there are uncles and sha3Uncles promises none',
    )
  }
  if (uncles.length > MAX_UNCLES) throw new Contradiction(`the block has ${uncles.length} uncles, and 2 are the most`)
  if (new Set(uncles).size < uncles.length) throw new Contradiction('the block has the same of its uncles twice')
  return isPromised
}

/** Bytes of the RLP of a block without uncles: [header, transactions, uncles, withdrawals since Shanghai]. */
function checkSize(
  block: Item,
  header: ProvenHeader,
  transactions: readonly ProvenTransaction[],
  withdrawals: readonly Uint8Array[] | null,
): void {
  // A legacy transaction is a list in the list, a typed one a string of bytes (EIP-2718).
  const ofTransactions = transactions.map(({ type, encoded }) =>
    type === 0 ? encoded.length : withPrefix(encoded.length),
  )
  const emptyList = 1
  const older = header.sizeBytes + withPrefix(sum(ofTransactions)) + emptyList
  // Anvil, and Reth once (reth#1777), leave the withdrawals out.
  if (!isAbsent(block, 'size') && readQuantity(block, 'size') === BigInt(withPrefix(older))) return
  const ofWithdrawals = withdrawals === null ? 0 : withPrefix(sum(withdrawals.map(({ length }) => length)))
  mayOnlyBe(block, 'size', readQuantity, BigInt(withPrefix(older + ofWithdrawals)))
}

/** Bytes of an RLP list, or of a string of more than one byte, with what tells its length. */
function withPrefix(sizeBytes: number): number {
  return sizeBytes < 56 ? 1 + sizeBytes : 1 + Math.ceil(sizeBytes.toString(16).length / 2) + sizeBytes
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}
