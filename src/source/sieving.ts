/**
 * Answers → what of a block concerns somebody (`core/sieve.ts`), without converting the rest.
 *
 * Always holds: what is kept was read and checked as strictly as a whole block is (`parse.ts`, `core/validate.ts`); and of the whole
 * answer everything was looked at that tells whether its parts belong together: number, hashes, parent, each transaction's hash, block
 * and index, each log's block, transaction and number, how many there are, and for lists of logs the bloom filter of the header.
 *
 * What is not looked at, where it concerns nobody: value, input, nonce and gas of transactions, outcome, gas and own index of receipts,
 * the data of logs. A node that writes nonsense there is not found out by it, and no row is worse for it.
 *
 * Nothing is refused here. Whatever is not plainly right (also what only looks unusual, like upper case) is told as such, and then the
 * answer is read as a whole block and judged there, once for both ways.
 *
 * Of logs that name nobody nothing is held until their block comes, only that they were there: holding them made half of the work of
 * the garbage collector. The few that turn out to belong to somebody's transaction all the same come with the receipts.
 */

import { createFilter, type Filter, isFilterOf } from '../core/bloom.ts'
import { createdContract, type Interest } from '../core/interest.ts'
import { dataNamesWallet, mayNameInData } from '../core/sieve.ts'
import type { Address, Block, Hash, Header, Log, Receipt, Transaction } from '../core/types.ts'
import { EMPTY_ROOTS, isEmptyBloom } from '../core/validate.ts'
import type { Entries } from './entries.ts'
import { bytes, type Fields, HASH, integer, isBytes, isFields, isGiven } from './fields.ts'
import { parseAuthorizations, parseContent, parseHeader, parseOutcome } from './parse.ts'

/** The logs of one transaction in the list of a block. */
type LogGroup = {
  readonly transactionIndex: number
  readonly transactionHash: unknown
  /** null: none of them names a tracked wallet. */
  logs: readonly unknown[] | null
}

/** What was seen of all logs of a block at once, so that they need not be gone through again when the block is there. */
export type LogDigest = {
  readonly blockHash: unknown
  readonly filter: Filter
  readonly groups: readonly LogGroup[]
}

/** Logs of one block as `eth_getLogs` gave them, in order. null: they have to be read one by one. */
export function digestLogs(logs: readonly unknown[], interest: Interest, entries: Entries): LogDigest | null {
  const filter = createFilter()
  const groups: LogGroup[] = []
  const blockHash = isFields(logs[0]) ? logs[0]['blockHash'] : null
  let last: LogGroup | undefined
  let from = 0
  let namesWallet = false
  for (const [place, log] of logs.entries()) {
    if (!isFields(log) || log['blockHash'] !== blockHash || indexOf(log['logIndex']) !== place) return null
    const transactionIndex = indexOf(log['transactionIndex'])
    const transactionHash = log['transactionHash']
    if (last?.transactionIndex !== transactionIndex || last.transactionHash !== transactionHash) {
      if (transactionIndex <= (last?.transactionIndex ?? -1)) return null
      if (last !== undefined && namesWallet) last.logs = logs.slice(from, place)
      last = { transactionIndex, transactionHash, logs: null }
      groups.push(last)
      from = place
      namesWallet = false
    }
    const names = lookAtLog(log, interest, entries, filter, namesWallet)
    if (names === null) return null
    namesWallet = names
  }
  if (last !== undefined && namesWallet) last.logs = logs.slice(from)
  return groups.every(group => group.logs === null || group.logs.every(hasData)) ? { blockHash, filter, groups } : null
}

function hasData(log: unknown): boolean {
  return isBytes((log as Fields)['data'])
}

/**
 * @param filter gets the bits of the log; null: none is wanted
 * @param isKept whether the log's transaction is kept anyway
 * @returns whether it is kept for this log at the latest; null: the log has to be read in full
 */
function lookAtLog(
  log: Fields,
  interest: Interest,
  entries: Entries,
  filter: Filter | null,
  isKept: boolean,
): boolean | null {
  const { address, topics, data } = log
  const contract = entries.address(address)
  if (contract < 0 || !Array.isArray(topics) || topics.length > 4) return null
  if (filter !== null) entries.addTo(filter, contract)
  let names = isKept
  for (let index = 0; index < topics.length; index += 1) {
    const topic = entries.topic(topics[index])
    if (topic < 0) return null
    if (filter !== null) entries.addTo(filter, topic)
    if (index > 0 && entries.names(topic)) names = true
  }
  if (names || !mayNameInData(address as string, topics as string[], interest)) return names
  return isBytes(data) ? dataNamesWallet(data, interest) : null
}

type Frame = {
  readonly header: Header
  readonly logsBloom: unknown
  readonly transactions: readonly Fields[]
  /** Of each transaction, whether it concerns somebody by itself. */
  readonly kept: boolean[]
}

/** @throws AppError RPC_BAD_RESPONSE as `parseBlock` does */
async function frameOf(number: number, told: unknown, interest: Interest, entries: Entries): Promise<Frame | null> {
  if (!isFields(told)) return null
  const { transactions, transactionsRoot, logsBloom } = told
  const header = parseHeader(told)
  if (header.number !== number || header.hash !== told['hash'] || !Array.isArray(transactions)) return null
  const isEmpty = transactions.length === 0
  if (isGiven(transactionsRoot)) {
    const isHash = typeof transactionsRoot === 'string' && HASH.test(transactionsRoot)
    if (!isHash || EMPTY_ROOTS.has(transactionsRoot as Hash) !== isEmpty) return null
  }
  const kept: boolean[] = []
  for (const [index, transaction] of transactions.entries()) {
    if (!isFields(transaction) || transaction['blockHash'] !== header.hash) return null
    if (indexOf(transaction['transactionIndex']) !== index) return null
    const isKept = lookAtTransaction(transaction, interest, entries)
    if (isKept === null) return null
    const mayAuthorize = !isKept && isGiven(transaction['authorizationList'])
    kept.push(isKept || (mayAuthorize && (await authorizesFor(transaction, interest))))
  }
  return { header, logsBloom, transactions: transactions as Fields[], kept }
}

function lookAtTransaction(transaction: Fields, interest: Interest, entries: Entries): boolean | null {
  const hash = transaction['hash']
  if (typeof hash !== 'string' || !HASH.test(hash)) return null
  const sender = entries.address(transaction['from'])
  if (sender < 0) return null
  const isSenders = entries.names(sender)
  const to = transaction['to']
  if (isGiven(to)) {
    const recipient = entries.address(to)
    if (recipient < 0) return null
    return isSenders || entries.names(recipient) || interest.transaction(hash as Hash)
  }
  if (isSenders || interest.transaction(hash as Hash)) return true
  const from = transaction['from'] as Address
  const created = createdContract({ to: null, from, nonce: integer(transaction, 'nonce') })
  return created !== null && interest.wallet(created)
}

/** Who signed can't be told without recovering every signature. */
async function authorizesFor(transaction: Fields, interest: Interest): Promise<boolean> {
  const recovered = await parseAuthorizations(transaction)
  return recovered.some(({ authority }) => authority !== null && interest.wallet(authority))
}

/**
 * `unfit`: the block is not the one of these logs, or they are not all of its; `lacking`: the two fit, and somebody's transaction has
 * logs that were not held; `unusual`: the block has to be read whole.
 */
export type SievedByLogs =
  | { readonly kind: 'sieved'; readonly block: Block }
  | { readonly kind: 'unfit' | 'lacking' | 'unusual' }

/** Joins a block and all of its logs, as `joinLogs`. @throws AppError RPC_BAD_RESPONSE: the block is no answer */
export async function sieveByLogs(
  number: number,
  told: unknown,
  digest: LogDigest,
  interest: Interest,
  entries: Entries,
): Promise<SievedByLogs> {
  const frame = await frameOf(number, told, interest, entries)
  if (frame === null || typeof frame.logsBloom !== 'string') return { kind: 'unusual' }
  const { header, logsBloom, transactions, kept } = frame
  if (digest.groups.length > 0 && digest.blockHash !== header.hash) return { kind: 'unfit' }
  if (!isFilterOf(digest.filter, logsBloom)) return { kind: 'unfit' }
  const groupOf = new Map<number, LogGroup>()
  for (const group of digest.groups) {
    if (transactions[group.transactionIndex]?.['hash'] !== group.transactionHash) return { kind: 'unfit' }
    groupOf.set(group.transactionIndex, group)
    if (group.logs !== null) kept[group.transactionIndex] = true
  }
  if (digest.groups.some(group => group.logs === null && kept[group.transactionIndex])) return { kind: 'lacking' }
  const block = await keep(frame, (transaction, place) => {
    const group = groupOf.get(place)
    return {
      transactionHash: transaction.hash,
      transactionIndex: place,
      succeeded: group === undefined ? null : true,
      gasUsed: null,
      contractAddress: createdContract(transaction),
      logs: (group?.logs ?? []).map(readLog),
    }
  })
  return { kind: 'sieved', block }
}

/** Joins a block and its receipts, as `joinBlock`. @throws AppError RPC_BAD_RESPONSE: block or receipts are no answer */
export async function sieveByReceipts(
  number: number,
  told: unknown,
  receipts: unknown,
  interest: Interest,
  entries: Entries,
): Promise<Block | null> {
  const frame = await frameOf(number, told, interest, entries)
  if (frame === null || !Array.isArray(receipts)) return null
  const { header, logsBloom, transactions, kept } = frame
  if (receipts.length !== transactions.length || typeof logsBloom !== 'string') return null
  let logCount = 0
  for (const [index, receipt] of receipts.entries()) {
    const transaction = transactions[index]
    if (!isFields(receipt) || transaction === undefined) return null
    const { transactionHash, blockHash, contractAddress, logs } = receipt
    if (blockHash !== header.hash || transactionHash !== transaction['hash'] || !Array.isArray(logs)) return null
    if (isGiven(contractAddress)) {
      const created = entries.address(contractAddress)
      if (created < 0 || isGiven(transaction['to'])) return null
      if (entries.names(created)) kept[index] = true
    }
    for (const log of logs) {
      if (!isFields(log) || log['blockHash'] !== header.hash || indexOf(log['logIndex']) !== logCount) return null
      logCount += 1
      const names = lookAtLog(log, interest, entries, null, kept[index] ?? false)
      if (names === null) return null
      kept[index] = names
    }
  }
  if ((logCount === 0) !== isEmptyBloom(logsBloom)) return null
  const isOutOfPlace = (receipt: Fields, place: number) => kept[place] && indexOf(receipt['transactionIndex']) !== place
  if (receipts.some(isOutOfPlace)) return null
  return keep(frame, (transaction, place) => {
    const receipt = receipts[place] as Fields
    return {
      transactionHash: transaction.hash,
      transactionIndex: place,
      ...parseOutcome(receipt),
      logs: (receipt['logs'] as unknown[]).map(readLog),
    }
  })
}

async function keep(
  { header, transactions, kept }: Frame,
  receiptOf: (transaction: Transaction, place: number) => Receipt,
): Promise<Block> {
  const own: Transaction[] = []
  const receipts: Receipt[] = []
  for (const [place, told] of transactions.entries()) {
    if (kept[place] !== true) continue
    const { hash, from, to } = told
    // Looked at already, each of them: they are what they have to be.
    const known = { hash: hash as Hash, index: place, from: from as Address, to: (to ?? null) as Address | null }
    const transaction = { ...known, ...(await parseContent(told)) }
    own.push(transaction)
    receipts.push(receiptOf(transaction, place))
  }
  return { ...header, transactions: own, receipts }
}

/** A log that was looked at: all but its data is what it has to be. */
function readLog(told: unknown): Log {
  const log = told as Fields
  const { address, topics, logIndex } = log
  return {
    address: address as Address,
    topics: topics as Hash[],
    data: bytes(log, 'data'),
    logIndex: indexOf(logIndex),
  }
}

const USUAL_INDEXES = 1 << 11
const INDEX = /^0x(?:0|[1-9a-f][0-9a-f]{0,7})$/
const indexes = new Map(Array.from({ length: USUAL_INDEXES }, (_, index) => [`0x${index.toString(16)}`, index]))

/** An index in its one usual form; −1 for anything else. */
function indexOf(text: unknown): number {
  if (typeof text !== 'string') return -1
  return indexes.get(text) ?? (INDEX.test(text) ? Number(text) : -1)
}
