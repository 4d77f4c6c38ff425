/**
 * The fields of an answer, each read as what it has to be or refused by its name (`RPC_BAD_RESPONSE`).
 */

import type { Address, Hash, Hex } from '../core/types.ts'
import { AppError } from '../errors.ts'

export type Fields = Readonly<Record<string, unknown>>

export const HASH = /^0x[0-9a-f]{64}$/
export const ADDRESS = /^0x[0-9a-f]{40}$/
export const QUANTITY = /^0x[0-9a-f]{1,64}$/
/** An even number of digits, besides: a pattern of pairs would take twice as long. */
const HEX = /^0x[0-9a-f]*$/

export function quantityOf(value: unknown, name: string): bigint {
  return BigInt(checked(value, name, QUANTITY, 'a hex quantity'))
}

export function fieldsOf(answer: unknown, name: string): Fields {
  if (!isFields(answer)) throw bad(name, 'an object', answer)
  return answer
}

export function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

export function isGiven(field: unknown): boolean {
  return field !== undefined && field !== null
}

export function list(fields: Fields, name: string): readonly unknown[] {
  const value = fields[name]
  if (!Array.isArray(value)) throw bad(name, 'a list', value)
  return value
}

export function optionalList(fields: Fields, name: string): readonly unknown[] {
  return fields[name] === undefined || fields[name] === null ? [] : list(fields, name)
}

export function checked(value: unknown, name: string, pattern: RegExp, expected: string): Hex {
  if (typeof value !== 'string') throw bad(name, expected, value)
  // Answers are nearly always lower case already; the pattern is tried first because making a copy costs more.
  if (pattern.test(value)) return value as Hex
  const lower = value.toLowerCase()
  if (pattern.test(lower)) return lower as Hex
  throw bad(name, expected, value)
}

export function hash(fields: Fields, name: string): Hash {
  return checked(fields[name], name, HASH, '32 bytes of hex')
}

export function address(fields: Fields, name: string): Address {
  return checked(fields[name], name, ADDRESS, '20 bytes of hex')
}

export function optionalAddress(fields: Fields, name: string): Address | null {
  return fields[name] === null || fields[name] === undefined ? null : address(fields, name)
}

export function bytes(fields: Fields, name: string): Hex {
  return bytesOf(fields[name], name)
}

export function bytesOf(value: unknown, name: string): Hex {
  const text = checked(value, name, HEX, 'hex bytes')
  if (text.length % 2 !== 0) throw bad(name, 'hex bytes', value)
  return text
}

/** Whether it is bytes in lower case. */
export function isBytes(value: unknown): value is Hex {
  return typeof value === 'string' && value.length % 2 === 0 && HEX.test(value)
}

export function quantity(fields: Fields, name: string): bigint {
  return quantityOf(fields[name], name)
}

export function integer(fields: Fields, name: string): number {
  const value = Number(checked(fields[name], name, QUANTITY, 'a hex quantity'))
  if (!Number.isSafeInteger(value)) throw bad(name, 'a number below 2^53', fields[name])
  return value
}

export function bad(field: string, expected: string, value: unknown): AppError {
  return new AppError('RPC_BAD_RESPONSE', `The node's answer has no valid ${field}.`, {
    facts: {
      expected,
      got: value === null ? 'null' : Array.isArray(value) ? `a list of ${value.length}` : typeof value,
    },
    hint: 'Another endpoint is asked; if this stays, the node is no Ethereum execution node.',
  })
}
