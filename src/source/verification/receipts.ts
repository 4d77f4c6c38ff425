/**
 * A block's receipts and their logs, against the receipts root and against the transactions that they are of.
 *
 * The root commits to outcome, cumulative gas and logs (address, topics, data). Everything else in a receipt is derived from the
 * transaction, the block or the receipts before it, is derived here again, and is compared where the answer has it.
 */

import { concat, getContractAddress, toHex, toRlp } from 'viem/utils'
import type { Hex } from '../../core/types.ts'
import { findNewerBlobPrice } from './blob-price.ts'
import { BloomMaker } from '../../core/bloom.ts'
import {
  Contradiction,
  encodeHash,
  encodeQuantity,
  type Encodable,
  isAbsent,
  type Item,
  itemOf,
  mayOnlyBe,
  mustBe,
  readAddress,
  readBoolean,
  readBytes,
  readHash,
  readHashes,
  readList,
  readOptionalAddress,
  readQuantity,
  toBytes,
  toQuantityBytes,
} from './fields.ts'
import type { ProvenHeader } from './header.ts'
import type { ProvenTransaction } from './transactions.ts'
import { rootOf } from './trie.ts'

/** GAS_PER_BLOB (EIP-4844). */
const GAS_PER_BLOB = 131_072n
/** LOG4 is the last of its kind. */
const MAX_TOPICS = 4

/** Throws a `Contradiction` where they are not those of the block. @returns why a price can't be proved; null if all can */
export async function proveReceipts(
  answers: readonly unknown[],
  header: ProvenHeader,
  transactions: readonly ProvenTransaction[],
): Promise<string | null> {
  if (answers.length !== transactions.length) {
    throw new Contradiction(`the block has ${transactions.length} transactions and ${answers.length} receipts`)
  }
  const bloom = new BloomMaker()
  const encoded: Uint8Array[] = []
  const receipts: Item[] = []
  let gasBefore = 0n
  let logsBefore = 0
  for (const [index, transaction] of transactions.entries()) {
    const receipt = itemOf(answers[index], `receipt ${index}`)
    const gas = readQuantity(receipt, 'cumulativeGasUsed')
    checkOrigin(receipt, index, transaction, header)
    mustBe(receipt, 'gasUsed', readQuantity, gas - gasBefore)
    logsBefore += checkLogs(receipt, index, transaction, header, logsBefore)
    encoded.push(encodeReceipt(receipt, transaction.type, bloom))
    receipts.push(receipt)
    gasBefore = gas
  }
  if ((await rootOf(encoded)) !== header.receiptsRoot) {
    throw new Contradiction('the receipts are not those of the receiptsRoot')
  }
  if (gasBefore !== header.gasUsed)
    throw new Contradiction(`the receipts used ${gasBefore} gas, the gasUsed of the block is ${header.gasUsed}`)
  if (toHex(bloom.union()) !== header.logsBloom)
    throw new Contradiction('the logsBloom of the block is not that of its logs')
  return findNewerBlobPrice(receipts, transactions, header)
}

/** What a receipt says of its transaction. */
function checkOrigin(receipt: Item, index: number, transaction: ProvenTransaction, header: ProvenHeader): void {
  mustBe(receipt, 'transactionHash', readHash, transaction.hash)
  mustBe(receipt, 'transactionIndex', readQuantity, BigInt(index))
  mustBe(receipt, 'blockHash', readHash, header.hash)
  mayOnlyBe(receipt, 'blockNumber', readQuantity, header.number)
  mayOnlyBe(receipt, 'type', readQuantity, BigInt(transaction.type))
  mayOnlyBe(receipt, 'from', readAddress, transaction.from)
  // Here null is a claim: that a contract was created.
  if (receipt.fields['to'] !== undefined) mustBe(receipt, 'to', readOptionalAddress, transaction.to)
  mayOnlyBe(receipt, 'effectiveGasPrice', readQuantity, transaction.effectivePrice)
  mayOnlyBe(receipt, 'blobGasUsed', readQuantity, GAS_PER_BLOB * BigInt(transaction.blobs))
  checkContract(receipt, transaction)
}

/** Nodes differ on a creation that failed: the address that it would have had, or none. */
function checkContract(receipt: Item, { to, from, nonce }: ProvenTransaction): void {
  const hasFailed = !isAbsent(receipt, 'status') && readQuantity(receipt, 'status') === 0n
  if (to === null && hasFailed && isAbsent(receipt, 'contractAddress')) return
  const created = to === null ? (getContractAddress({ from, nonce }).toLowerCase() as Hex) : null
  mustBe(receipt, 'contractAddress', readOptionalAddress, created)
}

/** @param before logs of the receipts before this one @returns how many logs it has */
function checkLogs(
  receipt: Item,
  index: number,
  transaction: ProvenTransaction,
  header: ProvenHeader,
  before: number,
): number {
  const logs = logsOf(receipt)
  for (const [position, log] of logs.entries()) {
    mustBe(log, 'logIndex', readQuantity, BigInt(before + position))
    mustBe(log, 'blockHash', readHash, header.hash)
    mayOnlyBe(log, 'transactionHash', readHash, transaction.hash)
    mayOnlyBe(log, 'transactionIndex', readQuantity, BigInt(index))
    mayOnlyBe(log, 'blockNumber', readQuantity, header.number)
    mayOnlyBe(log, 'removed', readBoolean, false)
    // Some versions of geth write 0 in receipts, where they do not know it (go-ethereum#32334).
    if (!isAbsent(log, 'blockTimestamp') && readQuantity(log, 'blockTimestamp') === 0n) continue
    mayOnlyBe(log, 'blockTimestamp', readQuantity, header.timestamp)
  }
  return logs.length
}

/** The bytes that the receipts root commits to. Throws a `Contradiction` if its logsBloom is not that of its logs. */
export function encodeReceipt(receipt: Item, type: number, maker: BloomMaker): Uint8Array {
  const entries: Hex[] = []
  const logs: Encodable[] = []
  for (const log of logsOf(receipt)) {
    const address = readAddress(log, 'address')
    const topics = readHashes(log, 'topics')
    if (topics.length > MAX_TOPICS)
      throw new Contradiction(`${log.name} has ${topics.length} topics, and 4 are the most`)
    entries.push(address, ...topics)
    logs.push([toBytes(address), topics.map(toBytes), toBytes(readBytes(log, 'data'))])
  }
  const bloom = maker.bloomOf(entries)
  mayOnlyBe(receipt, 'logsBloom', readBytes, toHex(bloom))
  const gas = toQuantityBytes(readQuantity(receipt, 'cumulativeGasUsed'))
  const encoded = toRlp([encodeOutcome(receipt), gas, bloom, logs], 'bytes')
  return type === 0 ? encoded : concat([toQuantityBytes(BigInt(type)), encoded])
}

/** 1 or 0 since EIP-658, before it a state root. Where both are, the root is what nobody commits to and nobody reads. */
function encodeOutcome(receipt: Item): Uint8Array {
  if (isAbsent(receipt, 'status') && !isAbsent(receipt, 'root')) return encodeHash(receipt, 'root')
  return encodeQuantity(receipt, 'status')
}

function logsOf(receipt: Item): Item[] {
  return readList(receipt, 'logs').map((log, index) => itemOf(log, `log ${index} of ${receipt.name}`))
}
