import { describe, expect, test } from 'vitest'
import { TRANSFER, TRANSFER_BATCH, TRANSFER_SINGLE } from '../../../src/core/decode/transfer.ts'
import type { Hex, Log } from '../../../src/core/types.ts'
import {
  ALICE,
  addressOf,
  BOB,
  CAROL,
  chainOf,
  decode,
  decodeLog,
  hashOf,
  KITTY,
  NFT,
  TOKEN,
  tokensOf,
  words,
  ZERO,
} from '../support/build.ts'

const topic = (address: Hex) => hashOf(BigInt(address))
const ODD = [`shape:${TRANSFER}`]

describe('Transfer(address,address,uint256)', () => {
  test.each<[string, Partial<Log>, string[]]>([
    ['ERC-20', erc20(ALICE, BOB, 7), ['alice TRANSFER_OUT 7 erc20', 'bob TRANSFER_IN 7 erc20']],
    ['ERC-20 of nothing', erc20(CAROL, BOB, 0), ['bob TRANSFER_IN 0 erc20']],
    ['ERC-20 to oneself', erc20(ALICE, ALICE, 7), ['alice TRANSFER_OUT 7 erc20', 'alice TRANSFER_IN 7 erc20']],
    ['ERC-20 minted', erc20(ZERO, ALICE, 7), ['alice MINT 7 erc20']],
    ['ERC-20 burned', erc20(ALICE, ZERO, 7), ['alice BURN 7 erc20']],
    ['ERC-20 among strangers', erc20(CAROL, addressOf(9), 7), []],
    [
      'ERC-20, the largest amount',
      { topics: [TRANSFER, topic(CAROL), topic(ALICE)], data: words(2n ** 256n - 1n) },
      [`alice TRANSFER_IN ${2n ** 256n - 1n} erc20`],
    ],
    ['ERC-721', erc721(ALICE, BOB, 7), ['alice TRANSFER_OUT 1 pieces', 'bob TRANSFER_IN 1 pieces']],
    ['ERC-721 minted', erc721(ZERO, ALICE, 0), ['alice MINT 1 pieces']],
    ['ERC-721 burned', erc721(ALICE, ZERO, 7), ['alice BURN 1 pieces']],
    [
      'one indexed',
      { topics: [TRANSFER, topic(ALICE)], data: words(BOB, 7) },
      ['alice TRANSFER_OUT 7 erc20', 'bob TRANSFER_IN 7 erc20'],
    ],
    [
      'nothing indexed',
      { topics: [TRANSFER], data: words(ALICE, BOB, 7) },
      ['alice TRANSFER_OUT 7 erc20', 'bob TRANSFER_IN 7 erc20'],
    ],
    ['nothing indexed, minted', { topics: [TRANSFER], data: words(ZERO, BOB, 7) }, ['bob MINT 7 erc20']],
  ])('%s', (_name, log, expected) => {
    const { briefs, oddities } = decodeLog(log)
    expect(briefs).toEqual(expected)
    expect(oddities).toEqual([])
  })

  test('the zero address on both sides is nobody, even if somebody watches it', () => {
    expect(decodeLog(erc20(ZERO, ZERO, 7), { tracked: [ZERO] })).toMatchObject({ briefs: [], oddities: [] })
  })

  test.each<[string, Partial<Log>]>([
    ['no data', { topics: [TRANSFER, topic(ALICE), topic(BOB)], data: '0x' }],
    ['a byte too few', { topics: [TRANSFER, topic(ALICE), topic(BOB)], data: words(7).slice(0, -2) as Hex }],
    ['a byte too many', { topics: [TRANSFER, topic(ALICE), topic(BOB)], data: `${words(7)}00` }],
    ['a word too many', { topics: [TRANSFER, topic(ALICE), topic(BOB)], data: words(7, 7) }],
    ['the topic alone', { topics: [TRANSFER], data: '0x' }],
    ['nothing indexed and a word missing', { topics: [TRANSFER], data: words(ALICE, BOB) }],
    ['a dirty sender', { topics: [TRANSFER, hashOf(BigInt(ALICE) + 2n ** 160n), topic(BOB)], data: words(7) }],
    ['a dirty recipient', { topics: [TRANSFER, topic(ALICE), hashOf(BigInt(BOB) + 2n ** 255n)], data: words(7) }],
    ['a dirty recipient in the data', { topics: [TRANSFER], data: words(ALICE, BigInt(BOB) + 2n ** 200n, 7) }],
    ['a dirty sender of ERC-721', { topics: [TRANSFER, hashOf(2n ** 160n), topic(BOB), hashOf(1)] }],
  ])('%s is counted and passed', (_name, log) => {
    expect(decodeLog(log)).toMatchObject({ briefs: [], oddities: ODD })
  })

  test('a contract that indexes nothing moves pieces where the chain file says that it is ERC-721', () => {
    const chain = chainOf({ tokens: tokensOf(KITTY) })
    const log = { address: NFT, topics: [TRANSFER], data: words(CAROL, BOB, 7) }
    expect(decodeLog(log, { chain }).activities).toMatchObject([
      { type: 'TRANSFER_IN', rawAmount: 1n, asset: { kind: 'pieces', address: NFT }, metadata: { token_id: '7' } },
    ])
  })

  test('the metadata says who is on the other side, and the id of a piece', () => {
    expect(decodeLog(erc20(ALICE, BOB, 7)).activities.map(({ metadata }) => metadata)).toEqual([
      { counterparty: BOB },
      { counterparty: ALICE },
    ])
    expect(decodeLog(erc721(ZERO, BOB, 2n ** 256n - 1n)).activities.map(({ metadata }) => metadata)).toEqual([
      { counterparty: ZERO, token_id: String(2n ** 256n - 1n) },
    ])
  })

  test('the position is the index within the block', () => {
    const { activities } = decode([{ logs: [erc20(CAROL, ALICE, 1), {}] }, { logs: [{}, erc20(CAROL, ALICE, 2)] }])
    expect(activities.map(({ logIndex, rawAmount }) => [logIndex, rawAmount])).toEqual([
      [0, 1n],
      [3, 2n],
    ])
  })
})

describe('ERC-1155', () => {
  test.each<[string, Partial<Log>, string[]]>([
    ['a single transfer', single(ALICE, BOB, 7, 30), ['alice TRANSFER_OUT 30 pieces', 'bob TRANSFER_IN 30 pieces']],
    ['a mint', single(ZERO, BOB, 7, 30), ['bob MINT 30 pieces']],
    ['a burn', single(ALICE, ZERO, 7, 30), ['alice BURN 30 pieces']],
    ['to oneself', single(ALICE, ALICE, 7, 30), ['alice TRANSFER_OUT 30 pieces', 'alice TRANSFER_IN 30 pieces']],
    ['the operator is not concerned', single(CAROL, addressOf(9), 7, 30, ALICE), []],
    ['a batch', batch(CAROL, BOB, [7, 8], [30, 0]), ['bob TRANSFER_IN 30 pieces', 'bob TRANSFER_IN 0 pieces']],
    ['a batch of nothing', batch(CAROL, BOB, [], []), []],
    ['a batch among strangers', batch(CAROL, addressOf(9), [7], [30]), []],
  ])('%s', (_name, log, expected) => {
    expect(decodeLog(log)).toMatchObject({ briefs: expected, oddities: [] })
  })

  test('each id of a batch is an item, also where one id comes twice', () => {
    const { activities } = decodeLog(batch(CAROL, BOB, [7, 7, 9], [1, 2, 3]))
    expect(
      activities.map(({ item, rawAmount, metadata }) => [
        item,
        rawAmount,
        metadata['token_id'],
        metadata['batch_index'],
      ]),
    ).toEqual([
      [0, 1n, '7', 0],
      [1, 2n, '7', 1],
      [2, 3n, '9', 2],
    ])
  })

  const indexed = [topic(CAROL), topic(CAROL), topic(BOB)] as const
  const huge = 2n ** 256n - 1n
  test.each<[string, Partial<Log>, string]>([
    ['a single one with a word missing', { topics: [TRANSFER_SINGLE, ...indexed], data: words(7) }, TRANSFER_SINGLE],
    [
      'a single one with a word too many',
      { topics: [TRANSFER_SINGLE, ...indexed], data: words(7, 8, 9) },
      TRANSFER_SINGLE,
    ],
    [
      'a single one with a topic missing',
      { topics: [TRANSFER_SINGLE, topic(CAROL), topic(BOB)], data: words(7, 8) },
      TRANSFER_SINGLE,
    ],
    [
      'a single one to a dirty address',
      { topics: [TRANSFER_SINGLE, topic(CAROL), topic(CAROL), hashOf(huge)], data: words(7, 8) },
      TRANSFER_SINGLE,
    ],
    ['more ids than values', batch(CAROL, BOB, [7, 8], [30]), TRANSFER_BATCH],
    ['more values than ids', batch(CAROL, BOB, [7], [30, 31]), TRANSFER_BATCH],
    ['no data', { topics: [TRANSFER_BATCH, ...indexed], data: '0x' }, TRANSFER_BATCH],
    ['offsets beyond the data', { topics: [TRANSFER_BATCH, ...indexed], data: words(huge, huge) }, TRANSFER_BATCH],
    ['a length beyond the data', { topics: [TRANSFER_BATCH, ...indexed], data: words(64, 64, huge) }, TRANSFER_BATCH],
    [
      'a length of 2^32',
      { topics: [TRANSFER_BATCH, ...indexed], data: words(64, 64, 2n ** 32n, 1, 2) },
      TRANSFER_BATCH,
    ],
    [
      'a cut last word',
      { topics: [TRANSFER_BATCH, ...indexed], data: words(64, 128, 1, 7, 1, 30).slice(0, -2) as Hex },
      TRANSFER_BATCH,
    ],
  ])('%s is counted and passed, at once', (_name, log, topic0) => {
    const started = performance.now()
    expect(decodeLog(log)).toMatchObject({ briefs: [], oddities: [`shape:${topic0}`] })
    expect(performance.now() - started).toBeLessThan(1_000)
  })

  test('a batch of 20,000 ids with a length that is a lie at its very end neither hangs nor throws', () => {
    const many = Array.from({ length: 20_000 }, (_, i) => i)
    const lying = words(64, 64 + 32 * 20_001, 20_000, ...many, 2n ** 64n, ...many)
    const started = performance.now()
    expect(decodeLog({ topics: [TRANSFER_BATCH, ...indexed], data: lying }).oddities).toHaveLength(1)
    expect(performance.now() - started).toBeLessThan(3_000)
  })

  test('both arrays may be the same words', () => {
    const log = { topics: [TRANSFER_BATCH, ...indexed], data: words(64, 64, 2, 5, 6) }
    expect(decodeLog(log).briefs).toEqual(['bob TRANSFER_IN 5 pieces', 'bob TRANSFER_IN 6 pieces'])
  })
})

test('logs of the EIP-7708 address are native value, never rows of a token', () => {
  const log = { ...erc20(ALICE, BOB, 7), address: '0xfffffffffffffffffffffffffffffffffffffffe' as Hex }
  expect(decodeLog(log)).toMatchObject({ briefs: [], oddities: [] })
  expect(decodeLog({ ...log, data: '0x' })).toMatchObject({ briefs: [], oddities: [] })
  expect(decodeLog({ ...log, address: '0xffffffffffffffffffffffffffffffffffffffff' }).briefs).toHaveLength(2)
})

function erc20(from: Hex, to: Hex, value: number): Partial<Log> {
  return { address: TOKEN, topics: [TRANSFER, topic(from), topic(to)], data: words(value) }
}

function erc721(from: Hex, to: Hex, id: number | bigint): Partial<Log> {
  return { address: NFT, topics: [TRANSFER, topic(from), topic(to), hashOf(id)], data: '0x' }
}

function single(from: Hex, to: Hex, id: number, value: number, operator: Hex = CAROL): Partial<Log> {
  return { topics: [TRANSFER_SINGLE, topic(operator), topic(from), topic(to)], data: words(id, value) }
}

function batch(from: Hex, to: Hex, ids: readonly number[], values: readonly number[]): Partial<Log> {
  const data = words(64, 64 + 32 * (ids.length + 1), ids.length, ...ids, values.length, ...values)
  return { topics: [TRANSFER_BATCH, topic(CAROL), topic(from), topic(to)], data }
}
