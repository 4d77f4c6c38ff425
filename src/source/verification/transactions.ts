/**
 * A block's transactions: the bytes that the transactions root and each hash commit to, made again from the fields of the answer.
 *
 * Always holds for what is returned: its `hash` is the keccak256 of its `encoded` bytes, and the fields that repeat the block's
 * (blockHash, blockNumber, transactionIndex) or the signature's (chainId, v beside yParity) do not contradict them. That it stands
 * in the block is for the root, and who signed it for `signatures.ts`.
 *
 * Why field lists and not viem's serializer: that one is made for sending, and refuses what is in old blocks. A list of fields a type
 * is also what an EIP says.
 */

import { concat, keccak256, toRlp } from 'viem/utils'
import type { Hex } from '../../core/types.ts'
import {
  Contradiction,
  type Encodable,
  encodeAddress,
  encodeBytes,
  encodeHashes,
  encodeOptionalAddress,
  encodeQuantity,
  isAbsent,
  type Item,
  itemOf,
  mayOnlyBe,
  mustBe,
  readAddress,
  readBytes,
  readHash,
  readList,
  readOptionalAddress,
  readQuantity,
  toQuantityBytes,
} from './fields.ts'
import type { ProvenHeader } from './header.ts'

type Field = readonly [string, (item: Item, field: string) => Encodable]

const MAX_TYPE = 0x7fn

const CALL: readonly Field[] = [
  ['gas', encodeQuantity],
  ['to', encodeOptionalAddress],
  ['value', encodeQuantity],
  ['input', encodeBytes],
]
const PRICED: readonly Field[] = [['nonce', encodeQuantity], ['gasPrice', encodeQuantity], ...CALL]
const CAPPED: readonly Field[] = [
  ['chainId', encodeQuantity],
  ['nonce', encodeQuantity],
  ['maxPriorityFeePerGas', encodeQuantity],
  ['maxFeePerGas', encodeQuantity],
  ...CALL,
  ['accessList', encodeAccessList],
]

/** What a transaction of each type signs, in order: the Yellow Paper, EIP-2930, 1559, 4844 and 7702. */
const SIGNED: ReadonlyMap<bigint, readonly Field[]> = new Map<bigint, readonly Field[]>([
  [0n, PRICED],
  [1n, [['chainId', encodeQuantity], ...PRICED, ['accessList', encodeAccessList]]],
  [2n, CAPPED],
  [3n, [...CAPPED, ['maxFeePerBlobGas', encodeQuantity], ['blobVersionedHashes', encodeHashes]]],
  [4n, [...CAPPED, ['authorizationList', encodeAuthorizations]]],
])

/** Lists that only some types have. */
const LISTS = ['accessList', 'blobVersionedHashes', 'authorizationList']

export const BLOB_TYPE = 3
export const DELEGATION_TYPE = 4

export type Signature = {
  /** keccak256 of this is what was signed. */
  readonly message: Uint8Array
  readonly yParity: number
  readonly r: Hex
  readonly s: Hex
}

export type ProvenTransaction = {
  readonly item: Item
  readonly type: number
  readonly hash: Hex
  /** As the answer has it. */
  readonly from: Hex
  readonly to: Hex | null
  readonly nonce: bigint
  /** Wei per gas that was paid. */
  readonly effectivePrice: bigint
  readonly blobs: number
  /** What is in the trie, and what its hash is made of. */
  readonly encoded: Uint8Array
  readonly signature: Signature
  readonly newer: null
}

/** Of a type that is not known here. */
export type NewerTransaction = { readonly newer: string }

/** Throws a `Contradiction` where the fields are not those of its hash, or of this place in this block. */
export function proveTransaction(
  answer: unknown,
  index: number,
  header: ProvenHeader,
): ProvenTransaction | NewerTransaction {
  const item = itemOf(answer, `transaction ${index}`)
  const hash = readHash(item, 'hash')
  checkPlace(item, index, header)
  // Before EIP-2718 there was one type, and nodes of then don't name it.
  const type = isAbsent(item, 'type') ? 0n : readQuantity(item, 'type')
  if (type > MAX_TYPE) throw new Contradiction(`the type of ${item.name} is above 0x7f, which no transaction can be`)
  const fields = SIGNED.get(type)
  if (fields === undefined)
    return { newer: `${item.name} has the type 0x${type.toString(16)}, which is not known here` }
  checkForeignLists(item, fields)
  const payload = fields.map(([field, encode]) => encode(item, field))
  const { encoded, signature } = type === 0n ? sealLegacy(item, payload) : sealTyped(item, type, payload)
  if (keccak256(encoded) !== hash)
    throw new Contradiction(`the fields of ${item.name} are not those of its hash ${hash}`)
  mayOnlyBe(item, 'data', readBytes, readBytes(item, 'input'))
  return {
    item,
    type: Number(type),
    hash,
    from: readAddress(item, 'from'),
    to: readOptionalAddress(item, 'to'),
    nonce: readQuantity(item, 'nonce'),
    effectivePrice: effectivePriceOf(item, type, header.baseFee),
    blobs: type === BigInt(BLOB_TYPE) ? readList(item, 'blobVersionedHashes').length : 0,
    encoded,
    signature,
    newer: null,
  }
}

/** A list that its type does not have is in no hash, and yet `parse.ts` would read it. */
function checkForeignLists(item: Item, fields: readonly Field[]): void {
  const foreign = LISTS.filter(list => !fields.some(([field]) => field === list) && !isAbsent(item, list))
  for (const list of foreign) {
    if (readList(item, list).length === 0) continue
    throw new Contradiction(`${item.name} has entries in its ${list}, which its type does not have`)
  }
}

/** What a transaction repeats of where it is. */
function checkPlace(item: Item, index: number, header: ProvenHeader): void {
  mustBe(item, 'blockHash', readHash, header.hash)
  mustBe(item, 'transactionIndex', readQuantity, BigInt(index))
  mayOnlyBe(item, 'blockNumber', readQuantity, header.number)
  mayOnlyBe(item, 'blockTimestamp', readQuantity, header.timestamp)
}

/** Wei per gas that was paid (EIP-1559). Throws a `Contradiction` if `gasPrice` says another price. */
function effectivePriceOf(item: Item, type: bigint, baseFee: bigint | null): bigint {
  if (type <= 1n) return readQuantity(item, 'gasPrice')
  const cap = readQuantity(item, 'maxFeePerGas')
  const wanted = (baseFee ?? 0n) + readQuantity(item, 'maxPriorityFeePerGas')
  const price = wanted < cap ? wanted : cap
  // No part of what such a transaction signs: nodes put there what was paid.
  mayOnlyBe(item, 'gasPrice', readQuantity, price)
  return price
}

type Sealed = { readonly encoded: Uint8Array; readonly signature: Signature }

function sealTyped(item: Item, type: bigint, payload: readonly Encodable[]): Sealed {
  // Some nodes write only the older name.
  const yParity = readQuantity(item, isAbsent(item, 'yParity') ? 'v' : 'yParity')
  if (yParity > 1n) throw new Contradiction(`the yParity of ${item.name} is ${yParity} and has to be 0 or 1`)
  mayOnlyBe(item, 'v', readQuantity, yParity)
  const [r, s] = readPoint(item)
  const prefix = toQuantityBytes(type)
  const sealed = [...payload, toQuantityBytes(yParity), toQuantityBytes(r), toQuantityBytes(s)]
  return {
    encoded: concat([prefix, toRlp(sealed, 'bytes')]),
    signature: { message: concat([prefix, toRlp(payload, 'bytes')]), yParity: Number(yParity), r, s },
  }
}

/** v holds the parity, and since EIP-155 also the chain: 27 or 28 before it, 35 + 2 × chain id or one more after it. */
function sealLegacy(item: Item, payload: readonly Encodable[]): Sealed {
  const v = readQuantity(item, 'v')
  if (v !== 27n && v !== 28n && v < 35n)
    throw new Contradiction(`the v of ${item.name} is ${v}, which no signature has`)
  const chainId = v < 35n ? null : (v - 35n) / 2n
  const yParity = chainId === null ? v - 27n : (v - 35n) % 2n
  mayOnlyBe(item, 'yParity', readQuantity, yParity)
  // Without EIP-155 there is no chain in it; some nodes write 0 then.
  mayOnlyBe(item, 'chainId', readQuantity, chainId ?? 0n)
  const [r, s] = readPoint(item)
  const signed = chainId === null ? payload : [...payload, toQuantityBytes(chainId), new Uint8Array(), new Uint8Array()]
  return {
    encoded: toRlp([...payload, toQuantityBytes(v), toQuantityBytes(r), toQuantityBytes(s)], 'bytes'),
    signature: { message: toRlp(signed, 'bytes'), yParity: Number(yParity), r, s },
  }
}

function readPoint(item: Item): [r: Hex, s: Hex] {
  return [`0x${readQuantity(item, 'r').toString(16)}`, `0x${readQuantity(item, 's').toString(16)}`]
}

function encodeAccessList(item: Item, field: string): Encodable {
  return readList(item, field).map((entry, index) => {
    const part = itemOf(entry, `entry ${index} of the ${field} of ${item.name}`)
    return [encodeAddress(part, 'address'), encodeHashes(part, 'storageKeys')]
  })
}

/** The tuples of an authorization list as items. */
export function readAuthorizations(item: Item): Item[] {
  return readList(item, 'authorizationList').map((entry, index) =>
    itemOf(entry, `authorization ${index} of ${item.name}`),
  )
}

function encodeAuthorizations(item: Item): Encodable {
  return readAuthorizations(item).map(part => {
    const parity = isAbsent(part, 'yParity') ? 'v' : 'yParity'
    mayOnlyBe(part, 'v', readQuantity, readQuantity(part, parity))
    return [
      encodeQuantity(part, 'chainId'),
      encodeAddress(part, 'address'),
      encodeQuantity(part, 'nonce'),
      encodeQuantity(part, parity),
      encodeQuantity(part, 'r'),
      encodeQuantity(part, 's'),
    ]
  })
}
