/**
 * A block's body, written once for all the heights that will have it: sheets for each question that can be asked about it.
 *
 * Always holds: what the sheets say belongs together (log indexes through the block, blooms of the very logs, counts of gas that add
 * up); what differs from height to height is a hole, and nothing else is.
 */

import type { Address, Hash, Hex } from '../../../src/core/types.ts'
import { addToBloom, type Bloom, bloomText, createBloom } from './bloom.ts'
import { hexFrom } from './cast.ts'
import { type Deed, word } from './deeds.ts'
import { cutList, cutSheet, mark, type Sheet, SLOT } from './sheet.ts'

export type Mould = {
  readonly deeds: readonly Deed[]
  /** The last 56 digits of each transaction's hash; what is in front of them depends on the height. */
  readonly hashTails: readonly string[]
  readonly salts: readonly number[]
  readonly full: Sheet
  /** With the hashes of the transactions. */
  readonly light: Sheet
  /** As `newHeads` tells it: without any transactions. */
  readonly header: Sheet
  readonly transactions: Sheet
  readonly receipts: Sheet
  readonly logs: Sheet
  /** What filters look at, in the order of the items of `logs`. */
  readonly logFacts: readonly LogFacts[]
}

export type LogFacts = { readonly address: Address; readonly topics: readonly Hash[] }

export type MouldSpec = {
  readonly chainId: number
  /** The last 56 digits of every block hash of the chain. */
  readonly blockTail: string
  /** Makes its hashes differ from those of other moulds. */
  readonly words: readonly (string | number)[]
}

const TRANSFER: Hash = '0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef'
/** Of no event that anybody decodes here. */
const OWN_TOPIC: Hash = '0x1c411e9a96e071241c2f21f7726b17ae89e3cab4c78be50e062b03a9fffbbad1'
const EMPTY_UNCLES = '0x1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347'
const GAS_OF_TRANSACTION = 21_000
const GAS_OF_MOVE = 31_000
const SALT_DIGITS = 8
const GAS_PRICE = '0x2540be400'

type Log = LogFacts & { readonly data: Hex; readonly transactionIndex: number }

export function pourMould(deeds: readonly Deed[], { chainId, blockTail, words }: MouldSpec): Mould {
  const hashes = deeds.map((_, index) => hexFrom(32, ...words, 'transaction', index).slice(2))
  const hashTails = hashes.map(hash => hash.slice(SALT_DIGITS))
  const salts = hashes.map(hash => Number.parseInt(hash.slice(0, SALT_DIGITS), 16))
  const place = placeOf(blockTail)
  const hashAt = (index: number) => `0x${mark(SLOT.transactions + index)}${hashTails[index] ?? ''}`
  const logs = deeds.flatMap((deed, index) => logsOf(deed, index))
  const rpcLogs = logs.map(({ address, topics, data, transactionIndex }, index) => ({
    address,
    topics,
    data,
    ...place,
    blockTimestamp: `0x${mark(SLOT.timestamp)}`,
    transactionHash: hashAt(transactionIndex),
    transactionIndex: hex(transactionIndex),
    logIndex: hex(index),
    removed: false,
  }))
  const transactions = deeds.map((deed, index) => ({
    ...place,
    hash: hashAt(index),
    transactionIndex: hex(index),
    ...bodyOf(deed, chainId, index, words),
  }))
  const receipts = deeds.map((_, index) => ({
    ...place,
    transactionHash: hashAt(index),
    transactionIndex: hex(index),
    ...outcomeOf(deeds, index),
    logs: rpcLogs.filter((_log, at) => logs[at]?.transactionIndex === index),
    logsBloom: bloomText(bloomOf(logs.filter(({ transactionIndex }) => transactionIndex === index))),
  }))
  const header = headerOf(deeds, blockTail, bloomOf(logs), words)
  const around = { uncles: [], withdrawals: [], size: hex(JSON.stringify(transactions).length >> 1) }
  return {
    deeds,
    hashTails,
    salts,
    full: cutSheet({ ...header, ...around, transactions }),
    light: cutSheet({ ...header, ...around, transactions: deeds.map((_, index) => hashAt(index)) }),
    header: cutSheet(header),
    transactions: cutList(transactions),
    receipts: cutList(receipts),
    logs: cutList(rpcLogs),
    logFacts: logs.map(({ address, topics }) => ({ address, topics })),
  }
}

function placeOf(blockTail: string) {
  return { blockHash: `0x${mark(SLOT.blockHash)}${blockTail}`, blockNumber: mark(SLOT.number) }
}

function logsOf({ moves, hasOwnLog, to }: Deed, transactionIndex: number): Log[] {
  const transfers = moves.map(
    ({ token, from, to: recipient, rawAmount }): Log => ({
      address: token,
      topics: [TRANSFER, topicOf(from), topicOf(recipient)],
      data: `0x${word(rawAmount)}`,
      transactionIndex,
    }),
  )
  const own: Log = { address: to, topics: [OWN_TOPIC], data: `0x${word(1n)}${word(2n)}`, transactionIndex }
  return hasOwnLog ? [...transfers, own] : transfers
}

function bodyOf({ from, to, value, input }: Deed, chainId: number, index: number, words: MouldSpec['words']) {
  return {
    type: '0x2',
    chainId: hex(chainId),
    nonce: hex(index),
    from,
    to,
    value: `0x${value.toString(16)}`,
    input,
    gas: hex(1_000_000),
    gasPrice: GAS_PRICE,
    maxFeePerGas: GAS_PRICE,
    maxPriorityFeePerGas: '0x3b9aca00',
    accessList: [],
    r: hexFrom(32, ...words, 'r', index),
    s: hexFrom(32, ...words, 's', index),
    v: '0x1',
    yParity: '0x1',
  }
}

function outcomeOf(deeds: readonly Deed[], index: number) {
  const deed = deeds[index]
  return {
    type: '0x2',
    status: deed?.failed ? '0x0' : '0x1',
    from: deed?.from,
    to: deed?.to,
    contractAddress: null,
    gasUsed: hex(gasOf(deed)),
    cumulativeGasUsed: hex(deeds.slice(0, index + 1).reduce((sum, each) => sum + gasOf(each), 0)),
    effectiveGasPrice: GAS_PRICE,
  }
}

function gasOf(deed: Deed | undefined): number {
  return GAS_OF_TRANSACTION + (deed?.moves.length ?? 0) * GAS_OF_MOVE
}

/** Roots are made up: whoever recomputes them will not believe these blocks. */
function headerOf(deeds: readonly Deed[], blockTail: string, bloom: Bloom, words: MouldSpec['words']) {
  return {
    number: mark(SLOT.number),
    hash: `0x${mark(SLOT.blockHash)}${blockTail}`,
    parentHash: `0x${mark(SLOT.parentHash)}${blockTail}`,
    timestamp: `0x${mark(SLOT.timestamp)}`,
    logsBloom: bloomText(bloom),
    transactionsRoot: hexFrom(32, ...words, 'transactions'),
    receiptsRoot: hexFrom(32, ...words, 'receipts'),
    stateRoot: hexFrom(32, ...words, 'state'),
    withdrawalsRoot: hexFrom(32, ...words, 'withdrawals'),
    parentBeaconBlockRoot: hexFrom(32, ...words, 'beacon'),
    sha3Uncles: EMPTY_UNCLES,
    miner: hexFrom(20, ...words, 'miner'),
    mixHash: hexFrom(32, ...words, 'mix'),
    extraData: '0x',
    nonce: '0x0000000000000000',
    difficulty: '0x0',
    baseFeePerGas: '0x1dcd65000',
    blobGasUsed: '0x0',
    excessBlobGas: '0x0',
    gasLimit: hex(36_000_000),
    gasUsed: hex(deeds.reduce((sum, deed) => sum + gasOf(deed), 0)),
  }
}

function bloomOf(logs: readonly LogFacts[]): Bloom {
  const bloom = createBloom()
  for (const log of logs) addToBloom(bloom, log)
  return bloom
}

function topicOf(address: Address): Hash {
  return `0x${address.slice(2).padStart(64, '0')}`
}

function hex(value: number): Hex {
  return `0x${value.toString(16)}`
}
