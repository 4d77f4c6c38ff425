import { describe, expect, test } from 'vitest'
import { activityIdName, activityRows, transactionFacts, unlistedTokens } from '../../src/core/attribute.ts'
import type { Activity, Address } from '../../src/core/types.ts'
import {
  ALICE,
  BOB,
  blockOf,
  CAROL,
  CONTRACT,
  chainOf,
  GOLD,
  hashOf,
  KITTY,
  NFT,
  TOKEN,
  tokensOf,
} from './support/build.ts'

const chain = chainOf({ id: 11155111, tokens: tokensOf(GOLD, KITTY) })
const ownerOf = (wallet: Address) => (wallet === ALICE ? 'alice' : null)
const activity = (changes: Partial<Activity> = {}): Activity => ({
  wallet: ALICE,
  type: 'TRANSFER_IN',
  transactionHash: hashOf(0x1000),
  logIndex: 3,
  item: 0,
  asset: null,
  rawAmount: null,
  metadata: {},
  rule: null,
  ...changes,
})
const rowFor = (changes: Partial<Activity>, decimals: number | null = 8) =>
  activityRows(blockOf([{}]), [activity(changes)], chain, ownerOf, () => decimals)[0]

describe('amount and token of a row', () => {
  test.each<[string, Partial<Activity>, number | null, object]>([
    ['nothing counted', {}, 8, { amount: null, rawAmount: null, token: null, tokenAddress: null }],
    [
      'native',
      { asset: { kind: 'native' }, rawAmount: 10n ** 17n },
      8,
      { amount: '0.1', rawAmount: 10n ** 17n, token: 'ETH', tokenAddress: null },
    ],
    [
      'a listed token has its symbol, and the decimals of the file',
      { asset: { kind: 'erc20', address: TOKEN }, rawAmount: 1_500_000n },
      8,
      { amount: '1.5', token: 'GLD', tokenAddress: TOKEN },
    ],
    [
      'another token has its address, and the decimals that it says',
      { asset: { kind: 'erc20', address: CONTRACT }, rawAmount: 150_000_000n },
      8,
      { amount: '1.5', token: CONTRACT, tokenAddress: CONTRACT },
    ],
    [
      'a token that says no decimals has no amount',
      { asset: { kind: 'erc20', address: CONTRACT }, rawAmount: 150n },
      null,
      { amount: null, rawAmount: 150n, token: CONTRACT },
    ],
    [
      'too much for the column',
      { asset: { kind: 'native' }, rawAmount: 10n ** 30n },
      8,
      { amount: null, rawAmount: 10n ** 30n, token: 'ETH' },
    ],
    [
      'pieces are counted whole',
      { asset: { kind: 'pieces', address: CONTRACT }, rawAmount: 3n },
      8,
      { amount: '3', token: CONTRACT, tokenAddress: CONTRACT },
    ],
    ['listed pieces', { asset: { kind: 'pieces', address: NFT }, rawAmount: 1n }, 8, { amount: '1', token: 'CK' }],
    [
      'an unlimited allowance is no amount, though it would fit',
      { asset: { kind: 'erc20', address: CONTRACT }, rawAmount: 2n ** 96n, metadata: { unlimited: true } },
      18,
      { amount: null, rawAmount: 2n ** 96n },
    ],
    [
      'a token without an amount is still named',
      { asset: { kind: 'pieces', address: NFT }, rawAmount: null },
      8,
      { amount: null, rawAmount: null, token: 'CK', tokenAddress: NFT },
    ],
  ])('%s', (_name, changes, decimals, expected) => {
    expect(rowFor(changes, decimals)).toMatchObject(expected)
  })
})

test('a row says where it happened and whose it is, if it is a user’s', () => {
  expect(rowFor({})).toMatchObject({
    walletAddress: ALICE,
    userId: 'alice',
    activityType: 'TRANSFER_IN',
    chainId: 11155111,
    blockNumber: 100,
    blockHash: hashOf(0xb10c),
    logIndex: 3,
    timestamp: 1_700_000_000,
  })
  expect(rowFor({ wallet: BOB })).toMatchObject({ walletAddress: BOB, userId: null })
})

test('the decimals of unlisted ERC-20 tokens must be asked for, each once', () => {
  const assets: Activity['asset'][] = [
    { kind: 'erc20', address: TOKEN },
    { kind: 'erc20', address: CONTRACT },
    { kind: 'erc20', address: CONTRACT },
    { kind: 'pieces', address: BOB },
    { kind: 'native' },
    null,
  ]
  const activities = assets.map(asset => activity({ asset }))
  expect(unlistedTokens(activities, chain)).toEqual([CONTRACT])
})

describe('the id of a row', () => {
  test('is made of chain, block, transaction, position, item, wallet and activity, in this form for ever', () => {
    expect(nameOf()).toBe(`1:${hashOf(1)}:${hashOf(0x1000)}:3:0:${ALICE}:TRANSFER_IN`)
    expect(nameOf({ logIndex: null, item: 2 })).toBe(`1:${hashOf(1)}:${hashOf(0x1000)}:tx:2:${ALICE}:TRANSFER_IN`)
  })

  test('changes with each of them, and with nothing else', () => {
    const names = [
      nameOf(),
      nameOf({}, 2),
      nameOf({}, 1, hashOf(2)),
      nameOf({ transactionHash: hashOf(2) }),
      nameOf({ logIndex: 4 }),
      nameOf({ logIndex: null }),
      nameOf({ item: 1 }),
      nameOf({ wallet: BOB }),
      nameOf({ type: 'TRANSFER_OUT' }),
    ]
    expect(new Set(names).size).toBe(names.length)
    expect(nameOf({ metadata: { a: 1 }, rawAmount: 5n, asset: { kind: 'native' } })).toBe(nameOf())
  })
})

describe('what is known of the transactions of a block', () => {
  const block = blockOf([
    { transaction: { from: CAROL, nonce: 4 } },
    { transaction: { from: ALICE, nonce: 5 }, receipt: { succeeded: false } },
    { transaction: { from: BOB }, receipt: { succeeded: null, gasUsed: 100_000n } },
    { transaction: { from: BOB }, receipt: { succeeded: null, gasUsed: 1n } },
  ])
  const rows = activityRows(
    block,
    [activity({ transactionHash: hashOf(0x1001), type: 'TRANSACTION_REVERTED', logIndex: null })],
    chain,
    ownerOf,
    () => null,
  )

  test('is told of those in which a tracked wallet takes part', () => {
    expect(transactionFacts(block, rows, chain, ownerOf, () => false)).toEqual([
      {
        inclusion: {
          transactionHash: hashOf(0x1001),
          chainId: 11155111,
          blockNumber: 100,
          blockHash: hashOf(0xb10c),
          transactionIndex: 1,
          timestamp: 1_700_000_000,
          sender: ALICE,
          nonce: 5,
          succeeded: false,
          needs: null,
        },
        summaries: [
          {
            userId: 'alice',
            eventType: 'TRANSACTION_REVERTED',
            amount: null,
            rawAmount: null,
            token: null,
            tokenAddress: null,
          },
        ],
      },
    ])
  })

  test('is told of those of watched wallets too, who may be users tomorrow', () => {
    const facts = transactionFacts(
      block,
      rows,
      chain,
      () => null,
      () => false,
    )
    expect(facts).toMatchObject([{ inclusion: { transactionHash: hashOf(0x1001) }, summaries: [] }])
  })

  test('is told of those that the application asked about, whoever takes part', () => {
    const sought = new Set([hashOf(0x1000), hashOf(0x1002), hashOf(0x1003)])
    const facts = transactionFacts(block, [], chain, ownerOf, hash => sought.has(hash))
    expect(
      facts.map(({ inclusion, summaries }) => [inclusion.transactionHash, inclusion.succeeded, summaries]),
    ).toEqual([
      [hashOf(0x1000), true, []],
      [hashOf(0x1002), null, []],
      [hashOf(0x1003), true, []],
    ])
  })
})

function nameOf(changes: Partial<Activity> = {}, chainId = 1, block = hashOf(1)): string {
  return activityIdName(chainId, block, activity(changes))
}
