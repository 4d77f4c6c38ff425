import { describe, expect, test } from 'vitest'
import { authoritiesOf } from '../../../src/core/decode/delegation.ts'
import type { Address, Authorization } from '../../../src/core/types.ts'
import { ALICE, addressOf, BOB, blockOf, CAROL, decode, hashOf, type Part, ZERO } from '../support/build.ts'
import { fc } from '../support/property.ts'

const DELEGATE = addressOf(0xde1e)
const signed = (authority: Address | null, nonce: number, changes: Partial<Authorization> = {}): Authorization => ({
  authority,
  nonce: BigInt(nonce),
  chainId: 1n,
  delegate: DELEGATE,
  ...changes,
})
const sent = (authorizations: readonly Authorization[], from: Address = CAROL, nonce = 7): Part => ({
  transaction: { from, nonce, authorizations, to: BOB },
})

/** Transaction index, item and marks of each delegation. */
function delegations(parts: readonly Part[], nonces: readonly (readonly [Address, number | null])[]) {
  const { activities, oddities } = decode(parts, { nonces: new Map(nonces) })
  expect(oddities).toEqual([])
  return activities
    .filter(({ type }) => type === 'DELEGATION')
    .map(({ wallet, transactionHash, item, metadata }) => {
      expect(metadata['authorization_index']).toBe(item)
      const marks = ['revoked', 'unproven'].filter(mark => metadata[mark] === true)
      return [Number(BigInt(transactionHash) - 0x1000n), item, wallet === ALICE ? 'alice' : 'bob', ...marks].join(' ')
    })
}

describe('an authorization takes effect', () => {
  type Case = [string, Part[], (readonly [Address, number | null])[], string[]]
  test.each<Case>([
    ['with the right nonce', [sent([signed(ALICE, 5)])], [[ALICE, 5]], ['0 0 alice']],
    ['for any chain', [sent([signed(ALICE, 5, { chainId: 0n })])], [[ALICE, 5]], ['0 0 alice']],
    ['not for another chain', [sent([signed(ALICE, 5, { chainId: 10n })])], [[ALICE, 5]], []],
    ['not with a lower nonce', [sent([signed(ALICE, 4)])], [[ALICE, 5]], []],
    ['not with a higher nonce', [sent([signed(ALICE, 6)])], [[ALICE, 5]], []],
    ['not with a signature that is none', [sent([signed(null, 5)])], [[ALICE, 5]], []],
    ['not of a stranger', [sent([signed(CAROL, 5)])], [[ALICE, 5]], []],
    ['as a revocation', [sent([signed(ALICE, 5, { delegate: ZERO })])], [[ALICE, 5]], ['0 0 alice revoked']],
    ['twice in one list', [sent([signed(ALICE, 5), signed(ALICE, 6)])], [[ALICE, 5]], ['0 0 alice', '0 1 alice']],
    ['once, the same one twice', [sent([signed(ALICE, 5), signed(ALICE, 5)])], [[ALICE, 5]], ['0 0 alice']],
    ['at its place in the list', [sent([signed(ALICE, 6), signed(ALICE, 5)])], [[ALICE, 5]], ['0 1 alice']],
    [
      'for each of two authorities',
      [sent([signed(BOB, 1), signed(ALICE, 5)])],
      [
        [ALICE, 5],
        [BOB, 1],
      ],
      ['0 0 bob', '0 1 alice'],
    ],
    ['after its sender’s own nonce was raised', [sent([signed(ALICE, 6)], ALICE, 5)], [[ALICE, 5]], ['0 0 alice']],
    ['not with the nonce of its own transaction', [sent([signed(ALICE, 5)], ALICE, 5)], [[ALICE, 5]], []],
    [
      'after an earlier transaction of the authority',
      [sent([], ALICE, 5), sent([signed(ALICE, 6)])],
      [[ALICE, 5]],
      ['1 0 alice'],
    ],
    [
      'not the nonce that an earlier one used up',
      [sent([signed(ALICE, 5)]), sent([signed(ALICE, 5)])],
      [[ALICE, 5]],
      ['0 0 alice'],
    ],
    [
      'in a later transaction after it',
      [sent([signed(ALICE, 5)]), sent([signed(ALICE, 6)])],
      [[ALICE, 5]],
      ['0 0 alice', '1 0 alice'],
    ],
    ['unproven where the nonce is not known', [sent([signed(ALICE, 5)])], [[ALICE, null]], ['0 0 alice unproven']],
    [
      'unproven too where it only follows such a one',
      [sent([signed(ALICE, 5), signed(ALICE, 6)])],
      [[ALICE, null]],
      ['0 0 alice unproven', '0 1 alice unproven'],
    ],
    [
      'proven by the authority’s own transaction before',
      [sent([], ALICE, 5), sent([signed(ALICE, 6)])],
      [[ALICE, null]],
      ['1 0 alice'],
    ],
    [
      'not if its own transaction before contradicts it',
      [sent([], ALICE, 5), sent([signed(ALICE, 5)])],
      [[ALICE, null]],
      [],
    ],
    [
      'unproven if its own transaction after would follow',
      [sent([signed(ALICE, 5)]), sent([], ALICE, 6)],
      [[ALICE, null]],
      ['0 0 alice unproven'],
    ],
    [
      'not if its own transaction after contradicts it',
      [sent([signed(ALICE, 5)]), sent([], ALICE, 5)],
      [[ALICE, null]],
      [],
    ],
    [
      'the one of two that its own transaction after allows',
      [sent([signed(ALICE, 3), signed(ALICE, 5)]), sent([], ALICE, 6)],
      [[ALICE, null]],
      ['0 1 alice unproven'],
    ],
  ])('%s', (_name, parts, nonces, expected) => {
    expect(delegations(parts, nonces)).toEqual(expected)
  })

  test('inside a reverted transaction, of anyone', () => {
    const { activities } = decode([{ ...sent([signed(ALICE, 5)], BOB), receipt: { succeeded: false } }], {
      nonces: new Map([[ALICE, 5]]),
    })
    expect(activities.map(({ wallet, type }) => [wallet, type])).toEqual([
      [ALICE, 'DELEGATION'],
      [BOB, 'TRANSACTION_REVERTED'],
    ])
  })

  test('as evm rules say, for any block', () => {
    const authority = fc.constantFrom(ALICE, BOB)
    const tuple = fc.record({ authority, nonce: fc.integer({ min: 0, max: 5 }), chainId: fc.constantFrom(0n, 1n, 2n) })
    const plan = fc.array(
      fc.record({ from: fc.constantFrom(ALICE, BOB, CAROL), tuples: fc.array(tuple, { maxLength: 4 }) }),
      { maxLength: 5 },
    )
    fc.assert(
      fc.property(plan, fc.nat(3), fc.nat(3), (transactions, alice, bob) => {
        // A small machine: the only thing it knows is an account's nonce.
        const nonces = new Map([
          [ALICE, alice],
          [BOB, bob],
          [CAROL, 0],
        ])
        const raise = (address: Address) => nonces.set(address, (nonces.get(address) ?? 0) + 1)
        const expected: string[] = []
        const parts = transactions.map(({ from, tuples }, index) => {
          const part = sent(
            tuples.map(({ nonce, ...rest }) => signed(rest.authority, nonce, rest)),
            from,
            nonces.get(from),
          )
          raise(from)
          for (const [item, one] of tuples.entries()) {
            if (one.chainId > 1n || nonces.get(one.authority) !== one.nonce) continue
            raise(one.authority)
            expected.push(`${index} ${item} ${one.authority === ALICE ? 'alice' : 'bob'}`)
          }
          return part
        })
        expect(
          delegations(parts, [
            [ALICE, alice],
            [BOB, bob],
          ]),
        ).toEqual(expected)
        // Without nonces a true single delegation is never lost, and whatever is marked as proven did happen.
        const blind = delegations(parts, [
          [ALICE, null],
          [BOB, null],
        ])
        for (const found of blind.filter(text => !text.endsWith('unproven'))) expect(expected).toContain(found)
        const byAuthority = Map.groupBy(
          transactions.flatMap(({ tuples }) => tuples.filter(({ chainId }) => chainId < 2n)),
          one => one.authority,
        )
        for (const [who, tuples] of byAuthority) {
          if (tuples.length !== 1) continue
          const name = who === ALICE ? 'alice' : 'bob'
          for (const happened of expected.filter(text => text.endsWith(name))) {
            expect(blind.map(text => text.replace(' unproven', ''))).toContain(happened)
          }
        }
      }),
    )
  })
})

test('the nonces that must be asked for are those of tracked signers of tuples for this chain, each once', () => {
  const block = blockOf([
    sent([signed(ALICE, 1), signed(CAROL, 1), signed(null, 1)]),
    sent([signed(ALICE, 2), signed(BOB, 1, { chainId: 5n })]),
  ])
  expect(authoritiesOf(block, 1, address => address !== CAROL)).toEqual([ALICE])
  expect(authoritiesOf(block, 5, address => address !== CAROL)).toEqual([BOB])
  expect(authoritiesOf(blockOf([sent([signed(ALICE, 1, { chainId: 0n })])]), 5, () => true)).toEqual([ALICE])
})

test('the delegate is told, and the transaction that carried it', () => {
  const { activities } = decode([sent([signed(ALICE, 5)])], { nonces: new Map([[ALICE, 5]]) })
  expect(activities).toMatchObject([
    {
      wallet: ALICE,
      transactionHash: hashOf(0x1000),
      logIndex: null,
      asset: null,
      rawAmount: null,
      metadata: { delegate: DELEGATE },
    },
  ])
})
