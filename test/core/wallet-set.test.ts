/** The set of wallets in typed memory against a Map of strings: whatever is put in and taken out, in whatever order. */

import { describe, expect, test } from 'vitest'
import { createWalletSet, packChange, unpackChanges, type WalletChange } from '../../src/core/wallet-set.ts'
import { fc } from './support/property.ts'

const hex = (length: number) =>
  fc
    .array(fc.constantFrom(...'0123456789abcdef'.split('')), { minLength: length, maxLength: length })
    .map(digits => digits.join(''))

/** Few enough that they meet again, and alike at their beginnings and ends, as those that somebody searched for are. */
const address = fc.oneof(
  hex(2).map((text): `0x${string}` => `0x${text.padStart(40, '0')}`),
  hex(2).map((text): `0x${string}` => `0x${text.padEnd(40, 'f')}`),
  hex(40).map((text): `0x${string}` => `0x${text}`),
)
const change: fc.Arbitrary<WalletChange> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ address, userId: fc.uuid(), tracked: fc.constant(true) }) },
  { weight: 1, arbitrary: fc.record({ address, userId: fc.constant(null), tracked: fc.boolean() }) },
)

/** Addresses as good as random, each another: multiplying by an odd number only changes the order of the numbers. */
function scatteredRecord(index: number): string {
  const digits = (Math.imul(index, 0x9e3779b1) >>> 0).toString(16).padStart(8, '0')
  return `1${digits.repeat(5)}${'0'.repeat(32)}`
}

describe('a set of wallets', () => {
  test('says what a map says, after any changes', () => {
    fc.assert(
      fc.property(
        fc.array(fc.array(change, { maxLength: 400, size: 'max' }), { maxLength: 6 }),
        fc.array(address, { maxLength: 20 }),
        fc.nat({ max: 2_000 }),
        (batches, strangers, expected) => {
          const map = new Map<string, string | null>()
          const set = createWalletSet(expected)
          for (const batch of batches) {
            set.take(batch.map(packChange).join(''))
            for (const { address: changed, userId, tracked } of batch)
              if (tracked) map.set(changed, userId)
              else map.delete(changed)
            expect(set.size).toBe(map.size)
          }
          for (const asked of new Set([...batches.flat().map(each => each.address), ...strangers])) {
            expect(set.has(asked)).toBe(map.has(asked))
            expect(set.ownerOf(asked)).toBe(map.get(asked) ?? null)
          }
        },
      ),
    )
  })

  test('finds an address at any place of a text, and nothing that is cut off, in capitals or no address', () => {
    const wallet = '00112233445566778899aabbccddeeff00112233'
    const set = createWalletSet()
    set.take(packChange({ address: `0x${wallet}`, userId: null, tracked: true }))
    const text = `0x${'0'.repeat(24)}${wallet}`
    expect(set.hasAt(text, 26)).toBe(true)
    for (const at of [-1, 0, 25, 27, 66, 1_000, Number.NaN]) expect(set.hasAt(text, at)).toBe(false)
    expect(set.hasAt(text.slice(0, -1), 26)).toBe(false)
    expect(set.hasAt(text.toUpperCase(), 26)).toBe(false)
    expect(set.hasAt(`${text.slice(0, 30)}g${text.slice(31)}`, 26)).toBe(false)
    expect(set.hasAt(`${text.slice(0, 30)}\u0130${text.slice(31)}`, 26)).toBe(false)
    for (const odd of [wallet, `0x${wallet}0`, `0x${wallet.slice(1)}`, '', '0x']) {
      expect(set.has(odd)).toBe(false)
      expect(set.ownerOf(odd)).toBeNull()
    }
  })

  test('keeps every wallet while it grows beyond its first filter, and takes little more than the bytes of each', () => {
    const WIDE_FROM = 200_000
    const COUNT = WIDE_FROM + 500
    const set = createWalletSet(0, WIDE_FROM)
    for (let index = 0; index < COUNT; index += 1) set.take(scatteredRecord(index))
    expect(set.size).toBe(COUNT)
    const FILTER_BYTES = 2 ** 25
    expect((set.sizeBytes - FILTER_BYTES) / COUNT).toBeLessThan(60)
    const lost: number[] = []
    for (let index = 0; index < COUNT; index += 1) if (!set.hasAt(scatteredRecord(index), 1)) lost.push(index)
    expect(lost).toEqual([])
    for (let index = COUNT; index < COUNT + 50_000; index += 1)
      if (set.hasAt(scatteredRecord(index), 1)) lost.push(index)
    expect(lost).toEqual([])
  })

  test('still finds those who stand behind one that was taken out', () => {
    const COUNT = 20_000
    const set = createWalletSet()
    set.take(Array.from({ length: COUNT }, (_, index) => scatteredRecord(index)).join(''))
    for (let index = 0; index < COUNT; index += 3) set.take(`0${scatteredRecord(index).slice(1)}`)
    const wrong: number[] = []
    for (let index = 0; index < COUNT; index += 1)
      if (set.hasAt(scatteredRecord(index), 1) === (index % 3 === 0)) wrong.push(index)
    expect(wrong).toEqual([])
    expect(set.size).toBe(COUNT - Math.ceil(COUNT / 3))
  })

  test('refuses records that are cut off or no hex, rather than take in a wallet that is none', () => {
    const record = packChange({ address: `0x${'ab'.repeat(20)}`, userId: null, tracked: true })
    expect(() => createWalletSet().take(record.slice(0, -1))).toThrow('cut off')
    expect(() => createWalletSet().take(record.replace('ab', '-b'))).toThrow('not hex')
  })

  test('has records that say the changes again', () => {
    fc.assert(
      fc.property(fc.array(change), changes => {
        expect(unpackChanges(changes.map(packChange).join(''))).toEqual(changes)
      }),
    )
  })
})
