import { describe, expect, test } from 'vitest'
import type { Log } from '../../src/core/types.ts'
import { bloomOf } from '../../src/core/bloom.ts'
import {
  addReceipt,
  joinBlock,
  joinLogs,
  type PlacedLog,
  type RawBlock,
  type RawReceipt,
  renumberLogs,
} from '../../src/core/validate.ts'
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

  test('are joined where nothing is in the block, also under the root that the genesis block of Hardhat has', () => {
    const { block } = answers([])
    const transactionsRoot = '0xc5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470'
    expect(joinBlock(100, { ...block, transactionsRoot }, []).ok).toBe(true)
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

/** Logs 0, 1 | – | 2, 3 with contents of their own, and the same as one list. */
function listed(): { block: RawBlock; receipts: RawReceipt[]; logs: PlacedLog[] } {
  const { block, receipts } = answers([2, 0, 2])
  let next = 0
  const distinct = receipts.map(receipt => ({
    ...receipt,
    logs: receipt.logs.map((log): Log => {
      next += 1
      return { ...log, data: `0x0${next}`, topics: [hashOf(next)] }
    }),
  }))
  const logs = distinct.flatMap(({ logs: own, transactionHash, transactionIndex }) =>
    own.map(log => ({ ...log, transactionHash, transactionIndex, blockHash: block.hash, blockNumber: 100 })),
  )
  return { block, receipts: distinct, logs }
}
type Listed = ReturnType<typeof listed>
const anew = (receipts: readonly RawReceipt[]) =>
  receipts.map(receipt => ({
    ...receipt,
    logs: receipt.logs.map((log, logIndex) => ({ ...log, logIndex })),
  }))

describe('logs that are numbered anew', () => {
  test('are refused, and told apart from logs that belong to something else', () => {
    const { block, receipts } = listed()
    expect(joinBlock(100, block, anew(receipts))).toMatchObject({ ok: false, isMisnumbered: true })
    const foreign = receipts.map(receipt => ({ ...receipt, blockHash: other }))
    expect(joinBlock(100, block, anew(foreign))).toMatchObject({ ok: false, isMisnumbered: false })
  })

  test('get the numbers that they have among the logs of the block', () => {
    const { block, receipts, logs } = listed()
    expect(joinBlock(100, block, renumberLogs(anew(receipts), logs))).toEqual(joinBlock(100, block, receipts))
  })

  test.each<[string, (listed: Listed) => Pick<Listed, 'receipts' | 'logs'>]>([
    ['the list lacks one', ({ receipts, logs }) => ({ receipts, logs: logs.slice(1) })],
    ['the list is empty', ({ receipts }) => ({ receipts, logs: [] })],
    [
      'a receipt lacks one',
      ({ receipts, logs }) => ({
        receipts: receipts.map((one, i) => (i === 0 ? { ...one, logs: one.logs.slice(1) } : one)),
        logs,
      }),
    ],
    [
      'the last receipt lacks its last one',
      ({ receipts, logs }) => ({
        receipts: receipts.map((one, i) => (i === 2 ? { ...one, logs: one.logs.slice(0, 1) } : one)),
        logs,
      }),
    ],
    [
      'both lack the same one',
      ({ receipts, logs }) => ({
        receipts: receipts.map((one, i) => (i === 0 ? { ...one, logs: one.logs.slice(1) } : one)),
        logs: logs.slice(1),
      }),
    ],
    [
      'the list is of another block',
      ({ receipts, logs }) => ({ receipts, logs: logs.map(log => ({ ...log, blockHash: other })) }),
    ],
    [
      'the list has another address',
      ({ receipts, logs }) => ({ receipts, logs: logs.map(log => ({ ...log, address: hashOf(9) })) }),
    ],
    [
      'the list has other data',
      ({ receipts, logs }) => ({ receipts, logs: logs.map(log => ({ ...log, data: '0x' as const })) }),
    ],
    [
      'the list has other topics',
      ({ receipts, logs }) => ({ receipts, logs: logs.map(log => ({ ...log, topics: [] })) }),
    ],
    ['the list is in another order', ({ receipts, logs }) => ({ receipts, logs: logs.toReversed() })],
    [
      'the list begins anew too',
      ({ receipts, logs }) => ({ receipts, logs: logs.map(log => ({ ...log, logIndex: log.logIndex % 2 })) }),
    ],
  ])('stay refused where %s', (_name, change) => {
    const all = listed()
    const { receipts, logs } = change(all)
    expect(joinBlock(100, all.block, renumberLogs(anew(receipts), logs))).toMatchObject({
      ok: false,
      isMisnumbered: true,
    })
  })

  test('in a receipt that is added to a block of logs, the numbers stay those of the list', () => {
    const { block, receipts, logs } = listed()
    const joined = joinLogs(100, { ...block, logsBloom: bloomOf(logs) }, logs)
    const last = anew(receipts)[2]
    if (!joined.ok || last === undefined) throw new Error('the list of this test is refused')
    const added = addReceipt(joined.block, last, 2)
    expect(added).toMatchObject({
      ok: true,
      block: { receipts: [{}, {}, { gasUsed: last.gasUsed, logs: [{ logIndex: 2 }, { logIndex: 3 }] }] },
    })
  })
})
