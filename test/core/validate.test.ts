import { describe, expect, test } from 'vitest'
import type { Log } from '../../src/core/types.ts'
import { joinBlock, type RawBlock, type RawReceipt } from '../../src/core/validate.ts'
import { blockOf, hashOf } from './support/build.ts'

type Answers = { block: RawBlock; receipts: RawReceipt[] }

const EMPTY_ROOT = '0x56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421'

/** Block 100 with three transactions and the logs 0, 1 | – | 2, as an honest node tells it. */
function answers(logs: readonly number[] = [2, 0, 1]): Answers {
  const { receipts, transactions, ...header } = blockOf(
    logs.map(count => ({ logs: Array.from({ length: count }, () => ({})) })),
  )
  const hasLogs = logs.some(count => count > 0)
  return {
    block: {
      ...header,
      logsBloom: `0x${(hasLogs ? '8' : '0').padEnd(512, '0')}`,
      transactionsRoot: logs.length === 0 ? EMPTY_ROOT : hashOf(0x7007),
      transactions: transactions.map(transaction => ({ ...transaction, blockHash: header.hash })),
    },
    receipts: receipts.map(receipt => ({
      ...receipt,
      blockHash: header.hash,
      logBlockHashes: receipt.logs.map(() => header.hash),
    })),
  }
}

const other = hashOf(0xbad)
const renumbered = (receipt: RawReceipt, ...indexes: number[]): RawReceipt => ({
  ...receipt,
  logs: indexes.map((logIndex): Log => ({ address: hashOf(1), topics: [], data: '0x', logIndex })),
  logBlockHashes: indexes.map(() => receipt.blockHash),
})

/** The same answers, with the transaction or receipt at a place changed. */
function changed(
  place: number,
  change: { transaction?: object; receipt?: (receipt: RawReceipt) => RawReceipt; block?: object },
): Answers {
  const { block, receipts } = answers()
  return {
    block: {
      ...block,
      ...change.block,
      transactions: block.transactions.map((one, i) => (i === place ? { ...one, ...change.transaction } : one)),
    },
    receipts: receipts.map((one, i) => (i === place && change.receipt ? change.receipt(one) : one)),
  }
}

describe('a block and its receipts', () => {
  test('are joined where the node tells of no root', () => {
    const { block, receipts } = answers()
    expect(joinBlock(100, { ...block, transactionsRoot: null }, receipts).ok).toBe(true)
  })

  test.each<[string, number[]]>([
    ['with logs', [2, 0, 1]],
    ['without logs', [0, 0]],
    ['without transactions', []],
  ])('%s are joined', (_name, logs) => {
    const { block, receipts } = answers(logs)
    const joined = joinBlock(100, block, receipts)
    if (!joined.ok) throw new Error(joined.problem)
    expect(joined.block).toMatchObject({ number: 100, hash: block.hash, parentHash: block.parentHash, receipts })
    expect(joined.block.transactions.map(({ hash }) => hash)).toEqual(block.transactions.map(({ hash }) => hash))
  })

  const empty = answers([0, 0])
  const full = answers()
  test.each<[string, Answers, string]>([
    [
      'of another height',
      { ...full, block: { ...full.block, number: 99 } },
      'block 100 was asked for and block 99 was returned',
    ],
    ['with a receipt missing', { ...full, receipts: full.receipts.slice(1) }, '3 transactions and 2 receipts'],
    [
      'with a receipt too many',
      { ...full, receipts: [...full.receipts, ...full.receipts.slice(2)] },
      '3 transactions and 4 receipts',
    ],
    ['with no receipts at all', { ...full, receipts: [] }, '3 transactions and 0 receipts'],
    [
      'with receipts in another order',
      { ...full, receipts: full.receipts.toReversed() },
      'receipt 0 belongs to another transaction',
    ],
    [
      'with a receipt twice',
      changed(1, { receipt: () => full.receipts[0] as RawReceipt }),
      'receipt 1 belongs to another transaction',
    ],
    [
      'with a transaction at another place',
      changed(1, { transaction: { index: 2 } }),
      'transaction 1 says that its index is 2',
    ],
    [
      'with a transaction of another block',
      changed(2, { transaction: { blockHash: other } }),
      'transaction 2 belongs to another block',
    ],
    [
      'with a transaction of no block',
      changed(2, { transaction: { blockHash: null } }),
      'transaction 2 belongs to another block',
    ],
    [
      'with a receipt of another block',
      changed(0, { receipt: one => ({ ...one, blockHash: other }) }),
      'receipt 0 belongs to another block',
    ],
    [
      'with a receipt of another transaction',
      changed(0, { receipt: one => ({ ...one, transactionHash: other }) }),
      'receipt 0 belongs to another transaction',
    ],
    [
      'with a log of another block',
      changed(0, { receipt: one => ({ ...one, logBlockHashes: [one.blockHash, other] }) }),
      'a log of receipt 0 belongs to another block',
    ],
    [
      'of another hash than all that is in it',
      { ...full, block: { ...full.block, hash: other } },
      'transaction 0 belongs to another block',
    ],
    [
      'with the first log missing',
      changed(0, { receipt: one => renumbered(one, 1) }),
      'log 0 is missing or out of order',
    ],
    [
      'with a log in the middle missing',
      changed(0, { receipt: one => renumbered(one, 0) }),
      'log 1 is missing or out of order',
    ],
    ['with a log twice', changed(2, { receipt: one => renumbered(one, 1) }), 'log 2 is missing or out of order'],
    [
      'with log indexes that begin anew in each transaction',
      changed(2, { receipt: one => renumbered(one, 0) }),
      'log 2 is missing or out of order',
    ],
    [
      'with logs in another order',
      changed(0, { receipt: one => renumbered(one, 1, 0) }),
      'log 0 is missing or out of order',
    ],
    [
      'with the empty lists of another block',
      { block: { ...full.block, logsBloom: empty.block.logsBloom, transactions: [] }, receipts: [] },
      'the header promises transactions and there are none',
    ],
    [
      'with transactions that the header denies',
      changed(-1, { block: { transactionsRoot: EMPTY_ROOT } }),
      'there are transactions and the header promises none',
    ],
    [
      'with logs that the bloom promises and that are not there',
      { ...empty, block: { ...empty.block, logsBloom: full.block.logsBloom } },
      'the header promises logs and the receipts have none',
    ],
    [
      'with logs that the bloom denies',
      changed(-1, { block: { logsBloom: empty.block.logsBloom } }),
      'the receipts have logs and the header promises none',
    ],
  ])('%s are refused', (_name, { block, receipts }, problem) => {
    expect(joinBlock(100, block, receipts)).toMatchObject({ ok: false, problem: expect.stringContaining(problem) })
  })
})
