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
/** The order of secp256k1. */
const ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n
const TYPES = { legacy: 0, eip2930: 1, eip1559: 2, eip4844: 3, eip7702: 4 }

/** In the order of the hash. */
const HEADER_FIELDS = [
  'parentHash sha3Uncles miner stateRoot transactionsRoot receiptsRoot logsBloom difficulty number gasLimit gasUsed timestamp',
  'extraData mixHash nonce baseFeePerGas withdrawalsRoot blobGasUsed excessBlobGas parentBeaconBlockRoot requestsHash',
].flatMap(line => line.split(' '))
const QUANTITIES = 'difficulty number gasLimit gasUsed timestamp baseFeePerGas blobGasUsed excessBlobGas'.split(' ')

export type Plan = {
  readonly name?: string
  readonly transaction: TransactionSerializable
  readonly succeeded?: boolean
  /** Takes the other of the two signatures that mean the same: s above half the order, as before Homestead. */
  readonly isHighS?: boolean
  /** Fields of the answer that are not derived, or other values of those that are. */
  readonly header?: Fields
  readonly sent?: Fields
  readonly receipt?: Fields
}

/** The block as an honest node tells it, but for what the plan changes. */
export async function buildBlock(plan: Plan): Promise<Answer> {
  const serialized = await sign(plan)
  const { r, s, v, yParity, ...sent } = parseTransaction(serialized) as Fields & Signature
  const type = TYPES[sent['type'] as keyof typeof TYPES]
  const gas = 21_000
  const outcome = [plan.succeeded === false ? '0x' : '0x01', numberToHex(gas), NO_BLOOM, []] as const
  const encoded = toRlp([...outcome])
  const header = headerOf(plan, {
    transactionsRoot: rootOfOne(serialized),
    receiptsRoot: rootOfOne(type === 0 ? encoded : `0x0${type}${encoded.slice(2)}`),
    gasUsed: numberToHex(gas),
  })
  const place = { blockHash: header['hash'], blockNumber: header['number'], transactionIndex: '0x0' }
  const from = SENDER
  const to = (sent['to'] as Hex | undefined) ?? null
  return {
    name: plan.name ?? 'a block that was built',
    block: {
      ...header,
      uncles: [],
      withdrawals: [],
      transactions: [
        {
          ...toJson(sent),
          ...place,
          ...{ type: numberToHex(type), hash: keccak256(serialized), from, to, r, s },
          ...(type === 0
            ? { v: numberToHex(v ?? 0n) }
            : { v: numberToHex(yParity ?? 0), yParity: numberToHex(yParity ?? 0) }),
          ...plan.sent,
        },
      ],
    },
    receipts: [
      {
        ...{
          ...place,
          type: numberToHex(type),
          transactionHash: keccak256(serialized),
          from,
          to,
          contractAddress: null,
        },
        ...{
          status: plan.succeeded === false ? '0x0' : '0x1',
          gasUsed: numberToHex(gas),
          cumulativeGasUsed: numberToHex(gas),
        },
        ...{ logs: [], logsBloom: NO_BLOOM },
        ...plan.receipt,
      },
    ],
  }
}

async function sign({ transaction, isHighS }: Plan): Promise<Hex> {
  const serialized = await account.signTransaction(transaction)
  if (!isHighS) return serialized
  const { r, s, yParity } = parseTransaction(serialized) as unknown as Signature
  const otherParity = yParity === 0 ? 1 : 0
  const other = { r, s: numberToHex(ORDER - hexToBigInt(s)), yParity: otherParity, v: BigInt(27 + otherParity) }
  return serializeTransaction(transaction, other)
}

function headerOf({ header = {} }: Plan, roots: Fields): Fields {
  const fields: Fields = {
    ...{ parentHash: hashOf(1), sha3Uncles: NO_UNCLES, miner: addressOf(2), stateRoot: hashOf(3), logsBloom: NO_BLOOM },
    ...{ difficulty: '0x0', number: '0x64', gasLimit: '0x1c9c380', timestamp: '0x6553f100', extraData: '0x' },
    ...{ mixHash: hashOf(4), nonce: '0x0000000000000000', baseFeePerGas: '0x7', withdrawalsRoot: EMPTY_ROOT },
    ...{ blobGasUsed: '0x0', excessBlobGas: '0x0', parentBeaconBlockRoot: hashOf(5), requestsHash: hashOf(6) },
    ...roots,
    ...header,
  }
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

/** The fields of a transaction under the names that JSON-RPC has for them. */
function toJson(sent: Fields): Fields {
  const { data, gasPrice, maxFeePerGas, nonce, gas, value, type: _type, ...others } = sent
  const rest = Object.entries(others).map(([key, entry]) => [
    key,
    typeof entry === 'bigint' || typeof entry === 'number' ? numberToHex(entry) : entry,
  ])
  const price =
    typeof maxFeePerGas === 'bigint'
      ? { maxFeePerGas: numberToHex(maxFeePerGas) }
      : { gasPrice: numberToHex((gasPrice as bigint | undefined) ?? 0n) }
  return {
    ...(typeof maxFeePerGas === 'bigint' ? { maxPriorityFeePerGas: '0x0', accessList: [] } : {}),
    ...Object.fromEntries(rest),
    ...price,
    nonce: numberToHex((nonce as number | undefined) ?? 0),
    gas: numberToHex((gas as bigint | undefined) ?? 0n),
    value: numberToHex((value as bigint | undefined) ?? 0n),
    input: data ?? '0x',
  }
}
