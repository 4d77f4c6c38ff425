/**
 * Do a block, its transactions and its receipts belong together?
 *
 * Nodes answer for another block than the one that was asked for, repeat or lose receipts, and return empty lists for blocks they
 * have not processed. What passes here is consistent in itself; that it continues our chain is for `lineage.ts`.
 */

import type { Block, Hash, Header, Receipt, Transaction } from './types.ts'

const EMPTY_BLOOM = /^0x0*$/
/** The root of a trie without entries: keccak256(rlp('')) (Yellow Paper, appendix D). */
const EMPTY_ROOT = '0x56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421'

export type RawBlock = Header & {
  readonly logsBloom: `0x${string}`
  /** null where the node does not tell. */
  readonly transactionsRoot: Hash | null
  readonly transactions: readonly (Transaction & { readonly blockHash: Hash | null })[]
}
export type RawReceipt = Receipt & { readonly blockHash: Hash; readonly logBlockHashes: readonly Hash[] }

export type Validated = { readonly ok: true; readonly block: Block } | { readonly ok: false; readonly problem: string }

/** Joins a block and its receipts, or says in one sentence why they can't be believed. */
export function joinBlock(number: number, block: RawBlock, receipts: readonly RawReceipt[]): Validated {
  const problem = findProblem(number, block, receipts)
  if (problem !== null) return { ok: false, problem }
  const { logsBloom: _bloom, transactionsRoot: _root, ...rest } = block
  return { ok: true, block: { ...rest, receipts } }
}

function findProblem(number: number, block: RawBlock, receipts: readonly RawReceipt[]): string | null {
  if (block.number !== number) return `block ${number} was asked for and block ${block.number} was returned`
  // Lists of another block that are empty say of no entry that it is another's: the header says whether there should be any.
  const isEmpty = block.transactions.length === 0
  if (block.transactionsRoot !== null && (block.transactionsRoot === EMPTY_ROOT) !== isEmpty) {
    return isEmpty
      ? 'the header promises transactions and there are none'
      : 'there are transactions and the header promises none'
  }
  if (receipts.length !== block.transactions.length) {
    return `the block has ${block.transactions.length} transactions and ${receipts.length} receipts`
  }
  let nextLogIndex = 0
  for (const [index, transaction] of block.transactions.entries()) {
    const receipt = receipts[index]
    if (receipt === undefined) return `the receipt of transaction ${index} is missing`
    if (transaction.index !== index) return `transaction ${index} says that its index is ${transaction.index}`
    if (transaction.blockHash !== block.hash) return `transaction ${index} belongs to another block`
    if (receipt.blockHash !== block.hash) return `receipt ${index} belongs to another block`
    if (receipt.transactionHash !== transaction.hash) return `receipt ${index} belongs to another transaction`
    if (transaction.to !== null && receipt.contractAddress !== null) {
      return `transaction ${index} calls ${transaction.to}, and its receipt has a new contract`
    }
    if (receipt.logBlockHashes.some(hash => hash !== block.hash))
      return `a log of receipt ${index} belongs to another block`
    for (const log of receipt.logs) {
      if (log.logIndex !== nextLogIndex) return `log ${nextLogIndex} is missing or out of order`
      nextLogIndex += 1
    }
  }
  // Only an unfiltered question proves a lie by the bloom (EIP-234 says nothing of it; the Yellow Paper defines it as the union).
  if (nextLogIndex === 0 && !EMPTY_BLOOM.test(block.logsBloom))
    return 'the header promises logs and the receipts have none'
  if (nextLogIndex > 0 && EMPTY_BLOOM.test(block.logsBloom))
    return 'the receipts have logs and the header promises none'
  return null
}
