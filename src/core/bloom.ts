/**
 * The bloom filter of logs (Yellow Paper, section 4.4.1): three of 2048 bits for each address and topic.
 *
 * A header commits to it. So a list of all logs of a block from which one is missing, or to which one was added, shows a different
 * filter, but for the rare log whose bits others have set too.
 */

import { bytesToHex, keccak256 } from 'viem/utils'
import type { Hex, Log } from './types.ts'

const BLOOM_BYTES = 256
const BIT_MASK = 0x7ff

/** Of one block: the same addresses and topics come again and again, and hashing them is all that this costs. */
export class BloomMaker {
  readonly #bits = new Map<Hex, readonly number[]>()
  readonly #union = new Uint8Array(BLOOM_BYTES)

  /** The filter of one receipt. @param entries addresses and topics of its logs */
  bloomOf(entries: readonly Hex[]): Uint8Array {
    const bloom = new Uint8Array(BLOOM_BYTES)
    for (const entry of entries) {
      for (const bit of this.#bitsOf(entry)) {
        // Bit 0 is the last bit of the last byte.
        const index = BLOOM_BYTES - 1 - (bit >> 3)
        const mask = 1 << (bit & 7)
        bloom[index] = (bloom[index] ?? 0) | mask
        this.#union[index] = (this.#union[index] ?? 0) | mask
      }
    }
    return bloom
  }

  /** The filter of everything so far. */
  union(): Uint8Array {
    return this.#union
  }

  #bitsOf(entry: Hex): readonly number[] {
    const known = this.#bits.get(entry)
    if (known !== undefined) return known
    const digest = keccak256(entry, 'bytes')
    const bits = [0, 2, 4].map(at => (((digest[at] ?? 0) << 8) | (digest[at + 1] ?? 0)) & BIT_MASK)
    this.#bits.set(entry, bits)
    return bits
  }
}

/** The filter of all logs of a block. */
export function bloomOf(logs: readonly Pick<Log, 'address' | 'topics'>[]): Hex {
  const maker = new BloomMaker()
  for (const { address, topics } of logs) maker.bloomOf([address, ...topics])
  return bytesToHex(maker.union())
}
