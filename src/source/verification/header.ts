/**
 * A block's header, and that its fields are those of its hash.
 *
 * Always holds for a header without `newer`: keccak256 of the RLP of its fields is its `hash`, so each of them is the block's.
 *
 * A fork appends fields to the header (EIP-1559, 4895, 4844, 4788, 7685). One that is newer than this code can't be told from a lie
 * by the hash alone: the fields of the answer tell. If one of them is unknown here, the header is called newer, else wrong.
 */

import { keccak256, toRlp } from 'viem/utils'
import type { Hex } from '../../core/types.ts'
import {
  Contradiction,
  type Encodable,
  encodeAddress,
  encodeBytes,
  encodeHash,
  encodeQuantity,
  isAbsent,
  type Item,
  readBytes,
  readHash,
  readQuantity,
} from './fields.ts'

type Encoder = (item: Item, field: string) => Encodable

/** Since the first block, in the order of the hash (Yellow Paper, 4.4). The merge kept mixHash and nonce under their names. */
const FIRST: readonly (readonly [string, Encoder])[] = [
  ['parentHash', encodeHash],
  ['sha3Uncles', encodeHash],
  ['miner', encodeAddress],
  ['stateRoot', encodeHash],
  ['transactionsRoot', encodeHash],
  ['receiptsRoot', encodeHash],
  ['logsBloom', encodeBytes],
  ['difficulty', encodeQuantity],
  ['number', encodeQuantity],
  ['gasLimit', encodeQuantity],
  ['gasUsed', encodeQuantity],
  ['timestamp', encodeQuantity],
  ['extraData', encodeBytes],
  ['mixHash', encodeHash],
  ['nonce', encodeBytes],
]

/** Appended by forks: London, Shanghai, Cancun (three), Prague. Fusaka added none. */
const APPENDED: readonly (readonly [string, Encoder])[] = [
  ['baseFeePerGas', encodeQuantity],
  ['withdrawalsRoot', encodeHash],
  ['blobGasUsed', encodeQuantity],
  ['excessBlobGas', encodeQuantity],
  ['parentBeaconBlockRoot', encodeHash],
  ['requestsHash', encodeHash],
]

/** What an answer has beside the header; `author` and `sealFields` are what Parity and its heirs add. */
const BESIDE = [
  'hash',
  'size',
  'totalDifficulty',
  'uncles',
  'transactions',
  'withdrawals',
  'author',
  'sealFields',
] as const

const KNOWN: ReadonlySet<string> = new Set([...FIRST, ...APPENDED].map(([field]) => field).concat(BESIDE))

export type ProvenHeader = {
  readonly hash: Hex
  readonly number: bigint
  readonly timestamp: bigint
  readonly gasUsed: bigint
  readonly logsBloom: Hex
  readonly sha3Uncles: Hex
  readonly transactionsRoot: Hex
  readonly receiptsRoot: Hex
  /** null before the fork that brought it. */
  readonly withdrawalsRoot: Hex | null
  readonly baseFee: bigint | null
  readonly excessBlobGas: bigint | null
  /** Prague or later. */
  readonly hasRequests: boolean
  readonly sizeBytes: number
  /** Why nothing is proved of it; null if all is. */
  readonly newer: string | null
}

/** Throws a `Contradiction` where the fields are not those of the hash. */
export function proveHeader(block: Item): ProvenHeader {
  const fields = [...FIRST, ...APPENDED.filter(([field]) => !isAbsent(block, field))]
  const encoded = toRlp(
    fields.map(([field, encode]) => encode(block, field)),
    'bytes',
  )
  const hash = readHash(block, 'hash')
  return {
    hash,
    number: readQuantity(block, 'number'),
    timestamp: readQuantity(block, 'timestamp'),
    gasUsed: readQuantity(block, 'gasUsed'),
    logsBloom: readBytes(block, 'logsBloom'),
    sha3Uncles: readHash(block, 'sha3Uncles'),
    transactionsRoot: readHash(block, 'transactionsRoot'),
    receiptsRoot: readHash(block, 'receiptsRoot'),
    withdrawalsRoot: isAbsent(block, 'withdrawalsRoot') ? null : readHash(block, 'withdrawalsRoot'),
    baseFee: isAbsent(block, 'baseFeePerGas') ? null : readQuantity(block, 'baseFeePerGas'),
    excessBlobGas: isAbsent(block, 'excessBlobGas') ? null : readQuantity(block, 'excessBlobGas'),
    hasRequests: !isAbsent(block, 'requestsHash'),
    sizeBytes: encoded.length,
    newer: keccak256(encoded) === hash ? null : findNewer(block, hash),
  }
}

function findNewer(block: Item, hash: Hex): string {
  const unknown = Object.keys(block.fields).filter(field => !KNOWN.has(field) && !isAbsent(block, field))
  if (unknown.length === 0) throw new Contradiction(`the fields of the header are not those of its hash ${hash}`)
  return `the header has a field that is not known here (${quote(unknown)}), and its hash is not that of the known ones`
}

/** The names are the node's words: cut to what a line of a log can bear. */
function quote(names: readonly string[]): string {
  const shown = names.slice(0, 3).map(name => JSON.stringify(name.slice(0, 40)))
  return names.length > shown.length ? `${shown.join(', ')}, …` : shown.join(', ')
}
