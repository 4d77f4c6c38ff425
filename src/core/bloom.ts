/**
 * The bloom filter of logs (Yellow Paper, section 4.4.1): three of 2048 bits for each address and topic.
 *
 * A header commits to it. So a list of all logs of a block from which one is missing, or to which one was added, shows a different
 * filter, but for the rare log whose bits others have set too.
 *
 * Hashing is nearly all that it costs, and most addresses and topics of a block were in the blocks before it: their bits are
 * remembered (`EntryBits`), so that most entries cost a look-up.
 */

import { bytesToHex, keccak256 } from 'viem/utils'
import type { Hex, Log } from './types.ts'

const BLOOM_BYTES = 256
const BIT_MASK = 0x7ff
const BLOOM_WORDS = 64
const WORD_DIGITS = 8
/** A whole filter as text. */
const BLOOM_LENGTH = 2 + 2 * BLOOM_BYTES
/** Of a generation: so many entries are some megabytes, and more than a hundred busy blocks have. */
const GENERATION_ENTRIES = 1 << 15

export const BITS_OF_ENTRY = 3

/** A filter: bit 0 is the lowest bit of the first word. */
export type Filter = Uint32Array

export function createFilter(): Filter {
  return new Uint32Array(BLOOM_WORDS)
}

export function setBit(filter: Filter, bit: number): void {
  filter[bit >> 5] = (filter[bit >> 5] ?? 0) | (1 << (bit & 31))
}

/** Whether a filter is the one that a header tells in lower-case hex. */
export function isFilterOf(filter: Filter, bloom: string): boolean {
  if (bloom.length !== BLOOM_LENGTH) return false
  // Bit 0 is the last bit of the last byte.
  for (let word = 0, end = BLOOM_LENGTH; word < BLOOM_WORDS; word += 1, end -= WORD_DIGITS) {
    let bits = 0
    for (let at = end - WORD_DIGITS; at < end; at += 1) {
      const digit = digitAt(bloom, at)
      if (digit < 0) return false
      bits = (bits << 4) | digit
    }
    if (bits >>> 0 !== filter[word]) return false
  }
  return true
}

/** −1 for what is no lower-case hex digit. */
function digitAt(text: string, at: number): number {
  const code = text.charCodeAt(at)
  if (code >= 48 && code <= 57) return code - 48
  return code >= 97 && code <= 102 ? code - 87 : -1
}

/**
 * The bits of addresses and topics, remembered from block to block.
 *
 * Always holds: it keeps two generations of entries at most. What was not met during a whole generation is forgotten, so that what
 * comes once (ids, hashes) does not push out what comes again and again.
 */
export class EntryBits {
  #young = new Map<string, number>()
  #youngBits = new Uint16Array(GENERATION_ENTRIES * BITS_OF_ENTRY)
  #old = new Map<string, number>()
  #oldBits = new Uint16Array(GENERATION_ENTRIES * BITS_OF_ENTRY)

  /** Puts the three bits of an entry at a place. @param entry an address or a topic in lower-case hex */
  read(entry: Hex, into: Uint16Array, at: number): void {
    const slot = this.#slotOf(entry)
    into.set(this.#youngBits.subarray(slot, slot + BITS_OF_ENTRY), at)
  }

  #slotOf(entry: Hex): number {
    const known = this.#young.get(entry)
    if (known !== undefined) return known
    if (this.#young.size === GENERATION_ENTRIES) this.#age()
    const slot = this.#young.size * BITS_OF_ENTRY
    const old = this.#old.get(entry)
    const bits = old === undefined ? bitsOf(entry) : this.#oldBits.subarray(old, old + BITS_OF_ENTRY)
    this.#youngBits.set(bits, slot)
    this.#young.set(entry, slot)
    return slot
  }

  #age(): void {
    const emptied = this.#oldBits
    this.#old = this.#young
    this.#oldBits = this.#youngBits
    this.#young = new Map()
    this.#youngBits = emptied
  }
}

function bitsOf(entry: Hex): number[] {
  const digest = keccak256(entry, 'bytes')
  return [0, 2, 4].map(at => (((digest[at] ?? 0) << 8) | (digest[at + 1] ?? 0)) & BIT_MASK)
}

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
    const bits = bitsOf(entry)
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
