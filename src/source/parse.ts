/**
 * JSON-RPC answers → the shapes of `core/types.ts`.
 *
 * Everything that comes from a node passes here and nothing is believed: a field that is missing, of another type, or larger than
 * it may be makes the whole answer bad (`RPC_BAD_RESPONSE`), naming the method and the field. Hex is brought to lower case once,
 * here. Shapes are those of the Ethereum execution API specification.
 */

import type { PendingTransaction } from '../core/pending.ts'
import type { Authorization, Hash, Header, Hex, Log } from '../core/types.ts'
import type { PlacedLog, RawBlock, RawReceipt } from '../core/validate.ts'
import { type RawAuthorization, recoverAuthority } from './authorization.ts'
import {
  address,
  bad,
  bytes,
  bytesOf,
  checked,
  type Fields,
  fieldsOf,
  HASH,
  hash,
  integer,
  isFields,
  isGiven,
  list,
  optionalAddress,
  optionalList,
  QUANTITY,
  quantity,
  quantityOf,
} from './fields.ts'
import type { Location } from './source.ts'

const MAX_CLIENT_LENGTH = 80

/** A block header; of an answer with or without transactions. */
export function parseHeader(answer: unknown): Header {
  const block = fieldsOf(answer, 'block')
  return {
    number: integer(block, 'number'),
    hash: hash(block, 'hash'),
    parentHash: hash(block, 'parentHash'),
    timestamp: integer(block, 'timestamp'),
  }
}

/** `eth_getBlockByNumber(n, true)`. */
export async function parseBlock(answer: unknown): Promise<RawBlock> {
  const block = fieldsOf(answer, 'block')
  const transactions = await Promise.all(list(block, 'transactions').map(transaction => parseTransaction(transaction)))
  const isRooted = block['transactionsRoot'] !== undefined && block['transactionsRoot'] !== null
  const transactionsRoot = isRooted ? hash(block, 'transactionsRoot') : null
  return { ...parseHeader(answer), logsBloom: bytes(block, 'logsBloom'), transactionsRoot, transactions }
}

async function parseTransaction(answer: unknown): Promise<RawBlock['transactions'][number]> {
  const transaction = fieldsOf(answer, 'transaction')
  return {
    hash: hash(transaction, 'hash'),
    blockHash: transaction['blockHash'] === null ? null : hash(transaction, 'blockHash'),
    index: integer(transaction, 'transactionIndex'),
    from: address(transaction, 'from'),
    to: optionalAddress(transaction, 'to'),
    ...(await parseContent(transaction)),
  }
}

/** What a transaction does, apart from who takes part and where it stands. */
export async function parseContent(transaction: Fields) {
  return {
    value: quantity(transaction, 'value'),
    input: bytes(transaction, 'input'),
    nonce: integer(transaction, 'nonce'),
    gas: quantity(transaction, 'gas'),
    authorizations: isGiven(transaction['authorizationList']) ? await parseAuthorizations(transaction) : [],
  }
}

/** The authorizations of a transaction, each with whoever signed it. */
export function parseAuthorizations(transaction: Fields): Promise<Authorization[]> {
  return Promise.all(
    optionalList(transaction, 'authorizationList').map(async entry => recoverAuthority(parseAuthorization(entry))),
  )
}

function parseAuthorization(answer: unknown): RawAuthorization {
  const entry = fieldsOf(answer, 'authorization')
  return {
    chainId: quantity(entry, 'chainId'),
    delegate: address(entry, 'address'),
    nonce: quantity(entry, 'nonce'),
    // Some nodes write only the older name.
    yParity: quantity(entry, entry['yParity'] === undefined ? 'v' : 'yParity'),
    r: quantity(entry, 'r'),
    s: quantity(entry, 's'),
  }
}

/** `eth_getBlockReceipts(n)`, or the receipts of its transactions one by one. */
export function parseReceipts(answer: unknown): RawReceipt[] {
  return readList(answer, 'receipts').map(entry => parseReceipt(entry))
}

/** An answer that is a list; its entries are still to be looked at. */
export function readList(answer: unknown, name: string): readonly unknown[] {
  if (!Array.isArray(answer)) throw bad(name, 'a list', answer)
  return answer
}

export function parseReceipt(answer: unknown): RawReceipt {
  const receipt = fieldsOf(answer, 'receipt')
  const logs = list(receipt, 'logs').map(entry => fieldsOf(entry, 'log'))
  return {
    transactionHash: hash(receipt, 'transactionHash'),
    transactionIndex: integer(receipt, 'transactionIndex'),
    blockHash: hash(receipt, 'blockHash'),
    ...parseOutcome(receipt),
    logs: logs.map(parseLog),
    logBlockHashes: logs.map(log => hash(log, 'blockHash')),
  }
}

/** How a transaction ended, apart from its logs. */
export function parseOutcome(receipt: Fields) {
  return {
    succeeded: outcome(receipt),
    gasUsed: quantity(receipt, 'gasUsed'),
    contractAddress: optionalAddress(receipt, 'contractAddress'),
  }
}

/** EIP-658: 1 or 0. Anything else is no answer: taking it for a failure would show a good transaction as failed. */
function outcome(receipt: Fields): boolean | null {
  if (receipt['status'] === undefined || receipt['status'] === null) return null
  const status = quantity(receipt, 'status')
  if (status > 1n) throw bad('status', '0x0 or 0x1', receipt['status'])
  return status === 1n
}

function parseLog(log: Fields): Log {
  const topics = list(log, 'topics')
  if (topics.length > 4) throw bad('log.topics', 'at most 4 topics', topics)
  return {
    address: address(log, 'address'),
    topics: topics.map(topic => checked(topic, 'log.topics', HASH, '32 bytes of hex')),
    data: bytes(log, 'data'),
    logIndex: integer(log, 'logIndex'),
  }
}

/** `eth_getLogs`. */
export function parsePlacedLogs(answer: unknown): PlacedLog[] {
  return readList(answer, 'logs').map(entry => {
    const log = fieldsOf(entry, 'log')
    return {
      ...parseLog(log),
      blockNumber: parseBlockNumber(log),
      blockHash: hash(log, 'blockHash'),
      transactionHash: hash(log, 'transactionHash'),
      transactionIndex: integer(log, 'transactionIndex'),
    }
  })
}

/** Of a log: the block that it says it is in. */
export function parseBlockNumber(log: unknown): number {
  return integer(fieldsOf(log, 'log'), 'blockNumber')
}

/** `web3_clientVersion`: free text, which is shown; so it is cleaned and cut. */
export function parseClient(answer: unknown): string | null {
  if (typeof answer !== 'string') return null
  const text = answer.replace(/[^\x21-\x7e]+/g, ' ').trim()
  return text === '' ? null : text.slice(0, MAX_CLIENT_LENGTH)
}

/** `eth_getTransactionByHash`: where it is; without a block, in the mempool. */
export function parseLocation(answer: unknown, asked: Hash): Location {
  const transaction = fieldsOf(answer, 'transaction')
  if (hash(transaction, 'hash') !== asked)
    throw bad('transaction.hash', `the transaction ${asked}`, transaction['hash'])
  const { blockHash } = transaction
  return blockHash === null || blockHash === undefined
    ? { kind: 'pending', sender: address(transaction, 'from'), nonce: integer(transaction, 'nonce') }
    : { kind: 'mined', blockNumber: integer(transaction, 'blockNumber'), blockHash: hash(transaction, 'blockHash') }
}

/** The body of a transaction that waits in a mempool; null if a block holds it already. */
export function parsePending(answer: unknown): PendingTransaction | null {
  const transaction = fieldsOf(answer, 'transaction')
  if (transaction['blockHash'] !== null && transaction['blockHash'] !== undefined) return null
  return {
    hash: hash(transaction, 'hash'),
    from: address(transaction, 'from'),
    to: optionalAddress(transaction, 'to'),
    value: quantity(transaction, 'value'),
    input: bytes(transaction, 'input'),
    nonce: integer(transaction, 'nonce'),
  }
}

/** `eth_getFilterChanges`: hashes or bodies, each still to be looked at. */
export function parseChanges(answer: unknown): readonly unknown[] {
  return readList(answer, 'changes')
}

/** What waits according to `txpool_content`, by sender and nonce; each still to be looked at. Erigon alone has `baseFee`. */
export function parsePool(answer: unknown): readonly unknown[] {
  const sections = fieldsOf(answer, 'pool')
  return ['pending', 'baseFee', 'queued'].flatMap(section =>
    isFields(sections[section])
      ? Object.values(sections[section]).flatMap(byNonce => (isFields(byNonce) ? Object.values(byNonce) : []))
      : [],
  )
}

/** The hash of a body that is not looked at otherwise; null if it has none. */
export function parseHashOf(body: unknown): Hash | null {
  return isFields(body) ? parseBareHash(body['hash']) : null
}

/** `eth_newPendingTransactionFilter`. Zeros in front belong to it. */
export function parseFilterId(answer: unknown): Hex {
  return checked(answer, 'filter id', QUANTITY, 'a hex quantity')
}

/** A hash that stands where a body may; null for anything else. */
export function parseBareHash(value: unknown): Hash | null {
  const lower = typeof value === 'string' ? value.toLowerCase() : ''
  return HASH.test(lower) ? (lower as Hash) : null
}

export function parseQuantity(answer: unknown, name: string): bigint {
  return quantityOf(answer, name)
}

export function parseBytes(answer: unknown, name: string): Hex {
  return bytesOf(answer, name)
}
