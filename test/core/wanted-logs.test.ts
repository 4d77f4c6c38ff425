/**
 * Which logs are asked for, and which of them concern the wallets: whatever the decoder would make an activity of is among them.
 */

import { describe, expect, test } from 'vitest'
import type { EventRule } from '../../src/core/chain.ts'
import { TRANSFER } from '../../src/core/decode/transfer.ts'
import type { Hash, Hex, Log } from '../../src/core/types.ts'
import { topicOf, wantedLogs } from '../../src/core/wanted-logs.ts'
import {
  ALICE,
  BOB,
  CAROL,
  CONTRACT,
  chainOf,
  decode,
  KITTY,
  ruleOf,
  rulesOf,
  TOKEN,
  tokensOf,
  words,
} from './support/build.ts'
import { fc } from './support/property.ts'

const INDEXED = ruleOf('Staked(address indexed user, uint256 amount)')
const IN_DATA = ruleOf('Tipped(address from, address indexed user, uint256 amount)', {
  activities: [{ wallet: { parameter: 'from' }, type: 'TIP', eventType: 'TIP' }],
})
const BY_SENDER = ruleOf('Paused()', { activities: [{ wallet: 'tx.from', type: 'PAUSE', eventType: 'ADMIN' }] })
const OLD_TRANSFER = ruleOf('Transfer(address from, address to, uint256 tokenId)', {
  activities: [{ wallet: { parameter: 'to' }, type: 'TRANSFER_IN', eventType: 'TRANSFER' }],
})
const chainWith = (...rules: readonly EventRule[]) => chainOf({ tokens: tokensOf(KITTY), rules: rulesOf(...rules) })

const logOf = (topics: readonly Hash[], data: Hex = '0x', address: Hex = CONTRACT): Log => ({
  address,
  topics,
  data,
  logIndex: 0,
})

test('an address stands in a topic as it stands in a word', () => {
  expect(topicOf(ALICE)).toBe(words(ALICE))
})

describe('events of contracts are asked for', () => {
  test('where a wallet may stand in the data, and not where it is in a topic or sent the transaction', () => {
    expect(wantedLogs(chainWith(INDEXED, BY_SENDER), [ALICE]).events).toEqual([])
    expect(wantedLogs(chainWith(INDEXED, IN_DATA, BY_SENDER), [ALICE]).events).toEqual([
      { address: CONTRACT, topic0: IN_DATA.topic0 },
    ])
  })

  test('and concern a wallet that stands in their data', () => {
    const { concerns } = wantedLogs(chainWith(IN_DATA), [ALICE])
    const tipped = (from: Hex, to: Hex) => logOf([IN_DATA.topic0, topicOf(to)], words(from, 7))
    expect(concerns(tipped(ALICE, BOB), 100)).toBe(true)
    expect(concerns(tipped(BOB, ALICE), 100)).toBe(true)
    expect(concerns(tipped(BOB, CAROL), 100)).toBe(false)
    // Of another contract it is not known what its data means, and it was not asked for.
    expect(concerns({ ...tipped(ALICE, BOB), address: TOKEN }, 100)).toBe(false)
  })

  test('also old transfers that index nothing, whichever side the rule names', () => {
    const { concerns } = wantedLogs(chainWith(OLD_TRANSFER), [ALICE])
    expect(concerns(logOf([TRANSFER], words(ALICE, BOB, 7)), 100)).toBe(true)
    expect(concerns(logOf([TRANSFER], words(BOB, ALICE, 7)), 100)).toBe(true)
    expect(concerns(logOf([TRANSFER], words(BOB, CAROL, 7)), 100)).toBe(false)
  })
})

test('whatever gives a wallet an activity by a log was asked for', () => {
  const chain = chainWith(INDEXED, IN_DATA, OLD_TRANSFER)
  const party = fc.constantFrom(ALICE, BOB, CAROL)
  const some = fc.oneof(
    fc.tuple(party, party).map(([from, to]) => logOf([TRANSFER, topicOf(from), topicOf(to)], words(5), TOKEN)),
    fc.tuple(party, party).map(([from, to]) => logOf([TRANSFER, topicOf(from), topicOf(to), words(9)], '0x', TOKEN)),
    fc.tuple(party, party).map(([from, to]) => logOf([TRANSFER], words(from, to, 5))),
    party.map(user => logOf([INDEXED.topic0, topicOf(user)], words(5))),
    fc.tuple(party, party).map(([from, to]) => logOf([IN_DATA.topic0, topicOf(to)], words(from, 5))),
  )
  fc.assert(
    fc.property(some, party, (log, wallet) => {
      const { activities } = decode(
        [{ transaction: { from: '0x99', to: CONTRACT, input: '0x12345678' }, logs: [log] }],
        {
          chain,
          header: { number: 100 },
        },
      )
      const isNamed = activities.some(each => each.logIndex !== null && each.wallet === wallet)
      if (isNamed) expect(wantedLogs(chain, [wallet]).concerns(log, 100)).toBe(true)
    }),
  )
})
