/**
 * Addresses and topics of a stretch of blocks: each looked at once, however often it comes.
 *
 * Always holds: an entry that is found is lower-case hex of its length. Whether it names a tracked wallet is what was true when it was
 * first met, so one of these must not be used for longer than the set of wallets that its user speaks of.
 *
 * Four times a log something is looked up here, so it is a table of its own: the digits of an entry say where it is, and comparing two
 * texts costs less than hashing one. A `Map` took a third of the time of sieving.
 */

import { BITS_OF_ENTRY, type EntryBits, type Filter, setBit } from '../core/bloom.ts'
import type { Interest } from '../core/interest.ts'
import { ADDRESS_IN_TOPIC } from '../core/sieve.ts'
import type { Hex } from '../core/types.ts'
import { ADDRESS, HASH } from './fields.ts'

/** Places; what comes to a taken one puts the other out, which is then looked at again when it comes. */
const PLACES = 1 << 13
const ADDRESS_LENGTH = 42
const HASH_LENGTH = 66

export class Entries {
  readonly #interest: Interest
  readonly #bits: EntryBits | null
  readonly #texts: string[] = Array.from({ length: PLACES }, () => '')
  readonly #names = new Uint8Array(PLACES)
  readonly #bitsOf: Uint16Array

  /** @param bits null: bloom filters are not wanted */
  constructor(interest: Interest, bits: EntryBits | null) {
    this.#interest = interest
    this.#bits = bits
    this.#bitsOf = new Uint16Array(bits === null ? 0 : PLACES * BITS_OF_ENTRY)
  }

  /** An address. @returns what the other methods take, until the next is looked for; −1: it is none in lower-case hex */
  address(text: unknown): number {
    if (typeof text !== 'string' || text.length !== ADDRESS_LENGTH) return -1
    const place = placeOf(text, ADDRESS_LENGTH)
    if (this.#texts[place] === text) return place
    return ADDRESS.test(text) ? this.#learn(place, text, 2) : -1
  }

  /** A topic; the rest as for an address. */
  topic(text: unknown): number {
    if (typeof text !== 'string' || text.length !== HASH_LENGTH) return -1
    const place = placeOf(text, HASH_LENGTH)
    if (this.#texts[place] === text) return place
    return HASH.test(text) ? this.#learn(place, text, ADDRESS_IN_TOPIC) : -1
  }

  /** Whether it is, or ends with, the address of a tracked wallet. */
  names(entry: number): boolean {
    return this.#names[entry] === 1
  }

  addTo(filter: Filter, entry: number): void {
    const at = entry * BITS_OF_ENTRY
    for (let place = at; place < at + BITS_OF_ENTRY; place += 1) setBit(filter, this.#bitsOf[place] ?? 0)
  }

  #learn(place: number, text: string, addressAt: number): number {
    this.#texts[place] = text
    this.#names[place] = this.#interest.walletAt(text, addressAt) ? 1 : 0
    this.#bits?.read(text as Hex, this.#bitsOf, place * BITS_OF_ENTRY)
    return place
  }
}

/** By the last digits: those of addresses and hashes are as good as random, and those of numbers differ. */
function placeOf(text: string, length: number): number {
  const low = text.charCodeAt(length - 1) ^ (text.charCodeAt(length - 2) << 3) ^ (text.charCodeAt(length - 3) << 6)
  const high = (text.charCodeAt(length - 4) << 4) ^ (text.charCodeAt(length - 5) << 7) ^ length
  return (low ^ (high << 2)) & (PLACES - 1)
}
