/**
 * Addresses and topics of a stretch of blocks: each looked at once, however often it comes.
 *
 * Always holds: an entry that is found is lower-case hex of its length. Whether it names a tracked wallet is what was true when it was
 * first met, so one of these must not be used for longer than the set of wallets that its user speaks of.
 */

import { BITS_OF_ENTRY, type EntryBits, type Filter, setBit } from '../core/bloom.ts'
import type { Interest } from '../core/interest.ts'
import { ADDRESS_IN_TOPIC } from '../core/sieve.ts'
import type { Hex } from '../core/types.ts'
import { ADDRESS, HASH } from './fields.ts'

/** More are forgotten, and looked at again. */
const MAX_ENTRIES = 1 << 13
const ADDRESS_LENGTH = 42
const HASH_LENGTH = 66

export class Entries {
  readonly #interest: Interest
  readonly #bits: EntryBits | null
  readonly #known = new Map<string, number>()
  readonly #names = new Uint8Array(MAX_ENTRIES)
  readonly #bitsOf: Uint16Array
  /** What came last as the first topic of a log, and as its contract: it often comes next again, and comparing costs less than looking up. */
  #event = { text: '', entry: -1 }
  #contract = { text: '', entry: -1 }

  /** @param bits null: bloom filters are not wanted */
  constructor(interest: Interest, bits: EntryBits | null) {
    this.#interest = interest
    this.#bits = bits
    this.#bitsOf = new Uint16Array(bits === null ? 0 : MAX_ENTRIES * BITS_OF_ENTRY)
  }

  /** An address. @returns what the other methods take, until the next is looked for; −1: it is none in lower-case hex */
  address(text: unknown): number {
    if (typeof text !== 'string' || text.length !== ADDRESS_LENGTH) return -1
    return this.#known.get(text) ?? (ADDRESS.test(text) ? this.#learn(text, 2) : -1)
  }

  /** The contract of a log. */
  contract(text: unknown): number {
    const last = this.#contract
    if (text !== last.text) this.#contract = { text: String(text), entry: this.address(text) }
    return this.#contract.entry
  }

  /** The first topic of a log. */
  event(text: unknown): number {
    const last = this.#event
    if (text !== last.text) this.#event = { text: String(text), entry: this.topic(text) }
    return this.#event.entry
  }

  /** A topic; the rest as for an address. */
  topic(text: unknown): number {
    if (typeof text !== 'string' || text.length !== HASH_LENGTH) return -1
    return this.#known.get(text) ?? (HASH.test(text) ? this.#learn(text, ADDRESS_IN_TOPIC) : -1)
  }

  /** Whether it is, or ends with, the address of a tracked wallet. */
  names(entry: number): boolean {
    return this.#names[entry] === 1
  }

  addTo(filter: Filter, entry: number): void {
    const at = entry * BITS_OF_ENTRY
    for (let place = at; place < at + BITS_OF_ENTRY; place += 1) setBit(filter, this.#bitsOf[place] ?? 0)
  }

  #forget(): void {
    this.#known.clear()
    this.#event = { text: '', entry: -1 }
    this.#contract = { text: '', entry: -1 }
  }

  #learn(text: string, addressAt: number): number {
    if (this.#known.size === MAX_ENTRIES) this.#forget()
    const entry = this.#known.size
    this.#known.set(text, entry)
    this.#names[entry] = this.#interest.walletAt(text, addressAt) ? 1 : 0
    this.#bits?.read(text as Hex, this.#bitsOf, entry * BITS_OF_ENTRY)
    return entry
  }
}
