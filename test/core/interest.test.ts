import { describe, expect, test } from 'vitest'
import { createdContract, interestOf, openOutcomes } from '../../src/core/interest.ts'
import { needsReceipts } from '../../src/core/sieve.ts'
import type { Block, Receipt, Transaction } from '../../src/core/types.ts'
import { ALICE, addressOf, BOB, blockOf, CAROL, hashOf } from './support/build.ts'

const interest = interestOf({ wallet: address => address === ALICE, transaction: hash => hash === hashOf(0x50) })

/** A block of one transaction, of which only the logs are known. */
function blockWith(transaction: Partial<Transaction>, receipt: Partial<Receipt> = {}): Block {
  const block = blockOf([{}])
  const [first] = block.transactions
  const [own] = block.receipts
  if (first === undefined || own === undefined) throw new RangeError('the block is empty')
  return {
    ...block,
    transactions: [{ ...first, from: BOB, to: CAROL, value: 0n, authorizations: [], ...transaction }],
    receipts: [{ ...own, succeeded: null, gasUsed: null, logs: [], ...receipt }],
  }
}

const log = { address: CAROL, topics: [hashOf(1), hashOf(BigInt(ALICE))], data: '0x', logIndex: 0 } as const
const authorization = { chainId: 1n, delegate: CAROL, nonce: 0n, authority: ALICE }

describe('the receipt of a transaction is needed', () => {
  test.each<[string, Partial<Transaction>]>([
    ['that a tracked wallet sent', { from: ALICE }],
    ['that pays a tracked wallet', { to: ALICE, value: 1n }],
    [
      'that pays a contract which it creates, and whose address is tracked',
      { to: null, value: 1n, from: BOB, nonce: 0 },
    ],
    ['that somebody asked about', { hash: hashOf(0x50) }],
    ['in which a tracked wallet delegates', { authorizations: [authorization] }],
  ])('%s', (_what, transaction) => {
    const created = createdContract({ to: null, from: BOB, nonce: 0 })
    const own = { ...interest, wallet: (address: string) => address === ALICE || address === created }
    const block = blockWith(transaction)
    expect(openOutcomes(block, own)).toEqual([0])
    expect(needsReceipts(block, own)).toBe(true)
  })

  test.each<[string, Partial<Transaction>, Partial<Receipt>]>([
    ['that concerns nobody', { value: 9n }, {}],
    ['that calls a tracked wallet with nothing', { to: ALICE }, {}],
    [
      'that has a log in which the wallet is named: it has succeeded',
      { from: ALICE },
      { logs: [log], succeeded: true },
    ],
    ['whose signature is of nobody', { authorizations: [{ ...authorization, authority: null }] }, {}],
  ])('but not of one %s', (_what, transaction, receipt) => {
    expect(openOutcomes(blockWith(transaction, receipt), interest)).toEqual([])
    expect(needsReceipts(blockWith(transaction, receipt), interest)).toBe(false)
  })

  test('and no more once it is there', () => {
    const block = blockWith({ from: ALICE }, { gasUsed: 21_000n, succeeded: false })
    expect(openOutcomes(block, interest)).toEqual([])
    expect(needsReceipts(block, interest)).toBe(true)
  })
})

test('the receipts are needed for the logs of a tracked sender that name nobody', () => {
  const block = blockWith({ from: ALICE }, { logs: [{ ...log, topics: [hashOf(1)] }], succeeded: true })
  expect(openOutcomes(block, interest)).toEqual([])
  expect(needsReceipts(block, interest)).toBe(true)
})

test('a created contract has the address that sender and nonce give it', () => {
  // The first contract of a well-known account: keccak256(rlp([sender, nonce])).
  expect(createdContract({ to: null, from: '0x6ac7ea33f8831ea9dcc53393aaa88b25a785dbf0', nonce: 0 })).toBe(
    '0xcd234a471b72ba2f1ccf0a70fcaba648a5eecd8d',
  )
  expect(createdContract({ to: addressOf(1), from: ALICE, nonce: 0 })).toBeNull()
})
