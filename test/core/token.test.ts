import { describe, expect, test } from 'vitest'
import { cleanText } from '../../src/core/text.ts'
import { parseDecimals, parseTokenText } from '../../src/core/token.ts'
import type { Hex } from '../../src/core/types.ts'
import { words } from './support/build.ts'
import { atLeast, fc } from './support/property.ts'

const HUGE = 2n ** 256n - 1n
const hexOf = (text: string) => Buffer.from(text).toString('hex')
/** An ABI string, as `symbol()` returns it. */
const abiText = (text: string): Hex =>
  `${words(32, Buffer.byteLength(text))}${hexOf(text).padEnd(Math.ceil(Buffer.byteLength(text) / 32) * 64, '0')}`
const bytes32 = (text: string): Hex => `0x${hexOf(text).padEnd(64, '0')}`

describe('decimals', () => {
  test.each<[string, Hex | null, number | null]>([
    ['18', words(18), 18],
    ['0', words(0), 0],
    ['the most that a uint8 holds', words(255), 255],
    ['one more', words(256), null],
    ['the most that a word holds', words(HUGE), null],
    ['a revert', null, null],
    ['nothing', '0x', null],
    ['a word that is cut', words(18).slice(0, -2) as Hex, null],
    ['more than a word', words(6, HUGE), 6],
    ['100 kB', `${words(6)}${'ff'.repeat(100_000)}`, 6],
  ])('%s', (_name, answer, decimals) => {
    expect(parseDecimals(answer)).toBe(decimals)
  })
})

describe('a symbol', () => {
  test.each<[string, Hex | null, string | null]>([
    ['a string', abiText('USDC'), 'USDC'],
    [
      'a string of more than a word',
      abiText('a name that is longer than one word'),
      'a name that is longer than one wo'.slice(0, 32),
    ],
    ['a string with letters of others', abiText('USD₮0 é'), 'USD₮0 é'],
    ['bytes32', bytes32('MKR'), 'MKR'],
    ['bytes32 that are full', bytes32('0123456789abcdef0123456789abcdef'), '0123456789abcdef0123456789abcdef'],
    ['empty bytes32', words(0), null],
    ['a revert', null, null],
    ['nothing', '0x', null],
    ['less than a word', '0x55534443', null],
    ['an empty string', abiText(''), null],
    ['only NUL', abiText('\0\0\0'), null],
    ['only spaces', abiText('   '), null],
    ['NUL inside', abiText('US\0DC'), 'USDC'],
    ['control and direction characters', abiText('\u001b[31mUS\u202eDC\u200b\r\n'), '[31mUSDC'],
    ['no UTF-8', `${words(32, 2)}${'ffc0'.padEnd(64, '0')}`, '\ufffd\ufffd'],
    ['10 kB', abiText('y'.repeat(10_000)), 'y'.repeat(32)],
    ['an offset beyond the answer', words(HUGE, 4), null],
    ['an offset just beyond the answer', words(64, 4), null],
    ['an offset into itself', words(0, 4), null],
    ['a length of almost 2^256 with four bytes there', `${words(32, HUGE)}${hexOf('USDC')}`, 'USDC'],
    ['a length beyond the answer', `${words(32, 5_000)}${hexOf('USDC')}`, 'USDC'],
    ['an answer cut within the string', abiText('US Dollar Coin').slice(0, -40) as Hex, 'US Dollar Co'],
    ['100 kB after the string', `${abiText('USDC')}${'41'.repeat(100_000)}`, 'USDC'],
  ])('%s', (_name, answer, text) => {
    expect(parseTokenText(answer, 32)).toBe(text)
  })

  test('of any answer is short, clean and quickly read', () => {
    const word = fc.oneof(
      fc.constantFrom(0n, 31n, 32n, 33n, 64n, 2n ** 31n, 2n ** 53n, HUGE),
      fc.bigInt({ min: 0n, max: HUGE }),
    )
    const answers: fc.Arbitrary<Hex> = fc.oneof(
      fc.array(word, { maxLength: 6 }).map(values => words(...values)),
      fc.uint8Array({ maxLength: 300 }).map((bytes): Hex => `0x${Buffer.from(bytes).toString('hex')}`),
      fc.string({ unit: 'binary', maxLength: 60 }).map(abiText),
    )
    const started = performance.now()
    fc.assert(
      fc.property(answers, fc.integer({ min: 1, max: 64 }), (answer, maxLength) => {
        const text = parseTokenText(answer, maxLength)
        if (text === null) return
        expect(text.length).toBeGreaterThan(0)
        expectClean(text, maxLength)
        expect(parseDecimals(answer) ?? 0).toBeLessThanOrEqual(255)
      }),
      atLeast(1_000),
    )
    expect(performance.now() - started).toBeLessThan(10_000)
  })
})

describe('text from strangers', () => {
  test.each<[string, string, string]>([
    ['is kept', 'naïve: café 日本 🦄', 'naïve: café 日本 🦄'],
    ['loses NUL and control characters', 'a\0b\tc\nd\u007fe\u0085f', 'abcdef'],
    ['loses what turns or hides text', 'a\u202eb\u2066c\u200bd\ufeffe\u00adf', 'abcdef'],
    ['loses what is private or not assigned', 'a\ue000b\u0378c', 'abc'],
    ['loses spaces around it', '  a b  ', 'a b'],
    ['has lone surrogates replaced', 'a\ud800b\udc00c', 'a\ufffdb\ufffdc'],
    ['is cut', 'x'.repeat(300), 'x'.repeat(20)],
    ['is not cut inside a character', `${'x'.repeat(19)}🦄`, `${'x'.repeat(19)}\ufffd`],
    ['may be nothing', '\0\0', ''],
  ])('%s', (_name, text, cleaned) => {
    expect(cleanText(text, 20)).toBe(cleaned)
  })

  test('is always short, well-formed and free of control characters', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 100 }), fc.integer({ min: 1, max: 50 }), (text, maxLength) => {
        expectClean(cleanText(text, maxLength), maxLength)
      }),
    )
  })

  test('of ten megabytes takes no longer than of a line', () => {
    const started = performance.now()
    expect(cleanText('\u200b'.repeat(10_000_000), 20)).toBe('')
    expect(performance.now() - started).toBeLessThan(1_000)
  })
})

function expectClean(text: string, maxLength: number): void {
  expect(text.length).toBeLessThanOrEqual(maxLength)
  expect(text.isWellFormed()).toBe(true)
  expect(text).not.toMatch(/[\p{Cc}\p{Cf}]/u)
}
