import { describe, expect, test } from 'vitest'
import { blocksAsked, suggestedBlocks } from '../../../src/source/range-hint.ts'
import { fc } from '../support/property.ts'

// What providers were seen to suggest is in provider-errors.json. Here is what makes no sense.
describe('how many blocks a refusal suggests', () => {
  test.each<[string, number | null, number | null]>([
    ['max block range: 1000', 5_000, 1_000],
    ['max block range: 1000', 1_001, 1_000],
    ['max block range: 1000', 1_000, null],
    ['max block range: 1000', 999, null],
    ['max block range: 1000', null, 1_000],
    ['max block range: 1', 2, 1],
    ['max block range: 0', 5_000, null],
    ['max block range: -5000', 50_000, null],
    ['max block range: 2.5', 5_000, null],
    ['max block range: 4294967296', null, null],
    ['max block range: 1701411834604692317316873037158841057', null, null],
    ['max block range: 10k', 50_000, 10_000],
    ['max block range: 10,000', 50_000, 10_000],
    ['max block range: 10.000', 50_000, 10_000],
    ['max block range: 10_000', 50_000, 10_000],
    ['max block range: 1,234,567', null, 1_234_567],
    ['try [0x10, 0x1f]', 5_000, 16],
    ['try [0x10, 0x10]', 5_000, 1],
    ['try [0x1f, 0x10]', 5_000, null],
    ['try [0x10,0x1F]', 5_000, 16],
    ['try [0x0, 0xffffffffffffffffffffffff]', null, null],
    ['retry with the range 500-599', 5_000, 100],
    ['retry with the range 500-100', 5_000, null],
    ['retry with the range 500-599, or up to a 20 block range', 5_000, 20],
    ['block range too large: limit of 10000 logs', 50_000, null],
    ['block range too large: max 150MB', 50_000, null],
    ['block range too large: max 30 seconds', 50_000, null],
    ['block range too large', 5_000, null],
    ['', 5_000, null],
  ])('%j, when %j were asked for: %j', (text, askedBlocks, blocks) => {
    expect(suggestedBlocks(text, undefined, askedBlocks)).toBe(blocks)
  })

  test.each<[string, unknown, number | null]>([
    ['from and to', { from: '0x10', to: '0x1f', limit: 10_000 }, 16],
    ['from and to, the wrong way', { from: '0x1f', to: '0x10' }, null],
    ['from and to that are names', { from: 'earliest', to: 'latest' }, null],
    ['a maximum', { details: { maxAllowedRange: 1_000 } }, 1_000],
    ['a maximum that is not smaller', { details: { maxAllowedRange: 5_000 } }, null],
    ['a maximum that is no number', { maxRange: 'many' }, null],
    ['other fields', { range: 7, rate: { allowed_rps: 5 } }, null],
    ['no object', 5, null],
    ['null', null, null],
  ])('in the data: %s', (_name, data, blocks) => {
    expect(suggestedBlocks('', data, 5_000)).toBe(blocks)
  })

  test('is never none, and never as many as were asked for, whatever is said', () => {
    const words = fc.constantFrom(
      'block',
      'range',
      'max',
      'limit',
      'limited to a',
      'up to',
      '[0x',
      ', 0x',
      ']',
      '-',
      ':',
      '>',
    )
    const part = fc.oneof(words, fc.nat().map(String), fc.bigInt({ min: 0n }).map(String), fc.string({ maxLength: 5 }))
    const text = fc.array(part, { maxLength: 20 }).map(parts => parts.join(' '))
    fc.assert(
      fc.property(text, fc.anything(), fc.integer({ min: 1, max: 1_000_000 }), (said, data, askedBlocks) => {
        const blocks = suggestedBlocks(said, data, askedBlocks)
        if (blocks === null) return
        expect(Number.isSafeInteger(blocks)).toBe(true)
        expect(blocks).toBeGreaterThanOrEqual(1)
        expect(blocks).toBeLessThan(askedBlocks)
      }),
    )
  })
})

describe('how many blocks a question for logs is about', () => {
  test.each<[string, unknown, number | null]>([
    ['one', { fromBlock: '0x5', toBlock: '0x5' }, 1],
    ['many', { fromBlock: '0x5', toBlock: '0x68' }, 100],
    ['a name', { fromBlock: '0x5', toBlock: 'latest' }, null],
    ['a hash', { blockHash: '0x5' }, null],
    ['the wrong way', { fromBlock: '0x6', toBlock: '0x5' }, null],
    ['nothing', undefined, null],
  ])('%s', (_name, filter, blocks) => {
    expect(blocksAsked([filter])).toBe(blocks)
  })
})
