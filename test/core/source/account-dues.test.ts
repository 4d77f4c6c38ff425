/**
 * What the protocol takes from an account in a block and gives it, from what nodes tell of the block.
 */

import { describe, expect, test } from 'vitest'
import { askDues } from '../../../src/source/account-dues.ts'
import type { Endpoint } from '../../../src/source/endpoint.ts'
import { addressOf, ALICE, BOB, hashOf } from '../support/build.ts'

type Fields = Readonly<Record<string, unknown>>

const BLOCK_HASH = hashOf(0xb10c)
const hex = (value: bigint | number) => `0x${value.toString(16)}`

type Told = {
  readonly fields?: Fields
  /** The sender of each, and what its receipt has besides. */
  readonly transactions?: readonly { readonly from: string; readonly receipt?: Fields; readonly gasPrice?: string }[]
  readonly uncles?: readonly string[]
}

/** A node that has one block. */
function nodeOf({ fields = {}, transactions = [], uncles = [] }: Told) {
  const asked: string[] = []
  const receipts = transactions.map(({ receipt }, index) => ({
    transactionHash: hashOf(index + 1),
    blockHash: BLOCK_HASH,
    gasUsed: hex(21_000),
    effectiveGasPrice: hex(12),
    ...receipt,
  }))
  const block = {
    hash: BLOCK_HASH,
    number: '0x64',
    miner: addressOf(0xfee),
    difficulty: '0x0',
    baseFeePerGas: hex(10),
    uncles: uncles.map((_, index) => hashOf(index)),
    transactions: transactions.map(({ from, gasPrice }, index) => ({ hash: hashOf(index + 1), from, gasPrice })),
    ...fields,
  }
  const answers: Readonly<Record<string, (first: unknown, second: unknown) => unknown>> = {
    eth_getBlockByNumber: () => block,
    eth_getTransactionReceipt: hash => receipts.find(({ transactionHash }) => transactionHash === hash) ?? null,
    eth_getBlockReceipts: () => receipts,
    eth_getUncleByBlockNumberAndIndex: (_number, index) => ({ miner: uncles[Number(index)] }),
  }
  const request = (method: string, [first, second]: readonly unknown[]) => {
    asked.push(method)
    return Promise.resolve(answers[method]?.(first, second))
  }
  return { asked, asker: { endpoint: { name: 'node' } as Endpoint, request } }
}

const duesOf = (told: Told, hash = BLOCK_HASH) => askDues(nodeOf(told).asker, ALICE, { number: 100, hash })

test('nothing, where the account has no part', async () => {
  const { asked, asker } = nodeOf({ transactions: [{ from: BOB }], uncles: [BOB] })
  expect(await askDues(asker, ALICE, { number: 100, hash: BLOCK_HASH })).toEqual({
    feesPaid: 0n,
    withdrawals: 0n,
    reward: 0n,
  })
  expect(asked).toEqual(['eth_getBlockByNumber'])
})

describe('fees', () => {
  test.each<[string, Told, bigint]>([
    ['of its own transactions alone', { transactions: [{ from: ALICE }, { from: BOB }, { from: ALICE }] }, 504_000n],
    ['of an address in another case', { transactions: [{ from: ALICE.toUpperCase().replace('0X', '0x') }] }, 252_000n],
    [
      'with those of blobs',
      { transactions: [{ from: ALICE, receipt: { blobGasUsed: hex(131_072), blobGasPrice: hex(2) } }] },
      252_000n + 262_144n,
    ],
    ['with what a rollup charges', { transactions: [{ from: ALICE, receipt: { l1Fee: hex(777) } }] }, 252_777n],
    [
      'by the price of the transaction, where receipts tell none',
      { transactions: [{ from: ALICE, gasPrice: hex(5), receipt: { effectiveGasPrice: undefined } }] },
      105_000n,
    ],
    [
      'of many, by the receipts of the block',
      { transactions: Array.from({ length: 9 }, () => ({ from: ALICE })) },
      2_268_000n,
    ],
  ])('%s', async (_name, told, feesPaid) => {
    expect(await duesOf(told)).toEqual({ feesPaid, withdrawals: 0n, reward: 0n })
  })
})

test('withdrawals, which are counted in gwei', async () => {
  const withdrawals = [
    { address: ALICE, amount: hex(32) },
    { address: BOB, amount: hex(1) },
    { address: ALICE, amount: hex(3) },
  ]
  expect((await duesOf({ fields: { withdrawals } })).withdrawals).toBe(35n * 10n ** 9n)
})

describe('rewards', () => {
  test('are what is paid above the base fee, by itself too', async () => {
    const told = { fields: { miner: ALICE }, transactions: [{ from: BOB }, { from: ALICE }] }
    expect(await duesOf(told)).toEqual({ feesPaid: 252_000n, withdrawals: 0n, reward: 84_000n })
  })

  test('of proof of work are not reckoned: of a block, or of an uncle', async () => {
    const work = { difficulty: hex(1_000), baseFeePerGas: undefined }
    expect((await duesOf({ fields: { ...work, miner: ALICE } })).reward).toBeNull()
    expect((await duesOf({ fields: work, uncles: [BOB, ALICE] })).reward).toBeNull()
    expect((await duesOf({ fields: work, uncles: [BOB] })).reward).toBe(0n)
  })
})

test('another block at the height, or a receipt of another block, is refused', async () => {
  await expect(duesOf({}, hashOf(0xbad))).rejects.toMatchObject({ code: 'RPC_INCONSISTENT' })
  const foreign = { transactions: [{ from: ALICE, receipt: { blockHash: hashOf(0xbad) } }] }
  await expect(duesOf(foreign)).rejects.toMatchObject({ code: 'RPC_INCONSISTENT' })
})
