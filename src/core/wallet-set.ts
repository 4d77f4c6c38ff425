/**
 * The tracked wallets in little memory: addresses of 20 bytes, each with the 16 bytes of its user's id, or none.
 *
 * Always holds: it says exactly what was put in and not taken out; a table is never fuller than MAX_LOAD, so that every search ends.
 *
 * Maps of strings cost a million wallets 300 MB. Here they are words in typed arrays, found by open addressing. There are many small
 * tables instead of a large one: each grows by itself, by a quarter, so that growing never needs twice the memory. Nearly every
 * question is about a stranger; most of those are answered by one bit, chosen by the last digits of the address, before the rest is
 * read. Taking out a wallet leaves its bit: that costs a search now and then, never an answer.
 */

/** Tables; a wallet's is told by the first bits of its hash. */
const TABLE_BITS = 8
const MAX_LOAD = 0.8
const GROWTH = 1.25
const MIN_SLOTS = 8
/** Room that a set of an expected size gets: as many wallets as are expected don't make most tables grow. */
const EXPECTED_LOAD = 0.72

const ADDRESS_DIGITS = 40
const ID_DIGITS = 32
const ADDRESS_WORDS = 5
const SLOT_WORDS = 9

/** The digits that choose the bit: 2 MiB of bits, and 32 MiB for sets that would set every eighth of those. */
const FILTER_DIGITS = 6
const WIDE_FILTER_DIGITS = 7
const WIDE_FROM_WALLETS = 2 ** 21
const WIDE_MASK = 16 ** WIDE_FILTER_DIGITS - 1

/** What is known of a slot without looking at its words: nothing (0), or that it is taken, whether by a user's, and a part of the hash. */
const TAKEN = 0x80
const OWNED = 0x40
const TAG_MASK = 0x3f

/** A record is one letter and as many digits; `0` takes a wallet out. */
const RECORD_LENGTH = 1 + ADDRESS_DIGITS + ID_DIGITS
const IS_OUT = '0'.charCodeAt(0)
const IS_OWNED = '2'.charCodeAt(0)

export type WalletChange = {
  readonly address: `0x${string}`
  readonly userId: string | null
  readonly tracked: boolean
}

export type WalletSet = {
  readonly size: number
  /** What its arrays take. */
  readonly sizeBytes: number
  readonly has: (address: string) => boolean
  /** Whether the 40 lower-case hex digits that begin at a place of a text are an address of the set. */
  readonly hasAt: (text: string, at: number) => boolean
  /** A UUID in its usual form; null for wallets without a user, and for strangers. */
  readonly ownerOf: (address: string) => string | null
  /** Takes in changes: records without anything between them, as `packChange` makes them. @throws RangeError for anything else */
  take(records: string): void
}

type Table = {
  states: Uint8Array
  words: Int32Array
  slots: number
  count: number
}

/** The value of a hex digit by its code, −1 for everything else. */
const DIGITS = new Int8Array(2 ** 16).fill(-1)
for (const [value, digit] of Array.from('0123456789abcdef').entries()) DIGITS[digit.charCodeAt(0)] = value
const PAIRS = Array.from({ length: 256 }, (_, value) => value.toString(16).padStart(2, '0'))

/**
 * @param expected how many wallets are to come, as far as that is known
 * @param wideFrom so many set too many bits of the small filter
 */
export function createWalletSet(expected = 0, wideFrom = WIDE_FROM_WALLETS): WalletSet {
  const firstSlots = Math.max(MIN_SLOTS, Math.ceil(expected / 2 ** TABLE_BITS / EXPECTED_LOAD))
  // All of them now, where they will be needed: among what is thrown away while they fill, they would keep it from being given back.
  const tables: (Table | undefined)[] = Array.from({ length: 2 ** TABLE_BITS }, () =>
    expected === 0 ? undefined : createTable(firstSlots),
  )
  let filter = createFilter(FILTER_DIGITS)
  /** The wallet that is asked for, and the id that goes with it. */
  const words = new Int32Array(SLOT_WORDS)
  let size = 0

  const widenFilter = () => {
    filter = createFilter(WIDE_FILTER_DIGITS)
    for (const table of tables.filter(each => each !== undefined)) {
      for (const [slot, state] of table.states.entries())
        if (state !== 0) addToFilter(filter, table.words[slot * SLOT_WORDS + ADDRESS_WORDS - 1] ?? 0)
    }
  }

  /** The slot of `words`; −1 where it is not. */
  const find = (table: Table, hash: number): number => {
    const { states, slots } = table
    const tag = TAKEN | (hash & TAG_MASK)
    for (let slot = homeOf(hash, slots); ; slot = slot + 1 === slots ? 0 : slot + 1) {
      const state = states[slot] ?? 0
      if (state === 0) return -1
      if ((state & ~OWNED) === tag && hasAddress(table, slot, words)) return slot
    }
  }

  const locate = (text: string, at: number): { table: Table; slot: number } | null => {
    if (!passesFilter(filter, text, at + ADDRESS_DIGITS) || !readWords(text, at, words, ADDRESS_WORDS)) return null
    const hash = hashOf(words, 0)
    const table = tables[hash >>> (32 - TABLE_BITS)]
    if (table === undefined) return null
    const slot = find(table, hash)
    return slot < 0 ? null : { table, slot }
  }

  const put = (isOwned: boolean) => {
    const hash = hashOf(words, 0)
    const index = hash >>> (32 - TABLE_BITS)
    const table = (tables[index] ??= createTable(firstSlots))
    const found = find(table, hash)
    if (found < 0) {
      if (table.count + 1 > table.slots * MAX_LOAD) grow(table)
      table.count += 1
      size += 1
      if (size === wideFrom && filter.mask < WIDE_MASK) widenFilter()
      addToFilter(filter, words[ADDRESS_WORDS - 1] ?? 0)
    }
    const slot = found < 0 ? freeSlot(table, hash) : found
    table.states[slot] = TAKEN | (isOwned ? OWNED : 0) | (hash & TAG_MASK)
    table.words.set(words, slot * SLOT_WORDS)
  }

  const takeOut = () => {
    const hash = hashOf(words, 0)
    const table = tables[hash >>> (32 - TABLE_BITS)]
    const slot = table === undefined ? -1 : find(table, hash)
    if (table === undefined || slot < 0) return
    closeGap(table, slot)
    table.count -= 1
    size -= 1
  }

  const hasAt = (text: string, at: number) => locate(text, at) !== null
  return {
    get size() {
      return size
    },
    get sizeBytes() {
      const bytes = tables.map(table => (table === undefined ? 0 : table.states.byteLength + table.words.byteLength))
      return bytes.reduce((sum, each) => sum + each, filter.bits.byteLength)
    },
    has: address => address.length === ADDRESS_DIGITS + 2 && hasAt(address, 2),
    hasAt,
    ownerOf(address) {
      const place = address.length === ADDRESS_DIGITS + 2 ? locate(address, 2) : null
      if (place === null || ((place.table.states[place.slot] ?? 0) & OWNED) === 0) return null
      return formatId(place.table.words, place.slot * SLOT_WORDS + ADDRESS_WORDS)
    },
    take(records) {
      if (records.length % RECORD_LENGTH !== 0) throw new RangeError('the records of wallets are cut off')
      for (let at = 0; at < records.length; at += RECORD_LENGTH) {
        const kind = records.charCodeAt(at)
        if (!readWords(records, at + 1, words, SLOT_WORDS)) throw new RangeError('a record of a wallet is not hex')
        if (kind === IS_OUT) takeOut()
        else put(kind === IS_OWNED)
      }
    },
  }
}

/** A change as a record: whether it is out (0), in without a user (1), or a user's (2); its address; the user's id or zeros. */
export function packChange({ address, userId, tracked }: WalletChange): string {
  const kind = !tracked ? '0' : userId === null ? '1' : '2'
  return `${kind}${address.slice(2)}${userId?.replaceAll('-', '') ?? '0'.repeat(ID_DIGITS)}`
}

/** The changes that records say. The user of a wallet that is out is not told. */
export function unpackChanges(records: string): WalletChange[] {
  return Array.from({ length: Math.floor(records.length / RECORD_LENGTH) }, (_, index): WalletChange => {
    const at = index * RECORD_LENGTH
    const kind = records.charCodeAt(at)
    const id = records.slice(at + 1 + ADDRESS_DIGITS, at + RECORD_LENGTH)
    return {
      address: `0x${records.slice(at + 1, at + 1 + ADDRESS_DIGITS)}`,
      userId: kind === IS_OWNED ? id.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-') : null,
      tracked: kind !== IS_OUT,
    }
  })
}

function createTable(slots: number): Table {
  return { states: new Uint8Array(slots), words: new Int32Array(slots * SLOT_WORDS), slots, count: 0 }
}

function grow(table: Table): void {
  const { states, words, slots } = table
  Object.assign(table, { ...createTable(Math.ceil(slots * GROWTH)), count: table.count })
  for (let slot = 0; slot < slots; slot += 1) {
    const state = states[slot] ?? 0
    if (state === 0) continue
    const from = slot * SLOT_WORDS
    const free = freeSlot(table, hashOf(words, from))
    table.states[free] = state
    table.words.set(words.subarray(from, from + SLOT_WORDS), free * SLOT_WORDS)
  }
}

function freeSlot({ states, slots }: Table, hash: number): number {
  let slot = homeOf(hash, slots)
  while (states[slot] !== 0) slot = slot + 1 === slots ? 0 : slot + 1
  return slot
}

/** Empties a slot. Whoever stands behind it for want of room moves up, so that no search ends before them. */
function closeGap({ states, words, slots }: Table, emptied: number): void {
  let gap = emptied
  for (let slot = (gap + 1) % slots; states[slot] !== 0; slot = (slot + 1) % slots) {
    const home = homeOf(hashOf(words, slot * SLOT_WORDS), slots)
    const isReachable = (slot - home + slots) % slots >= (slot - gap + slots) % slots
    if (!isReachable) continue
    states[gap] = states[slot] ?? 0
    words.copyWithin(gap * SLOT_WORDS, slot * SLOT_WORDS, (slot + 1) * SLOT_WORDS)
    gap = slot
  }
  states[gap] = 0
}

function hasAddress({ words }: Table, slot: number, wanted: Int32Array): boolean {
  const from = slot * SLOT_WORDS
  for (let index = 0; index < ADDRESS_WORDS; index += 1) if (words[from + index] !== wanted[index]) return false
  return true
}

/** Where a search begins: the tables have any number of slots, so the hash is scaled and not masked. */
function homeOf(hash: number, slots: number): number {
  return Math.floor(((Math.imul(hash, 0x9e3779b1) >>> 0) * slots) / 2 ** 32)
}

/** All of the address counts: many of them begin or end alike on purpose. */
function hashOf(words: Int32Array, from: number): number {
  let hash = 0
  for (let index = from; index < from + ADDRESS_WORDS; index += 1) {
    hash = Math.imul(hash ^ (words[index] ?? 0), 0x85ebca6b)
    hash ^= hash >>> 15
  }
  hash = Math.imul(hash, 0xc2b2ae35)
  return hash ^ (hash >>> 16)
}

type Filter = { readonly bits: Int32Array; readonly mask: number }

function createFilter(digits: number): Filter {
  const count = 16 ** digits
  return { bits: new Int32Array(count / 32), mask: count - 1 }
}

function addToFilter({ bits, mask }: Filter, lastWord: number): void {
  const bit = lastWord & mask
  bits[bit >>> 5] = (bits[bit >>> 5] ?? 0) | (1 << (bit & 31))
}

/** Written out, because it answers nearly every question. What is no digit sets more bits than it should: it is looked at later. */
function passesFilter({ bits, mask }: Filter, text: string, end: number): boolean {
  const last =
    (digitAt(text, end - 7) << 24) |
    (digitAt(text, end - 6) << 20) |
    (digitAt(text, end - 5) << 16) |
    (digitAt(text, end - 4) << 12) |
    (digitAt(text, end - 3) << 8) |
    (digitAt(text, end - 2) << 4) |
    digitAt(text, end - 1)
  const bit = last & mask
  return ((bits[bit >>> 5] as number) & (1 << (bit & 31))) !== 0
}

/** −1 for what is no hex digit; 0 beyond the text's ends, in a sum of bits. */
function digitAt(text: string, at: number): number {
  return DIGITS[text.charCodeAt(at)] as number
}

/** Reads words of eight hex digits. @returns false if there is anything else */
function readWords(text: string, at: number, into: Int32Array, count: number): boolean {
  if (at < 0 || at + count * 8 > text.length) return false
  let seen = 0
  for (let index = 0, place = at; index < count; index += 1) {
    let word = 0
    for (const end = place + 8; place < end; place += 1) {
      const digit = digitAt(text, place)
      seen |= digit
      word = (word << 4) | digit
    }
    into[index] = word
  }
  return seen >= 0
}

function formatId(words: Int32Array, from: number): string {
  const [first = 0, second = 0, third = 0, fourth = 0] = words.subarray(from, from + 4)
  return `${hex16(first >>> 16)}${hex16(first)}-${hex16(second >>> 16)}-${hex16(second)}-${hex16(third >>> 16)}-${hex16(third)}${hex16(fourth >>> 16)}${hex16(fourth)}`
}

function hex16(value: number): string {
  return `${PAIRS[(value >>> 8) & 0xff] ?? ''}${PAIRS[value & 0xff] ?? ''}`
}
