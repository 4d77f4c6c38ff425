/**
 * What a block did to a wallet's balance, and what of it is internal value.
 */

import { describe, expect, test } from 'vitest'
import { type Dues, explainBlock } from '../../src/core/native-history-explain.ts'
import { createdContract } from '../../src/core/interest.ts'
import type { Address, Authorization, Block, Receipt, Transaction } from '../../src/core/types.ts'
import { ALICE, BOB, CAROL, CONTRACT, hashOf } from './support/build.ts'

type Sent = Partial<Transaction> & { readonly succeeded?: boolean | null }

function blockOf(...sent: readonly Sent[]): Block {
  const transactions = sent.map(
    ({ succeeded: _succeeded, ...fields }, index): Transaction => ({
      hash: hashOf(index + 1),
      index,
      from: BOB,
      to: CAROL,
      value: 0n,
      input: '0x',
      nonce: 7,
      gas: 21_000n,
      authorizations: [],
      ...fields,
    }),
  )
  const receipts = sent.map(
    ({ succeeded = true }, index): Receipt => ({
      transactionHash: hashOf(index + 1),
      transactionIndex: index,
      succeeded,
      gasUsed: 21_000n,
      contractAddress: null,
      logs: [],
    }),
  )
  return { number: 100, hash: hashOf(100), parentHash: hashOf(99), timestamp: 1, transactions, receipts }
}

const NONE: Dues = { feesPaid: 0n, withdrawals: 0n, reward: 0n }

/** Alice had 1,000 and nonce 7. */
function explain(
  block: Block,
  balance: bigint,
  { nonce = 7, dues = {}, wallet = ALICE }: { nonce?: number; dues?: Partial<Dues>; wallet?: Address } = {},
  isDelegated = false,
) {
  const states = { before: { nonce: 7, balance: 1_000n }, after: { nonce, balance } }
  return explainBlock(block, wallet, states, { ...NONE, ...dues }, isDelegated)
}

describe('all is explained', () => {
  test.each<[string, Block, bigint, { nonce?: number; dues?: Partial<Dues> }]>([
    ['a payment to her', blockOf({ to: ALICE, value: 40n }), 1_040n, {}],
    ['one of hers, and its fee', blockOf({ from: ALICE, value: 40n }), 955n, { nonce: 8, dues: { feesPaid: 5n } }],
    [
      'one of hers that reverted',
      blockOf({ from: ALICE, value: 40n, succeeded: false }),
      995n,
      { nonce: 8, dues: { feesPaid: 5n } },
    ],
    ['one to her that reverted', blockOf({ to: ALICE, value: 40n, succeeded: false }), 1_000n, {}],
    ['one to herself', blockOf({ from: ALICE, to: ALICE, value: 40n }), 995n, { nonce: 8, dues: { feesPaid: 5n } }],
    [
      'one out, one in, a withdrawal and a reward',
      blockOf({ from: ALICE, value: 40n }, { to: ALICE, value: 7n }),
      1_000n - 40n + 7n - 5n + 32n + 3n,
      { nonce: 8, dues: { feesPaid: 5n, withdrawals: 32n, reward: 3n } },
    ],
    ['what others do', blockOf({ value: 40n }), 1_000n, {}],
  ])('%s', (_name, block, balance, options) => {
    expect(explain(block, balance, options)).toEqual({ internal: 0n, fits: true })
  })

  test('a deployment with value, at the address that it makes', () => {
    const creation = { from: ALICE, to: null, value: 40n, nonce: 7 }
    const made = createdContract(creation)
    if (made === null) throw new Error('this is a creation')
    expect(explain(blockOf(creation), 1_040n, { wallet: made, nonce: 7 })).toEqual({ internal: 0n, fits: true })
    expect(explain(blockOf(creation), 955n, { nonce: 8, dues: { feesPaid: 5n } })).toEqual({ internal: 0n, fits: true })
  })
})

describe('the rest is internal', () => {
  test('what a call paid her', () => {
    expect(explain(blockOf({ to: CONTRACT, value: 9n }), 1_030n).internal).toBe(30n)
  })

  test('what came back from a contract that she called', () => {
    const block = blockOf({ from: ALICE, to: CONTRACT, value: 100n })
    expect(explain(block, 920n, { nonce: 8, dues: { feesPaid: 5n } }).internal).toBe(25n)
  })

  test('what her delegated code paid', () => {
    expect(explain(blockOf({ to: ALICE, value: 10n }), 900n, {}, true).internal).toBe(-110n)
  })
})

describe('what can not be told', () => {
  test('is so where the outcome of a transaction with value is not known', () => {
    // All gas is gone and there is no log, before receipts had a status.
    expect(explain(blockOf({ to: ALICE, value: 40n, succeeded: null }), 1_040n).internal).toBeNull()
    expect(explain(blockOf({ to: BOB, value: 40n, succeeded: null }), 1_000n).internal).toBe(0n)
  })

  test('is so where the reward of a miner is not known', () => {
    expect(explain(blockOf(), 3_000n, { dues: { reward: null } }).internal).toBeNull()
  })
})

describe('a nonce that does not fit', () => {
  const signed: Authorization = { chainId: 1n, delegate: CONTRACT, nonce: 8n, authority: ALICE }
  const own = { from: ALICE, nonce: 7 }

  test.each<[string, Block, number, boolean, boolean]>([
    ['a transaction of hers', blockOf(own), 8, false, true],
    ['two', blockOf(own, { ...own, nonce: 8 }), 9, false, true],
    ['one, and the nonce did not rise', blockOf(own), 7, false, false],
    ['one, and the nonce rose by two', blockOf(own), 9, false, false],
    ['one of another nonce', blockOf({ ...own, nonce: 12 }), 8, false, false],
    ['none, and the nonce rose', blockOf(), 8, false, false],
    ['an authorization that counted', blockOf({ authorizations: [signed] }), 8, false, true],
    ['one that did not', blockOf({ authorizations: [signed] }), 7, false, true],
    ['what delegated code created', blockOf(), 9, true, true],
  ])('%s', (_name, block, nonce, isDelegated, fits) => {
    expect(explain(block, 1_000n, { nonce }, isDelegated).fits).toBe(fits)
  })
})
