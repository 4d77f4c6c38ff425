/**
 * Do a block, its transactions and its receipts (or logs) belong together?
 *
 * Nodes answer for another block than the one that was asked for, repeat or lose receipts, and return empty lists for blocks they
 * have not processed. What passes here is consistent in itself; that it continues our chain is for `lineage.ts`, that it is what its
 * hash promises is proved by roots only.
 */

import { bloomOf } from './bloom.ts'
import { createdContract } from './interest.ts'
import type { Block, Hash, Header, Log, Receipt, Transaction } from './types.ts'

const EMPTY_BLOOM = /^0x0*$/
/**
 * The root of a trie without entries: keccak256(rlp('')) (Yellow Paper, appendix D). The genesis block of Hardhat has keccak256('')
 * for it, the hash of nothing, which is the root of no trie.
 */
export const EMPTY_ROOTS: ReadonlySet<Hash> = new Set([
  '0x56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421',
  '0xc5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470',
])

export type RawBlock = Header & {
  readonly logsBloom: `0x${string}`
  /** null where the node does not tell. */
  readonly transactionsRoot: Hash | null
  readonly transactions: readonly (Transaction & { readonly blockHash: Hash | null })[]
}
export type RawReceipt = Receipt & { readonly blockHash: Hash; readonly logBlockHashes: readonly Hash[] }
/** A log as `eth_getLogs` gives it: with the place that it says it has. */
export type PlacedLog = Log & {
  readonly blockNumber: number
  readonly blockHash: Hash
  readonly transactionHash: Hash
  readonly transactionIndex: number
}

export type Validated =
  | { readonly ok: true; readonly block: Block }
  /** `isMisnumbered`: all belongs together but for the numbers of the logs. */
  | { readonly ok: false; readonly problem: string; readonly isMisnumbered: boolean }

/** Joins a block and its receipts, or says in one sentence why they can't be believed. */
export function joinBlock(number: number, block: RawBlock, receipts: readonly RawReceipt[]): Validated {
  const problem = problemOfBlock(number, block) ?? problemOfReceipts(block, receipts)
  if (problem !== null) return refused(problem)
  // A block's logs are numbered through. A number that is not there is a log that is missing, or a node that begins anew.
  const logs = receipts.flatMap(receipt => receipt.logs)
  const wrong = logs.findIndex(({ logIndex }, index) => logIndex !== index)
  if (wrong >= 0) return { ok: false, problem: `log ${wrong} is missing or out of order`, isMisnumbered: true }
  return { ok: true, block: { ...bare(block), receipts } }
}

function refused(problem: string): Validated {
  return { ok: false, problem, isMisnumbered: false }
}

/**
 * The receipts with the numbers that their logs have in a list of all logs of the block. Where the lists don't hold the same logs in
 * the same order, the receipts stay as they are, and can't be believed.
 */
export function renumberLogs(receipts: readonly RawReceipt[], logs: readonly PlacedLog[]): readonly RawReceipt[] {
  const own = receipts.flatMap(receipt => receipt.logs.map(log => ({ log, receipt })))
  const isSame =
    own.length === logs.length && own.every(({ log, receipt }, index) => isSameLog(log, receipt, logs[index]))
  if (!isSame) return receipts
  let next = 0
  return receipts.map(receipt => ({
    ...receipt,
    logs: receipt.logs.map(log => {
      next += 1
      return { ...log, logIndex: logs[next - 1]?.logIndex ?? log.logIndex }
    }),
  }))
}

function isSameLog(log: Log, { blockHash, transactionHash }: RawReceipt, other: PlacedLog | undefined): boolean {
  return (
    blockHash === other?.blockHash &&
    transactionHash === other.transactionHash &&
    log.address === other.address &&
    log.data === other.data &&
    log.topics.join() === other.topics.join()
  )
}

/**
 * Joins a block and all of its logs. Its receipts hold what logs tell: who has a log has succeeded; of the others nothing is known.
 * That the list is whole is told by the header's bloom filter.
 */
export function joinLogs(number: number, block: RawBlock, logs: readonly PlacedLog[]): Validated {
  const problem = problemOfBlock(number, block) ?? problemOfLogs(block, logs)
  if (problem !== null) return refused(problem)
  const own = Map.groupBy(logs, log => log.transactionIndex)
  const receipts = block.transactions.map((transaction, index): Receipt => {
    const ofTransaction = own.get(index) ?? []
    return {
      transactionHash: transaction.hash,
      transactionIndex: index,
      succeeded: ofTransaction.length > 0 ? true : null,
      gasUsed: null,
      contractAddress: createdContract(transaction),
      logs: ofTransaction,
    }
  })
  return { ok: true, block: { ...bare(block), receipts } }
}

/** Puts the receipt of one transaction into a block that was joined with its logs. */
export function addReceipt(block: Block, receipt: RawReceipt, index: number): Validated {
  const problem = problemOfReceipt(block, block.transactions[index], receipt, index)
  if (problem !== null) return refused(problem)
  const known = block.receipts[index]?.logs ?? []
  if (receipt.logs.length !== known.length)
    return refused(`receipt ${index} has ${receipt.logs.length} logs and the block's list has ${known.length}`)
  // Its logs stay those of the list, which were checked against the header: some nodes number the logs of each receipt anew.
  return { ok: true, block: { ...block, receipts: block.receipts.with(index, { ...receipt, logs: known }) } }
}

export function isEmptyBloom(bloom: string): boolean {
  return EMPTY_BLOOM.test(bloom)
}

function bare({ logsBloom: _bloom, transactionsRoot: _root, ...rest }: RawBlock) {
  return rest
}

function problemOfBlock(number: number, block: RawBlock): string | null {
  if (block.number !== number) return `block ${number} was asked for and block ${block.number} was returned`
  // Lists of another block that are empty say of no entry that it is another's: the header says whether there should be any.
  const isEmpty = block.transactions.length === 0
  if (block.transactionsRoot !== null && EMPTY_ROOTS.has(block.transactionsRoot) !== isEmpty) {
    return isEmpty
      ? 'the header promises transactions and there are none'
      : 'there are transactions and the header promises none'
  }
  for (const [index, transaction] of block.transactions.entries()) {
    if (transaction.index !== index) return `transaction ${index} says that its index is ${transaction.index}`
    if (transaction.blockHash !== block.hash) return `transaction ${index} belongs to another block`
  }
  return null
}

function problemOfReceipts(block: RawBlock, receipts: readonly RawReceipt[]): string | null {
  if (receipts.length !== block.transactions.length) {
    return `the block has ${block.transactions.length} transactions and ${receipts.length} receipts`
  }
  let logCount = 0
  for (const [index, receipt] of receipts.entries()) {
    const problem = problemOfReceipt(block, block.transactions[index], receipt, index)
    if (problem !== null) return problem
    logCount += receipt.logs.length
  }
  // Only an unfiltered question proves a lie by the bloom (EIP-234 says nothing of it; the Yellow Paper defines it as the union).
  if (logCount === 0 && !isEmptyBloom(block.logsBloom)) return 'the header promises logs and the receipts have none'
  if (logCount > 0 && isEmptyBloom(block.logsBloom)) return 'the receipts have logs and the header promises none'
  return null
}

function problemOfReceipt(
  block: Pick<Block, 'hash'>,
  transaction: Transaction | undefined,
  receipt: RawReceipt,
  index: number,
): string | null {
  if (transaction === undefined) return `there is no transaction ${index}`
  if (receipt.blockHash !== block.hash) return `receipt ${index} belongs to another block`
  if (receipt.transactionHash !== transaction.hash) return `receipt ${index} belongs to another transaction`
  if (transaction.to !== null && receipt.contractAddress !== null) {
    return `transaction ${index} calls ${transaction.to}, and its receipt has a new contract`
  }
  return receipt.logBlockHashes.some(hash => hash !== block.hash)
    ? `a log of receipt ${index} belongs to another block`
    : null
}

function problemOfLogs(block: RawBlock, logs: readonly PlacedLog[]): string | null {
  let lastTransaction = 0
  for (const [place, log] of logs.entries()) {
    if (log.blockHash !== block.hash) return `log ${place} belongs to another block`
    if (log.logIndex !== place) return `log ${place} is missing or out of order`
    if (log.transactionIndex < lastTransaction)
      return `log ${place} belongs to an earlier transaction than the one before`
    lastTransaction = log.transactionIndex
    if (block.transactions[log.transactionIndex]?.hash !== log.transactionHash)
      return `log ${place} belongs to another transaction`
  }
  return bloomOf(logs) === block.logsBloom ? null : 'the logs are not those that the header promises'
}
