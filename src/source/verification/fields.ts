/**
 * The fields of an answer, read for a proof: as the bytes that a hash is made of, or as values to compare.
 *
 * Always holds: whatever JSON comes, a reader gives a value of the shape it is named after or throws a `Contradiction` that names
 * the field. What nodes are known to write differently and means the same (upper case, zeros in front of a quantity) is brought to
 * one form here, as `parse.ts` does it.
 *
 * Why `Contradiction` and not `AppError`: it is a verdict on its way out of nested lists, and no error of this program. It never
 * leaves this folder.
 */

import type { Hex } from '../../core/types.ts'

/** What an answer can't be right about: one sentence that names the field. */
export class Contradiction extends Error {
  override readonly name = 'Contradiction'
}

/** A part of an answer, and what a sentence calls it ("transaction 3"). */
export type Item = { readonly name: string; readonly fields: Readonly<Record<string, unknown>> }

/** A string of bytes or a list of such: what RLP encodes (Yellow Paper, appendix B). */
export type Encodable = Uint8Array | readonly Encodable[]

type Reader<T> = (item: Item, field: string) => T

// No groups in them: a pattern with one remembers each round of it, and an answer may hold megabytes.
const HASH = /^0x[0-9a-f]{64}$/
const ADDRESS = /^0x[0-9a-f]{40}$/
const QUANTITY = /^0x[0-9a-f]{1,64}$/
const BYTES = /^0x[0-9a-f]*$/

export function itemOf(value: unknown, name: string): Item {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new Contradiction(`${name} is no object`)
  return { name, fields: value as Item['fields'] }
}

export function isAbsent(item: Item, field: string): boolean {
  return item.fields[field] === undefined || item.fields[field] === null
}

export function readList(item: Item, field: string): readonly unknown[] {
  const value = item.fields[field]
  if (!Array.isArray(value)) throw invalid(item, field)
  return value
}

export function readHash(item: Item, field: string): Hex {
  return readHex(item, field, HASH)
}

/** A list of hashes: topics, storage keys, blobs. */
export function readHashes(item: Item, field: string): Hex[] {
  return readList(item, field).map((value, index) => {
    const hash = hexOf(value, HASH)
    if (hash === null) throw new Contradiction(`entry ${index} of the ${field} of ${item.name} is no hash`)
    return hash
  })
}

export function readAddress(item: Item, field: string): Hex {
  return readHex(item, field, ADDRESS)
}

/** null where there is none, which for `to` means a creation. */
export function readOptionalAddress(item: Item, field: string): Hex | null {
  return isAbsent(item, field) ? null : readAddress(item, field)
}

export function readBytes(item: Item, field: string): Hex {
  const value = readHex(item, field, BYTES)
  if (value.length % 2 === 1) throw invalid(item, field)
  return value
}

export function readQuantity(item: Item, field: string): bigint {
  return BigInt(readHex(item, field, QUANTITY))
}

export function readBoolean(item: Item, field: string): boolean {
  const value = item.fields[field]
  if (typeof value !== 'boolean') throw invalid(item, field)
  return value
}

// ── As bytes ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

export function encodeHash(item: Item, field: string): Uint8Array {
  return toBytes(readHash(item, field))
}

export function encodeAddress(item: Item, field: string): Uint8Array {
  return toBytes(readAddress(item, field))
}

/** Nothing where there is none. */
export function encodeOptionalAddress(item: Item, field: string): Uint8Array {
  return toBytes(readOptionalAddress(item, field) ?? '0x')
}

export function encodeBytes(item: Item, field: string): Uint8Array {
  return toBytes(readBytes(item, field))
}

export function encodeHashes(item: Item, field: string): Uint8Array[] {
  return readHashes(item, field).map(toBytes)
}

/** Big-endian without zeros in front; zero is nothing. */
export function encodeQuantity(item: Item, field: string): Uint8Array {
  return toQuantityBytes(readHex(item, field, QUANTITY))
}

/** Of hex that was read above. Node's own decoder is ten times as fast as viem's, and calldata is most of a block. */
export function toBytes(hex: Hex): Uint8Array {
  return Buffer.from(hex.slice(2), 'hex')
}

export function toQuantityBytes(quantity: Hex | bigint): Uint8Array {
  const digits = (typeof quantity === 'bigint' ? quantity.toString(16) : quantity.slice(2)).replace(/^0+/, '')
  return Buffer.from(digits.length % 2 === 0 ? digits : `0${digits}`, 'hex')
}

// ── Compared ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Throws unless the field is there and is this. */
export function mustBe<T>(item: Item, field: string, read: Reader<T>, expected: T): void {
  const value = read(item, field)
  if (value === expected) return
  throw new Contradiction(`the ${field} of ${item.name} is ${shorten(value)} and has to be ${shorten(expected)}`)
}

/** Throws if the field is there and is not this: what is left out claims nothing. */
export function mayOnlyBe<T>(item: Item, field: string, read: Reader<T>, expected: T): void {
  if (!isAbsent(item, field)) mustBe(item, field, read, expected)
}

/** A hash is shown in full; calldata is not. */
function shorten(value: unknown): string {
  const text = String(value)
  return text.length > 66 ? `${text.slice(0, 64)}…` : text
}

function readHex(item: Item, field: string, pattern: RegExp): Hex {
  const hex = hexOf(item.fields[field], pattern)
  if (hex === null) throw invalid(item, field)
  return hex
}

function hexOf(value: unknown, pattern: RegExp): Hex | null {
  if (typeof value !== 'string') return null
  // Answers are nearly always lower case already; making a copy costs more than a look.
  if (pattern.test(value)) return value as Hex
  const lower = value.toLowerCase()
  return pattern.test(lower) ? (lower as Hex) : null
}

function invalid(item: Item, field: string): Contradiction {
  return new Contradiction(
    isAbsent(item, field) ? `${item.name} has no ${field}` : `the ${field} of ${item.name} has no valid shape`,
  )
}
