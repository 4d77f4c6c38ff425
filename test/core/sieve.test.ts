import { describe, expect, test } from 'vitest'
import { activityRows, transactionFacts } from '../../src/core/attribute.ts'
import { APPROVAL } from '../../src/core/decode/approval.ts'
import { decodeBlock } from '../../src/core/decode/block.ts'
import { authoritiesOf } from '../../src/core/decode/delegation.ts'
import { TRANSFER } from '../../src/core/decode/transfer.ts'
import { createdContract, type Interest, interestOf } from '../../src/core/interest.ts'
import { sieveBlock } from '../../src/core/sieve.ts'
import type { Address, Block, Hash } from '../../src/core/types.ts'
import {
  ALICE,
  BOB,
  blockOf,
  CAROL,
  CONTRACT,
  chainOf,
  hashOf,
  type Part,
  ruleOf,
  rulesOf,
  words,
} from './support/build.ts'
import { atLeast, fc } from './support/property.ts'
import { PEOPLE, RULED, randomPart } from './support/random-block.ts'

/** Everything that is written of a block. */
function rowsOf(
  block: Block,
  tracked: readonly Address[],
  sought: ReadonlySet<Hash>,
  nonces: ReadonlyMap<Address, number | null>,
) {
  const isTracked = (address: Address) => tracked.includes(address)
  const { activities } = decodeBlock(block, RULED, isTracked, nonces)
  const ownerOf = (address: Address) => (isTracked(address) ? `the user of ${address}` : null)
  const rows = activityRows(block, activities, RULED, ownerOf, () => 18)
  return { rows, facts: transactionFacts(block, rows, RULED, ownerOf, hash => sought.has(hash)) }
}

test('what is left of a block gives the rows that all of it would give', () => {
  let left = 0
  let all = 0
  fc.assert(
    fc.property(
      fc.array(randomPart, { maxLength: 6 }),
      fc.subarray(PEOPLE),
      fc.subarray([hashOf(0x1000), hashOf(0x1002)]),
      fc.boolean(),
      (parts, tracked, hashes, known) => {
        const block = blockOf(parts)
        const sought = new Set(hashes)
        const isTracked = (address: Address) => tracked.includes(address)
        const interest = interestOf({ wallet: isTracked, transaction: hash => sought.has(hash), rules: RULED.rules })
        const sieved = sieveBlock(block, interest)
        const nonces = new Map(authoritiesOf(block, 1, isTracked).map(address => [address, known ? 3 : null]))
        expect(authoritiesOf(sieved, 1, isTracked)).toEqual([...nonces.keys()])
        expect(rowsOf(sieved, tracked, sought, nonces)).toEqual(rowsOf(block, tracked, sought, nonces))
        // Sieving again, for fewer, is sieving for fewer.
        const fewer = interestOf({
          wallet: address => address === tracked[0],
          transaction: () => false,
          rules: RULED.rules,
        })
        expect(sieveBlock(sieved, fewer)).toEqual(sieveBlock(block, fewer))
        left += sieved.transactions.length
        all += block.transactions.length
      },
    ),
    atLeast(1_000),
  )
  expect(left).toBeLessThan(all)
})

const topic = (address: Address) => hashOf(BigInt(address))

describe('a transaction is kept', () => {
  const rule = ruleOf('Moved(uint256 amount, address user)')
  const chain = chainOf({ rules: rulesOf(rule) })
  const interest: Interest = interestOf({
    wallet: address => address === ALICE,
    transaction: hash => hash === hashOf(0x50),
    rules: chain.rules,
  })
  const isKept = (part: Part) => sieveBlock(blockOf([part]), interest).transactions.length === 1
  const authorization = { chainId: 1n, delegate: CAROL, nonce: 0n, authority: ALICE }

  test.each<[string, Part]>([
    ['that a tracked wallet sent', { transaction: { from: ALICE } }],
    ['that calls one', { transaction: { to: ALICE } }],
    ['in which one delegates', { transaction: { authorizations: [authorization] } }],
    ['that somebody asked about', { transaction: { hash: hashOf(0x50) } }],
    ['that created one', { transaction: { to: null }, receipt: { contractAddress: ALICE } }],
    [
      'with a log of any event whose topics name one',
      { logs: [{}, { topics: [hashOf(1), hashOf(2), hashOf(3), topic(ALICE)] }] },
    ],
    ['with an old Transfer that has both in the data', { logs: [{ topics: [TRANSFER], data: words(BOB, ALICE, 1) }] }],
    [
      'with an old Approval that has one in the data',
      { logs: [{ topics: [APPROVAL, topic(BOB)], data: words(ALICE, 1) }] },
    ],
    [
      'with a log under a rule that names one in its data',
      { logs: [{ address: CONTRACT, topics: [rule.topic0], data: words(1, ALICE) }] },
    ],
  ])('%s', (_what, part) => {
    expect(isKept(part)).toBe(true)
  })

  test.each<[string, Part]>([
    ['between strangers', { transaction: { from: BOB, to: CAROL, value: 9n } }],
    ['whose first topic happens to be a wallet', { logs: [{ topics: [topic(ALICE)] }] }],
    [
      'with data in which a wallet stands at no word',
      { logs: [{ topics: [TRANSFER], data: `0x00${words(BOB, ALICE).slice(2)}` }] },
    ],
    ['of another event with a wallet in its data', { logs: [{ topics: [hashOf(1)], data: words(ALICE) }] }],
    [
      'of a ruled contract, with another event',
      { logs: [{ address: CONTRACT, topics: [hashOf(1)], data: words(ALICE) }] },
    ],
    ['with an authorization of nobody', { transaction: { authorizations: [{ ...authorization, authority: null }] } }],
  ])('and not one %s', (_what, part) => {
    expect(isKept(part)).toBe(false)
  })

  test('for the contract that it creates, by the address that sender and nonce give it', () => {
    const transaction = { to: null, from: BOB, nonce: 3 } as const
    const created = createdContract(transaction)
    const own = interestOf({ wallet: address => address === created, transaction: () => false })
    expect(sieveBlock(blockOf([{ transaction }]), own).transactions).toHaveLength(1)
  })

  test('with all that belongs to it, and its index', () => {
    const log = { topics: [TRANSFER, topic(BOB), topic(ALICE)], data: words(1) }
    const { transactions, receipts } = sieveBlock(blockOf([{}, { logs: [{}, log, {}] }, {}]), interest)
    expect(transactions.map(({ index }) => index)).toEqual([1])
    expect(receipts.map(({ transactionIndex, logs }) => [transactionIndex, logs.length])).toEqual([[1, 3]])
  })
})
