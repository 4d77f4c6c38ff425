/**
 * Random blocks of a few people, in which everything that means something happens, and much that does not.
 */

import { APPROVAL, APPROVAL_FOR_ALL } from '../../../src/core/decode/approval.ts'
import { TRANSFER, TRANSFER_BATCH, TRANSFER_SINGLE } from '../../../src/core/decode/transfer.ts'
import type { Address, Hash, Hex, Log } from '../../../src/core/types.ts'
import {
  ALICE,
  addressOf,
  BOB,
  CAROL,
  CONTRACT,
  chainOf,
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
} from './build.ts'
import { fc } from './property.ts'

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
/** With rules for Staking, and tokens listed. */
export const RULED = chainOf({ tokens: tokensOf(GOLD, KITTY), rules: rulesOf(...RULES) })
const TOPICS = [
  TRANSFER,
  TRANSFER_SINGLE,
  TRANSFER_BATCH,
  APPROVAL,
  APPROVAL_FOR_ALL,
  ...RULES.map(rule => rule.topic0),
]
export const PEOPLE = [ALICE, BOB, CAROL, ZERO]
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
/** A transaction with its receipt and logs. */
export const randomPart: fc.Arbitrary<Part> = fc.record({
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
