import { expect, test } from 'vitest'
import { activityIdName } from '../../../src/core/attribute.ts'
import { decodeBlock } from '../../../src/core/decode/block.ts'
import { authoritiesOf } from '../../../src/core/decode/delegation.ts'
import { TRANSFER, TRANSFER_BATCH } from '../../../src/core/decode/transfer.ts'
import type { Address, Log } from '../../../src/core/types.ts'
import { ALICE, BOB, blockOf, brief, CAROL, decode, hashOf, words } from '../support/build.ts'
import { atLeast, fc } from '../support/property.ts'
import { PEOPLE, RULED, randomPart } from '../support/random-block.ts'

test('nothing in a block can stop it, rows are only of tracked wallets, and no two have the same id', () => {
  const seen = new Set<string>()
  fc.assert(
    fc.property(fc.array(randomPart, { maxLength: 4 }), fc.subarray(PEOPLE), fc.boolean(), (parts, tracked, known) => {
      const block = blockOf(parts)
      const isTracked = (address: Address) => tracked.includes(address)
      const nonces = new Map(authoritiesOf(block, 1, isTracked).map(address => [address, known ? 3 : null]))
      const { activities, oddities } = decodeBlock(block, RULED, isTracked, nonces)
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
          RULED,
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
