import { expect, test } from 'vitest'
import { exactAmount } from '../../src/core/amount.ts'
import { atLeast, fc } from './support/property.ts'

test.each<[string, bigint, number | null, string | null]>([
  ['zero', 0n, 18, '0'],
  ['zero of a token without decimals', 0n, 0, '0'],
  ['one wei', 1n, 18, '0.000000000000000001'],
  ['one ether', 10n ** 18n, 18, '1'],
  ['needless zeros are left out', 1_500_000n, 6, '1.5'],
  ['no decimals', 42n, 0, '42'],
  ['the largest that fits', 10n ** 30n - 1n, 18, `${'9'.repeat(12)}.${'9'.repeat(18)}`],
  ['10^12 does not fit', 10n ** 30n, 18, null],
  ['10^12 − 1 of a token without decimals', 10n ** 12n - 1n, 0, '9'.repeat(12)],
  ['10^12 of a token without decimals', 10n ** 12n, 0, null],
  ['24 decimals that are needed', 1n, 24, null],
  ['24 decimals of which 18 are needed', 1_000_000n, 24, '0.000000000000000001'],
  ['24 decimals of which 19 are needed', 100_000n, 24, null],
  ['77 decimals', 10n ** 77n, 77, '1'],
  ['255 decimals, next to nothing', 1n, 255, null],
  ['255 decimals, nothing', 0n, 255, '0'],
  ['255 decimals, divisible', 10n ** 240n, 255, '0.000000000000001'],
  ['the largest uint256 with 18 decimals', 2n ** 256n - 1n, 18, null],
  ['negative', -1_500_000n, 6, '-1.5'],
  ['negative, below one', -1n, 18, '-0.000000000000000001'],
  ['the lowest that fits', -(10n ** 30n - 1n), 18, `-${'9'.repeat(12)}.${'9'.repeat(18)}`],
  ['−10^12 does not fit', -(10n ** 30n), 18, null],
  ['decimals unknown', 5n, null, null],
  ['zero with decimals unknown', 0n, null, null],
])('%s', (_name, raw, decimals, text) => {
  expect(exactAmount(raw, decimals)).toBe(text)
})

test('an amount is exactly raw / 10^decimals, or null precisely where numeric(30,18) cannot hold that', () => {
  const raws = fc.oneof(
    fc.bigInt({ min: -(2n ** 255n), max: 2n ** 256n - 1n }),
    fc.bigInt({ min: -(10n ** 31n), max: 10n ** 31n }),
    // Numbers with many zeros at the end, where division comes out even.
    fc
      .tuple(fc.bigInt({ min: -9999n, max: 9999n }), fc.integer({ min: 0, max: 250 }))
      .map(([n, e]) => n * 10n ** BigInt(e)),
  )
  fc.assert(
    fc.property(raws, fc.integer({ min: 0, max: 255 }), (raw, decimals) => {
      const scale = 10n ** BigInt(decimals)
      // In units of 10^-18: exact if nothing is left over, and below 10^12 · 10^18.
      const scaled = raw * 10n ** 18n
      const size = scaled < 0n ? -scaled : scaled
      const fits = scaled % scale === 0n && size / scale < 10n ** 30n
      const text = exactAmount(raw, decimals)
      expect(text === null ? null : unitsOf(text)).toBe(fits ? scaled / scale : null)
      if (text !== null) expect(text).toMatch(/^-?(?:0|[1-9]\d{0,11})(?:\.\d{0,17}[1-9])?$/)
    }),
    atLeast(2_000),
  )
})

function unitsOf(text: string): bigint {
  const [integer = '', fraction = ''] = text.replace('-', '').split('.')
  return BigInt(integer + fraction.padEnd(18, '0')) * (text.startsWith('-') ? -1n : 1n)
}
