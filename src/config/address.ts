/**
 * Addresses as people write them into chain files: any case, but a mixed case is a checksum (EIP-55) and has to be right.
 *
 * Why: one wrong digit would silently index another contract. Lower case (and upper case) carries no checksum and is taken as
 * it is; the zero address is nobody's contract.
 */

import { getAddress } from 'viem'
import { z } from 'zod'
import { type Address, ZERO_ADDRESS } from '../core/types.ts'

export const ADDRESS_PATTERN = /^0x[0-9a-fA-F]{40}$/

/** Why a text that looks like an address is none, or undefined if it is one. */
export function refusalOfAddress(text: string): { readonly found: string; readonly expected: string } | undefined {
  const digits = text.slice(2)
  if (toAddress(text) === ZERO_ADDRESS) return { found: 'the zero address', expected: "a contract's address" }
  if (digits === digits.toLowerCase() || digits === digits.toUpperCase()) return undefined
  if (getAddress(text.toLowerCase()) === text) return undefined
  return {
    found: `${text}, whose mixed case is not its EIP-55 checksum`,
    expected: 'an address without a mistyped digit (or all in lower case, which has no checksum)',
  }
}

/** The form in which addresses are compared and written. */
export function toAddress(text: string): Address {
  return text.toLowerCase() as Address
}

export const addressSchema = z
  .string('an address: 0x and 40 hexadecimal digits')
  .superRefine((text, context) => {
    const expected = 'an address: 0x and 40 hexadecimal digits'
    if (!ADDRESS_PATTERN.test(text)) {
      context.addIssue({ code: 'custom', message: expected })
      return
    }
    const refusal = refusalOfAddress(text)
    if (refusal === undefined) return
    context.addIssue({ code: 'custom', message: refusal.expected, params: { found: refusal.found } })
  })
  .meta({ pattern: ADDRESS_PATTERN.source })
