import { describe, expect, test } from 'vitest'
import { activityRows, transactionFacts } from '../../src/core/attribute.ts'
import { type ClassifiedRow, summarizeUsers } from '../../src/core/classify.ts'
import { TRANSFER } from '../../src/core/decode/transfer.ts'
import type { Address } from '../../src/core/types.ts'
import {
  ALICE,
  addressOf,
  BOB,
  blockOf,
  CAROL,
  CONTRACT,
  chainOf,
  decode,
  hashOf,
  type Part,
  rowOf,
  ruleOf,
  rulesOf,
  words,
} from './support/build.ts'
import { atLeast, fc } from './support/property.ts'

const USERS = new Map<Address, string>([
  [ALICE, 'alice'],
  [BOB, 'bob'],
])
const ownerOf = (wallet: Address) => USERS.get(wallet) ?? null

const FIRST_RULE = ruleOf('Staked(address indexed user, uint256 amount)', { order: 0 })
const SECOND_RULE = ruleOf('Voted(address indexed user, address indexed by)', {
  order: 1,
  activities: [
    { wallet: { parameter: 'user' }, type: 'VOTE', eventType: 'GOVERNANCE_VOTE' },
    { wallet: { parameter: 'by' }, type: 'DELEGATED_VOTE', eventType: 'DELEGATED_VOTE' },
  ],
})
const chain = chainOf({ rules: rulesOf(FIRST_RULE, SECOND_RULE) })

const summarize = (rows: readonly ClassifiedRow[], sender: Address = CAROL) =>
  summarizeUsers(rows, sender, chain, ownerOf)
const typeOf = (rows: readonly ClassifiedRow[]) => summarize(rows)[0]?.eventType

const stake = { activityType: 'STAKE', metadata: { contract: 'Staking', event: 'Staked' } }
const vote = { activityType: 'VOTE', metadata: { contract: 'Staking', event: 'Voted' } }
const delegatedVote = { activityType: 'DELEGATED_VOTE', metadata: { contract: 'Staking', event: 'Voted' } }
const retired = { activityType: 'OLD', metadata: { contract: 'Gone', event: 'Gone' } }

/** The order of the specification, first wins; those of one line are of one kind. */
const KINDS: readonly [string, readonly Partial<ClassifiedRow>[]][] = [
  ['TRANSACTION_REVERTED', [{ activityType: 'TRANSACTION_REVERTED' }]],
  ['STAKE', [stake]],
  ['GOVERNANCE_VOTE', [vote]],
  ['OLD', [retired]],
  ['SWAP', [{ activityType: 'SWAP' }]],
  ['WRAP', [{ activityType: 'WRAP' }]],
  ['BURN', [{ activityType: 'BURN' }]],
  ['CONTRACT_DEPLOYMENT', [{ activityType: 'CONTRACT_DEPLOYMENT' }]],
  ['TRANSFER', [{ activityType: 'TRANSFER_OUT' }, { activityType: 'TRANSFER_IN' }]],
  ['APPROVAL', [{ activityType: 'APPROVAL' }]],
  ['USER_OPERATION', [{ activityType: 'USER_OPERATION' }]],
  ['DELEGATION', [{ activityType: 'DELEGATION' }]],
  ['CONTRACT_INTERACTION', [{ activityType: 'CONTRACT_INTERACTION' }]],
  ['TRANSFER', [{ activityType: 'TRANSFER_IN', metadata: { internal: true } }]],
]

describe('the event type', () => {
  const pairs = KINDS.flatMap((higher, i) => KINDS.slice(i + 1).map(lower => [higher, lower] as const))
  test.each(pairs.map(([[higher], [lower]], i) => [higher, lower, i] as const))('%s goes before %s', (_a, _b, i) => {
    const [[eventType, winners], [, losers]] = pairs[i] ?? [
      ['', []],
      ['', []],
    ]
    for (const [winner, loser] of winners.flatMap(one => losers.map(other => [one, other]))) {
      // Whatever their places are, and in whatever order they come.
      for (const [first, last] of [
        [1, 9],
        [9, 1],
        [null, 1],
        [1, null],
      ] as const) {
        const rows = [
          rowOf({ ...winner, logIndex: first, token: 'WON' }),
          rowOf({ ...loser, logIndex: last, token: 'LOST' }),
        ]
        for (const order of [rows, rows.toReversed()])
          expect(summarize(order)).toMatchObject([{ eventType, token: 'WON' }])
      }
    }
  })

  test.each(['WRAP', 'UNWRAP'])('%s keeps its name', type => {
    expect(typeOf([rowOf({ activityType: type }), rowOf({ activityType: 'MINT' })])).toBe(type)
  })

  test('of a mint and a burn, or a wrap and an unwrap, is that of the first', () => {
    expect(typeOf([rowOf({ activityType: 'BURN', logIndex: 2 }), rowOf({ activityType: 'MINT', logIndex: 1 })])).toBe(
      'MINT',
    )
    expect(typeOf([rowOf({ activityType: 'WRAP', logIndex: 2 }), rowOf({ activityType: 'UNWRAP', logIndex: 1 })])).toBe(
      'UNWRAP',
    )
  })

  test('of rules is by their order in the file, not by the place of the logs', () => {
    expect(typeOf([rowOf({ ...vote, logIndex: 1 }), rowOf({ ...stake, logIndex: 9 })])).toBe('STAKE')
  })

  test('of one rule with two activities for one wallet is that of the first activity', () => {
    const rows = [rowOf(delegatedVote), rowOf(vote)]
    for (const order of [rows, rows.toReversed()]) expect(typeOf(order)).toBe('GOVERNANCE_VOTE')
  })

  test('of a rule that the file no longer has is the activity’s own, after the rules that it has', () => {
    expect(typeOf([rowOf(retired)])).toBe('OLD')
    expect(typeOf([rowOf({ ...retired, logIndex: 1 }), rowOf({ ...vote, logIndex: 2 })])).toBe('GOVERNANCE_VOTE')
    // The rule is still there, but no longer means this.
    expect(typeOf([rowOf({ activityType: 'UNSTAKE', metadata: stake.metadata })])).toBe('UNSTAKE')
  })
})

describe('of several of one kind', () => {
  test.each<[string, Partial<ClassifiedRow>, Partial<ClassifiedRow>]>([
    [
      'the transaction’s value goes before any log',
      { logIndex: null, activityType: 'TRANSFER_IN' },
      { logIndex: 0, activityType: 'TRANSFER_OUT' },
    ],
    [
      'the lower position goes first',
      { logIndex: 3, activityType: 'TRANSFER_IN' },
      { logIndex: 4, activityType: 'TRANSFER_OUT' },
    ],
    ['positions are numbers', { logIndex: 9 }, { logIndex: 10 }],
    [
      'the lower item goes first',
      { activityType: 'TRANSFER_IN', metadata: { batch_index: 9 } },
      { activityType: 'TRANSFER_OUT', metadata: { batch_index: 10 } },
    ],
    ['OUT goes before IN', { activityType: 'TRANSFER_OUT' }, { activityType: 'TRANSFER_IN' }],
  ])('%s', (_name, winner, loser) => {
    const rows = [rowOf({ ...winner, amount: '1' }), rowOf({ ...loser, amount: '2' })]
    for (const order of [rows, rows.toReversed()])
      expect(summarize(order)).toMatchObject([{ eventType: 'TRANSFER', amount: '1' }])
  })

  test('amount and token are those of the one that was chosen', () => {
    const chosen = { amount: null, rawAmount: 5n, token: CONTRACT, tokenAddress: CONTRACT }
    expect(summarize([rowOf({ activityType: 'APPROVAL' }), rowOf({ activityType: 'SWAP', ...chosen })])).toEqual([
      { userId: 'alice', eventType: 'SWAP', ...chosen },
    ])
  })
})

describe('whose transaction it is', () => {
  const alices = rowOf({ activityType: 'TRANSFER_OUT', logIndex: 1 })
  const bobs = rowOf({ walletAddress: BOB, activityType: 'TRANSFER_IN', logIndex: 1 })
  const operation = { activityType: 'USER_OPERATION' }
  test.each<[string, ClassifiedRow[], Address, string[]]>([
    ['nobody’s', [], ALICE, []],
    ['nobody’s, if only a watched wallet takes part', [rowOf({ walletAddress: CAROL })], CAROL, []],
    ['the sender’s', [alices, bobs], ALICE, ['alice', 'bob']],
    ['the sender’s, though another comes first', [alices, bobs], BOB, ['bob', 'alice']],
    [
      'the first by position',
      [rowOf({ logIndex: 2 }), rowOf({ walletAddress: BOB, logIndex: 1 })],
      CAROL,
      ['bob', 'alice'],
    ],
    ['OUT before IN at one position', [bobs, alices], CAROL, ['alice', 'bob']],
    [
      'the sender of a user operation',
      [alices, bobs, rowOf({ ...operation, walletAddress: BOB, logIndex: 9 })],
      ALICE,
      ['bob', 'alice'],
    ],
    [
      'the first of two user operations',
      [rowOf({ ...operation, logIndex: 9 }), rowOf({ ...operation, walletAddress: BOB, logIndex: 8 })],
      ALICE,
      ['bob', 'alice'],
    ],
    [
      'of user operations only a user’s counts',
      [alices, bobs, rowOf({ ...operation, walletAddress: CAROL, logIndex: 0 })],
      BOB,
      ['bob', 'alice'],
    ],
    ['a sender who is no user has no part in it', [alices], addressOf(9), ['alice']],
  ])('%s', (_name, rows, sender, expected) => {
    for (const order of [rows, rows.toReversed()])
      expect(summarize(order, sender).map(({ userId }) => userId)).toEqual(expected)
  })

  test('each user gets what happened to that user', () => {
    const rows = [alices, bobs, rowOf({ walletAddress: BOB, activityType: 'MINT', logIndex: 5, token: 'NEW' })]
    expect(summarize(rows, ALICE)).toMatchObject([
      { userId: 'alice', eventType: 'TRANSFER', token: 'ETH' },
      { userId: 'bob', eventType: 'MINT', token: 'NEW' },
    ])
  })
})

test('the order in which rows come never matters', () => {
  const row = fc
    .record({
      walletAddress: fc.constantFrom(ALICE, BOB, CAROL),
      kind: fc.constantFrom(...KINDS.flatMap(([, rows]) => rows), delegatedVote),
      logIndex: fc.option(fc.nat(3)),
      batch: fc.option(fc.nat(2)),
    })
    .map(({ kind, batch, ...rest }) =>
      rowOf({ ...rest, ...kind, metadata: { ...kind.metadata, ...(batch === null ? {} : { batch_index: batch }) } }),
    )
  // A place, a type and a wallet make a row unique; its amount tells the rows apart.
  const rows = fc
    .uniqueArray(row, {
      maxLength: 8,
      selector: ({ walletAddress, activityType, logIndex, metadata }) =>
        JSON.stringify([
          [walletAddress, activityType, logIndex],
          [metadata['contract'], metadata['internal'], metadata['batch_index'] ?? 0],
        ]),
    })
    .map(all => all.map((one, i) => ({ ...one, amount: String(i) })))
  const shuffled = rows.chain(all => fc.tuple(fc.constant(all), fc.shuffledSubarray(all, { minLength: all.length })))
  fc.assert(
    fc.property(shuffled, fc.constantFrom(ALICE, BOB, CAROL), ([all, other], sender) => {
      expect(summarize(other, sender)).toEqual(summarize(all, sender))
      const users = new Set(all.map(({ walletAddress }) => ownerOf(walletAddress)).filter(user => user !== null))
      expect(new Set(summarize(all, sender).map(({ userId }) => userId))).toEqual(users)
    }),
    atLeast(500),
  )
})

test('rows that come back from the database say the same as those just decoded', () => {
  const person = fc.constantFrom(ALICE, BOB, CAROL)
  const anyLog = fc.oneof(
    fc.tuple(person, person).map(([a, b]) => logOf([BigInt(a), BigInt(b)], [5n], TRANSFER, addressOf(0x70c))),
    person.map(a => logOf([BigInt(a)], [5n], FIRST_RULE.topic0)),
    fc.tuple(person, person).map(([a, b]) => logOf([BigInt(a), BigInt(b)], [], SECOND_RULE.topic0)),
  )
  const part: fc.Arbitrary<Part> = fc.record({
    transaction: fc.record({ from: person, to: person, value: fc.constantFrom(0n, 5n) }),
    logs: fc.array(anyLog, { maxLength: 5 }),
  })
  fc.assert(
    fc.property(part, one => {
      const block = blockOf([one])
      const { activities } = decode([one], { chain, tracked: [ALICE, BOB, CAROL] })
      const rows = activityRows(block, activities, chain, ownerOf, () => 0)
      const [fresh] = transactionFacts(block, rows, chain, ownerOf, () => true)
      // What the table keeps, in the order that it happens to give.
      const stored = rows.map(
        ({ walletAddress, activityType, logIndex, amount, rawAmount, token, tokenAddress, metadata }) =>
          rowOf({
            walletAddress,
            activityType,
            logIndex,
            amount,
            rawAmount,
            token,
            tokenAddress,
            metadata: JSON.parse(JSON.stringify(metadata)),
          }),
      )
      expect(summarizeUsers(stored.toReversed(), fresh?.inclusion.sender ?? CAROL, chain, ownerOf)).toEqual(
        fresh?.summaries,
      )
      // And what they say agrees with the rule that the decoder had in hand.
      for (const { userId, eventType } of fresh?.summaries ?? []) {
        const ruled = activities.filter(({ wallet, rule }) => rule !== null && ownerOf(wallet) === userId)
        const [best] = ruled.toSorted(
          (a, b) =>
            (a.rule?.order ?? 0) - (b.rule?.order ?? 0) || (a.logIndex ?? 0) - (b.logIndex ?? 0) || a.item - b.item,
        )
        if (best !== undefined) expect(eventType).toBe(best.rule?.eventType)
      }
    }),
    atLeast(500),
  )
})

function logOf(topics: readonly bigint[], data: readonly bigint[], topic0: `0x${string}`, address = CONTRACT) {
  return { address, topics: [topic0, ...topics.map(hashOf)], data: words(...data) }
}
