import { expect, test } from 'vitest'
import { activityIdName } from '../../../src/core/attribute.ts'
import { APPROVAL, APPROVAL_FOR_ALL } from '../../../src/core/decode/approval.ts'
import { decodeBlock } from '../../../src/core/decode/block.ts'
import { authoritiesOf } from '../../../src/core/decode/delegation.ts'
import { TRANSFER, TRANSFER_BATCH, TRANSFER_SINGLE } from '../../../src/core/decode/transfer.ts'
import type { Address, Hash, Hex, Log } from '../../../src/core/types.ts'
import {
  ALICE,
  addressOf,
  BOB,
  blockOf,
  brief,
  CAROL,
  CONTRACT,
  chainOf,
  decode,
  GOLD,
  hashOf,
  KITTY,
  NFT,
  type Part,
  ruleOf,
  rulesOf,
  TOKEN,
  tokensOf,
  words,
  ZERO,
} from '../support/build.ts'
import { atLeast, fc } from '../support/property.ts'

const RULES = [
  ruleOf('Staked(address indexed user, uint256 amount)', {
    amount: 'amount',
    token: { kind: 'address', address: TOKEN },
  }),
  ruleOf('Note(address indexed user, string text, bytes32[] more)', { ids: ['text', 'more'], order: 1 }),
  ruleOf('Transfer(address indexed user, address indexed to, uint256 value)', {
    order: 2,
    activities: [
      { wallet: { parameter: 'user' }, type: 'TRANSFER_OUT', eventType: 'SENT' },
      { wallet: { parameter: 'to' }, type: 'GOT', eventType: 'GOT' },
      { wallet: 'tx.from', type: 'RELAYED', eventType: 'RELAYED' },
    ],
  }),
]
const chain = chainOf({ tokens: tokensOf(GOLD, KITTY), rules: rulesOf(...RULES) })
const TOPICS = [
  TRANSFER,
  TRANSFER_SINGLE,
  TRANSFER_BATCH,
  APPROVAL,
  APPROVAL_FOR_ALL,
  ...RULES.map(rule => rule.topic0),
]
const PEOPLE = [ALICE, BOB, CAROL, ZERO]
const LOGGER: Address = '0xfffffffffffffffffffffffffffffffffffffffe'

const word = fc.oneof(
  fc.constantFrom(...PEOPLE.map(address => BigInt(address))),
  fc.constantFrom(0n, 1n, 32n, 64n, 96n, 128n, 2n ** 32n, 2n ** 64n, 2n ** 255n, 2n ** 256n - 1n),
  fc.bigInt({ min: 0n, max: 2n ** 256n - 1n }),
)
const topics = fc
  .tuple(fc.oneof(fc.constantFrom(...TOPICS), word.map(hashOf)), fc.array(word.map(hashOf), { maxLength: 3 }))
  .map(([first, rest]): Hash[] => [first, ...rest])
const data: fc.Arbitrary<Hex> = fc.oneof(
  fc.array(word, { maxLength: 8 }).map(values => words(...values)),
  fc.uint8Array({ maxLength: 200 }).map((bytes): Hex => `0x${Buffer.from(bytes).toString('hex')}`),
)
const person = fc.constantFrom(...PEOPLE).map(address => hashOf(BigInt(address)))
/** Logs that mean something, as most on a chain do. */
const sensible: fc.Arbitrary<Partial<Log>> = fc.record({
  address: fc.constantFrom(TOKEN, NFT, CONTRACT),
  topics: fc
    .tuple(fc.constantFrom(...TOPICS), fc.array(person, { maxLength: 3 }))
    .map(([first, rest]) => [first, ...rest]),
  data: fc.array(word, { maxLength: 2 }).map(values => words(...values)),
})
const wild: fc.Arbitrary<Partial<Log>> = fc.record({
  address: fc.constantFrom(TOKEN, NFT, CONTRACT, LOGGER, addressOf(0x123)),
  topics: fc.oneof({ weight: 9, arbitrary: topics }, { weight: 1, arbitrary: fc.constant<Hash[]>([]) }),
  data,
})
const log = fc.oneof(sensible, wild)
const authorization = fc.record({
  chainId: fc.constantFrom(0n, 1n, 2n),
  delegate: fc.constantFrom(...PEOPLE),
  nonce: fc.bigInt({ min: 0n, max: 9n }),
  authority: fc.constantFrom(...PEOPLE, null),
})
const part: fc.Arbitrary<Part> = fc.record({
  transaction: fc.record({
    from: fc.constantFrom(...PEOPLE),
    to: fc.constantFrom(...PEOPLE, CONTRACT, null),
    value: fc.constantFrom(0n, 5n),
    input: fc.constantFrom<Hex>('0x', '0x12', '0x12345678ff'),
    authorizations: fc.array(authorization, { maxLength: 3 }),
  }),
  receipt: fc.record({
    succeeded: fc.constantFrom(true, true, false, null),
    contractAddress: fc.constantFrom(...PEOPLE, null),
  }),
  logs: fc.array(log, { maxLength: 6 }),
})

test('nothing in a block can stop it, rows are only of tracked wallets, and no two have the same id', () => {
  const seen = new Set<string>()
  fc.assert(
    fc.property(fc.array(part, { maxLength: 4 }), fc.subarray(PEOPLE), fc.boolean(), (parts, tracked, known) => {
      const block = blockOf(parts)
      const isTracked = (address: Address) => tracked.includes(address)
      const nonces = new Map(authoritiesOf(block, 1, isTracked).map(address => [address, known ? 3 : null]))
      const { activities, oddities } = decodeBlock(block, chain, isTracked, nonces)
      for (const { wallet, rawAmount, type } of activities) {
        expect(tracked).toContain(wallet)
        if (rawAmount !== null) expect(rawAmount >= 0n && rawAmount < 2n ** 256n).toBe(true)
        seen.add(type)
      }
      const names = activities.map(activity => activityIdName(1, block.hash, activity))
      expect(new Set(names).size).toBe(names.length)
      const logs = block.receipts.flatMap(receipt => receipt.logs)
      for (const { logIndex } of oddities) expect(logIndex === null || logs[logIndex] !== undefined).toBe(true)
      // Who is watched changes what is shown, never what is: each wallet's rows are those that it would have alone.
      for (const wallet of tracked) {
        const alone = decodeBlock(
          block,
          chain,
          address => address === wallet,
          new Map([...nonces].filter(([who]) => who === wallet)),
        )
        expect(alone.activities).toEqual(activities.filter(activity => activity.wallet === wallet))
      }
    }),
    atLeast(1_000),
  )
  // The random blocks do reach every kind of row.
  expect([...seen].toSorted()).toEqual([
    'APPROVAL',
    'BURN',
    'CONTRACT_DEPLOYMENT',
    'CONTRACT_INTERACTION',
    'DELEGATION',
    'GOT',
    'MINT',
    'RELAYED',
    'STAKE',
    'TRANSACTION_REVERTED',
    'TRANSFER_IN',
    'TRANSFER_OUT',
  ])
})

test('rows come by transaction, the transaction itself before its logs', () => {
  const transfer = { topics: [TRANSFER, hashOf(BigInt(CAROL)), hashOf(BigInt(ALICE))], data: words(1) }
  const { activities } = decode([
    { transaction: { from: BOB }, logs: [transfer] },
    { transaction: { from: ALICE }, logs: [transfer, transfer] },
  ])
  expect(activities.map(activity => `${brief(activity)} at ${activity.logIndex}`)).toEqual([
    'bob CONTRACT_INTERACTION at null',
    'alice TRANSFER_IN 1 erc20 at 0',
    'alice CONTRACT_INTERACTION at null',
    'alice TRANSFER_IN 1 erc20 at 1',
    'alice TRANSFER_IN 1 erc20 at 2',
  ])
})

test('a log without topics concerns nobody', () => {
  expect(decode([{ logs: [{ topics: [], data: words(ALICE, BOB, 1) }] }])).toEqual({ activities: [], oddities: [] })
})

test('a batch of 150,000 pieces is that many rows', () => {
  const count = 150_000
  const array = words(count).slice(2) + words(1).slice(2).repeat(count)
  const batch: Partial<Log> = {
    topics: [TRANSFER_BATCH, hashOf(BigInt(CAROL)), hashOf(BigInt(CAROL)), hashOf(BigInt(ALICE))],
    data: `${words(64, 64 + 32 * (count + 1))}${array}${array}`,
  }
  expect(decode([{ logs: [batch] }]).activities).toHaveLength(count)
})
