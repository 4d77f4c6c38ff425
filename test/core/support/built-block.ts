/**
 * Blocks of one transaction that real ones lack: made and signed here by viem, hashed without any of the code under test.
 *
 * A trie of one entry needs no library: its root is the keccak256 of a leaf that holds the whole key, which is the RLP of 0 (0x80),
 * behind the prefix of an even leaf (0x20).
 */

import {
  type Hex,
  hexToBigInt,
  keccak256,
  numberToHex,
  parseTransaction,
  type Signature,
  serializeTransaction,
  toRlp,
  type TransactionSerializable,
} from 'viem'
import { privateKeyToAccount } from 'viem/accounts'
import type { Answer, Fields } from './answers.ts'
import { addressOf, hashOf } from './build.ts'

const account = privateKeyToAccount(hashOf(0x5ec2e7))
export const SENDER = account.address.toLowerCase() as Hex

const EMPTY_ROOT = keccak256('0x80')
const NO_UNCLES = keccak256('0xc0')
const NO_BLOOM: Hex = `0x${'0'.repeat(512)}`
const GAS = 21_000
/** The order of secp256k1. */
const ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n
const TYPES = { legacy: 0, eip2930: 1, eip1559: 2, eip4844: 3, eip7702: 4 }

/** In the order of the hash. */
const HEADER_FIELDS: readonly string[] = [
  'parentHash sha3Uncles miner stateRoot transactionsRoot receiptsRoot logsBloom difficulty number gasLimit gasUsed timestamp',
  'extraData mixHash nonce baseFeePerGas withdrawalsRoot blobGasUsed excessBlobGas parentBeaconBlockRoot requestsHash',
].flatMap(line => line.split(' '))
const QUANTITIES = 'difficulty number gasLimit gasUsed timestamp baseFeePerGas blobGasUsed excessBlobGas'.split(' ')

const HEADER: Fields = {
  parentHash: hashOf(1),
  sha3Uncles: NO_UNCLES,
  miner: addressOf(2),
  stateRoot: hashOf(3),
  logsBloom: NO_BLOOM,
  difficulty: '0x0',
  number: '0x64',
  gasLimit: '0x1c9c380',
  timestamp: '0x6553f100',
  extraData: '0x',
  mixHash: hashOf(4),
  nonce: '0x0000000000000000',
  baseFeePerGas: '0x7',
  withdrawalsRoot: EMPTY_ROOT,
  blobGasUsed: '0x0',
  excessBlobGas: '0x0',
  parentBeaconBlockRoot: hashOf(5),
  requestsHash: hashOf(6),
}

export type Plan = {
  readonly name?: string
  /** `CALL` if there is none. */
  readonly transaction?: TransactionSerializable
  readonly succeeded?: boolean
  /** Takes the other of the two signatures that mean the same: s above half the order, as before Homestead. */
  readonly isHighS?: boolean
  /** Fields that a fork of later adds (last in the hash), or other values; undefined leaves one out. */
  readonly header?: Fields
  readonly receipt?: Fields
}

export const CALL: TransactionSerializable = {
  type: 'eip1559',
  chainId: 1,
  nonce: 5,
  to: addressOf(0xb0b),
  value: 3n,
  gas: 21_000n,
  maxFeePerGas: 10n,
  maxPriorityFeePerGas: 1n,
}
export const CREATION: TransactionSerializable = { ...CALL, to: null }
/** The address that `CREATION` makes: of its sender and his nonce. */
export const CREATED: Hex = `0x${keccak256(toRlp([SENDER, '0x05'])).slice(-40)}`
export const LEGACY: TransactionSerializable = {
  type: 'legacy',
  nonce: 5,
  to: addressOf(0xb0b),
  gas: 21_000n,
  gasPrice: 10n,
}
export const BLOBS: TransactionSerializable = {
  type: 'eip4844',
  chainId: 1,
  nonce: 5,
  to: addressOf(0xb0b),
  gas: 21_000n,
  maxFeePerGas: 10n,
  maxFeePerBlobGas: 1_000_000_000n,
  blobVersionedHashes: [`0x01${'0'.repeat(62)}`],
}

/** The block as an honest node tells it, but for what the plan changes. */
export async function buildBlock(plan: Plan = {}): Promise<Answer> {
  const serialized = await sign(plan)
  const parsed = parseTransaction(serialized) as Fields & Signature
  const type = TYPES[parsed['type'] as keyof typeof TYPES]
  const succeeded = plan.succeeded ?? true
  const encoded = toRlp([succeeded ? '0x01' : '0x', numberToHex(GAS), NO_BLOOM, []])
  const header = headerOf(plan, {
    transactionsRoot: rootOfOne(serialized),
    receiptsRoot: rootOfOne(type === 0 ? encoded : `0x0${type}${encoded.slice(2)}`),
    gasUsed: numberToHex(GAS),
  })
  const place = { blockHash: header['hash'], blockNumber: header['number'], transactionIndex: '0x0' }
  const ends = { type: numberToHex(type), from: SENDER, to: parsed['to'] ?? null }
  const hash = keccak256(serialized)
  const sent = { ...bodyOf(parsed), ...place, ...ends, ...signatureOf(parsed, type), hash }
  const receipt = {
    ...place,
    ...ends,
    transactionHash: hash,
    contractAddress: null,
    status: succeeded ? '0x1' : '0x0',
    gasUsed: numberToHex(GAS),
    cumulativeGasUsed: numberToHex(GAS),
    logs: [],
    logsBloom: NO_BLOOM,
    ...plan.receipt,
  }
  return {
    name: plan.name ?? 'a block that was built',
    block: { ...header, uncles: [], withdrawals: [], transactions: [sent] },
    receipts: [receipt],
  }
}

/** The block with other fields in its only transaction. */
export function resend(answer: Answer, fields: Fields): Answer {
  const transactions = answer.block.transactions.map(each => ({ ...each, ...fields }))
  return { ...answer, block: { ...answer.block, transactions } }
}

async function sign({ transaction = CALL, isHighS }: Plan): Promise<Hex> {
  const serialized = await account.signTransaction(transaction)
  if (!isHighS) return serialized
  const { r, s, yParity } = parseTransaction(serialized) as unknown as Signature
  const otherParity = yParity === 0 ? 1 : 0
  const other = { r, s: numberToHex(ORDER - hexToBigInt(s)), yParity: otherParity, v: BigInt(27 + otherParity) }
  return serializeTransaction(transaction, other)
}

function headerOf({ header = {} }: Plan, roots: Fields): Fields {
  const fields: Fields = { ...HEADER, ...roots, ...header }
  // What a plan adds stands behind what is known, as a fork would add it.
  const names = [...HEADER_FIELDS, ...Object.keys(fields).filter(field => !HEADER_FIELDS.includes(field))]
  const present = names.filter(field => fields[field] !== undefined)
  const encoded = toRlp(present.map(field => encodeField(field, fields[field] as Hex)))
  return { ...fields, hash: keccak256(encoded) }
}

function encodeField(field: string, value: Hex): Hex {
  return QUANTITIES.includes(field) ? quantityOf(BigInt(value)) : value
}

function quantityOf(value: bigint): Hex {
  const digits = value === 0n ? '' : value.toString(16)
  return `0x${digits.length % 2 === 0 ? digits : `0${digits}`}`
}

function rootOfOne(entry: Hex): Hex {
  return keccak256(toRlp(['0x2080', entry]))
}

/** What was signed, under the names that JSON-RPC has for it. */
function bodyOf({ type: _type, data, r: _r, s: _s, v: _v, yParity: _parity, ...signed }: Fields): Fields {
  const isCapped = signed['maxFeePerGas'] !== undefined
  const zeros = { nonce: 0n, value: 0n, ...(isCapped ? { maxPriorityFeePerGas: 0n, accessList: [] } : {}) }
  const fields = Object.entries({ ...zeros, ...signed }).map(([field, value]) => [
    field,
    typeof value === 'bigint' || typeof value === 'number' ? numberToHex(value) : value,
  ])
  return { ...Object.fromEntries(fields), input: data ?? '0x' }
}

function signatureOf({ r, s, v, yParity }: Signature, type: number): Fields {
  const parity = numberToHex(yParity ?? 0)
  return { r, s, ...(type === 0 ? { v: numberToHex(v ?? 0n) } : { v: parity, yParity: parity }) }
}
