import { describe, expect, test } from 'vitest'
import type { Address } from '../../../src/core/types.ts'
import { ALICE, addressOf, BOB, brief, CAROL, CONTRACT, decode, type Part } from '../support/build.ts'

const CREATED = addressOf(0xc4ea7ed)

const cases: [string, Part, string[]][] = [
  ['value out', { transaction: { from: ALICE, to: CAROL, value: 5n } }, ['alice TRANSFER_OUT 5 native']],
  ['value in', { transaction: { from: CAROL, to: ALICE, value: 5n } }, ['alice TRANSFER_IN 5 native']],
  [
    'value between two tracked wallets',
    { transaction: { from: ALICE, to: BOB, value: 5n } },
    ['alice TRANSFER_OUT 5 native', 'bob TRANSFER_IN 5 native'],
  ],
  [
    'value to oneself',
    { transaction: { from: ALICE, to: ALICE, value: 5n } },
    ['alice TRANSFER_OUT 5 native', 'alice TRANSFER_IN 5 native'],
  ],
  ['no value, no calldata', { transaction: { from: ALICE, to: CAROL } }, ['alice CONTRACT_INTERACTION']],
  ['no value to oneself (a cancellation)', { transaction: { from: ALICE, to: ALICE } }, ['alice CONTRACT_INTERACTION']],
  ['no value, received', { transaction: { from: CAROL, to: ALICE } }, []],
  ['calldata, received', { transaction: { from: CAROL, to: ALICE, input: '0x12345678' } }, []],
  [
    'value with calldata',
    { transaction: { from: ALICE, to: CONTRACT, value: 5n, input: '0xd0e30db0' } },
    ['alice CONTRACT_INTERACTION', 'alice TRANSFER_OUT 5 native'],
  ],
  ['calldata alone', { transaction: { from: ALICE, input: '0x12345678abcd' } }, ['alice CONTRACT_INTERACTION']],
  [
    'a creation',
    { transaction: { from: ALICE, to: null, input: '0x6000' }, receipt: { contractAddress: CREATED } },
    ['alice CONTRACT_DEPLOYMENT'],
  ],
  [
    'a creation with value',
    { transaction: { from: ALICE, to: null, input: '0x6000', value: 5n }, receipt: { contractAddress: CREATED } },
    ['alice CONTRACT_DEPLOYMENT', 'alice TRANSFER_OUT 5 native'],
  ],
  [
    'a creation whose value goes to a tracked address',
    { transaction: { from: CAROL, to: null, input: '0x6000', value: 5n }, receipt: { contractAddress: BOB } },
    ['bob TRANSFER_IN 5 native'],
  ],
  [
    'reverted, with value and calldata',
    { transaction: { from: ALICE, to: BOB, value: 5n, input: '0x12345678' }, receipt: { succeeded: false } },
    ['alice TRANSACTION_REVERTED'],
  ],
  [
    'a creation that reverted',
    { transaction: { from: ALICE, to: null, value: 5n }, receipt: { succeeded: false, contractAddress: CREATED } },
    ['alice TRANSACTION_REVERTED'],
  ],
  ['a stranger’s, reverted', { transaction: { from: CAROL, to: BOB, value: 5n }, receipt: { succeeded: false } }, []],
  ['between strangers', { transaction: { from: CAROL, to: CONTRACT, value: 5n } }, []],
]

test.each(cases)('%s', (_name, part, expected) => {
  const { activities, oddities } = decode([part])
  expect(activities.map(brief)).toEqual(expected)
  expect(activities.every(({ logIndex, item, rule }) => logIndex === null && item === 0 && rule === null)).toBe(true)
  expect(oddities).toEqual([])
})

test.each<[string, string | null]>([
  ['0x', null],
  ['0x12', null],
  ['0x123456', null],
  ['0x12345678', '0x12345678'],
  ['0x12345678ff', '0x12345678'],
])('calldata %s has the selector %s', (input, selector) => {
  const { activities } = decode([{ transaction: { from: ALICE, to: CONTRACT, input: input as Address } }])
  expect(activities).toMatchObject([{ type: 'CONTRACT_INTERACTION', metadata: { to: CONTRACT, selector } }])
})

test('the metadata says who is on the other side and what was made', () => {
  expect(metadataOf({ transaction: { from: ALICE, to: BOB, value: 1n } })).toEqual([
    { counterparty: BOB },
    { counterparty: ALICE },
  ])
  expect(
    metadataOf({ transaction: { from: ALICE, to: null, value: 1n }, receipt: { contractAddress: CREATED } }),
  ).toEqual([{ contract: CREATED }, { counterparty: CREATED }])
  expect(metadataOf({ transaction: { from: ALICE }, receipt: { succeeded: false } })).toEqual([{ to: CONTRACT }])
})

describe('before receipts had a status', () => {
  const transaction = { from: ALICE, to: BOB, value: 5n, gas: 90_000n }
  test.each<[string, Part, string[], string[]]>([
    [
      'gas left over proves success',
      { transaction, receipt: { succeeded: null, gasUsed: 89_999n } },
      ['alice TRANSFER_OUT 5 native', 'bob TRANSFER_IN 5 native'],
      [],
    ],
    [
      'a log proves success',
      { transaction, receipt: { succeeded: null, gasUsed: 90_000n }, logs: [{}] },
      ['alice TRANSFER_OUT 5 native', 'bob TRANSFER_IN 5 native'],
      [],
    ],
    [
      'all gas used and no log prove nothing',
      { transaction, receipt: { succeeded: null, gasUsed: 90_000n } },
      [],
      ['unknown-outcome'],
    ],
    [
      'nothing is counted for strangers',
      { transaction: { ...transaction, from: CAROL, to: CONTRACT }, receipt: { succeeded: null, gasUsed: 90_000n } },
      [],
      [],
    ],
    [
      'what was sent to a tracked wallet is counted too',
      { transaction: { ...transaction, from: CAROL }, receipt: { succeeded: null, gasUsed: 90_000n } },
      [],
      ['unknown-outcome'],
    ],
  ])('%s', (_name, part, expected, odd) => {
    const { activities, oddities } = decode([part])
    expect(activities.map(brief)).toEqual(expected)
    expect(oddities.map(({ kind }) => kind)).toEqual(odd)
  })
})

function metadataOf(part: Part) {
  return decode([part]).activities.map(({ metadata }) => metadata)
}
