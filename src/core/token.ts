/**
 * What a token's own functions return, believed as far as it makes sense.
 *
 * Tokens of before the standard was final return bytes32 for `symbol` and `name`; hostile ones return anything, of any length.
 */

import { cleanText } from './text.ts'
import type { Hex } from './types.ts'

export const DECIMALS_CALL: Hex = '0x313ce567'
export const SYMBOL_CALL: Hex = '0x95d89b41'
export const NAME_CALL: Hex = '0x06fdde03'

const WORD = 64
const MAX_DECIMALS = 255n
const MAX_TEXT_BYTES = 1_024

/** ERC-20 `decimals()`: uint8; null for a revert, an empty answer, or a number that no uint8 holds. */
export function parseDecimals(answer: Hex | null): number | null {
  if (answer === null || answer.length < 2 + WORD) return null
  const value = BigInt(answer.slice(0, 2 + WORD))
  return value <= MAX_DECIMALS ? Number(value) : null
}

/** ERC-20 `symbol()` or `name()`: an ABI string, or bytes32; cleaned and cut. null if there is nothing to show. */
export function parseTokenText(answer: Hex | null, maxLength: number): string | null {
  if (answer === null || answer.length < 2 + WORD) return null
  const hex = answer.slice(2)
  const bytes = hex.length === WORD ? bytesOf(hex).filter(byte => byte !== 0) : stringBytes(hex)
  const text = cleanText(new TextDecoder().decode(Uint8Array.from(bytes)), maxLength)
  return text === '' ? null : text
}

function stringBytes(hex: string): number[] {
  const offset = Number(BigInt(`0x${hex.slice(0, WORD)}`)) * 2
  const lengthWord = hex.slice(offset, offset + WORD)
  if (lengthWord.length < WORD) return []
  const length = Math.min(Number(BigInt(`0x${lengthWord}`)), MAX_TEXT_BYTES)
  return bytesOf(hex.slice(offset + WORD, offset + WORD + length * 2))
}

function bytesOf(hex: string): number[] {
  return (hex.match(/../g) ?? []).map(pair => Number.parseInt(pair, 16))
}
