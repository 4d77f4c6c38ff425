/**
 * The true bloom of logs (Yellow Paper, section 4.3.1): for each address and topic three of 2,048 bits, chosen by its keccak256.
 */

import { keccak256 } from 'viem/utils'
import type { Hex } from '../../../src/core/types.ts'

const SIZE_BYTES = 256
const BIT_MASK = SIZE_BYTES * 8 - 1

/** Addresses and topics come again and again; hashing them costs the most here. */
const known = new Map<Hex, readonly number[]>()

export type Bloom = Uint8Array

export function createBloom(): Bloom {
  return new Uint8Array(SIZE_BYTES)
}

export function addToBloom(bloom: Bloom, log: { readonly address: Hex; readonly topics: readonly Hex[] }): void {
  for (const entry of [log.address, ...log.topics]) {
    for (const bit of bitsOf(entry)) {
      const byte = SIZE_BYTES - 1 - (bit >> 3)
      bloom[byte] = (bloom[byte] ?? 0) | (1 << (bit & 7))
    }
  }
}

export function bloomText(bloom: Bloom): Hex {
  return `0x${Buffer.from(bloom).toString('hex')}`
}

function bitsOf(entry: Hex): readonly number[] {
  const found = known.get(entry)
  if (found !== undefined) return found
  const hash = keccak256(entry, 'bytes')
  const bits = [0, 2, 4].map(at => (((hash[at] ?? 0) << 8) | (hash[at + 1] ?? 0)) & BIT_MASK)
  known.set(entry, bits)
  return bits
}
