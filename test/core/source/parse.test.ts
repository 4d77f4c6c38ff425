import { describe, expect, test } from 'vitest'
import { AppError, isRetryable } from '../../../src/errors.ts'
import {
  parseBareHash,
  parseBlock,
  parseBytes,
  parseFilterId,
  parseHashOf,
  parseHeader,
  parseLocation,
  parsePending,
  parsePool,
  parseQuantity,
  parseReceipt,
  parseReceipts,
} from '../../../src/source/parse.ts'
import { addressOf, hashOf } from '../support/build.ts'

type Fields = Readonly<Record<string, unknown>>

const BLOCK_HASH = hashOf(0xb10c)
const transaction: Fields = {
  type: '0x2',
  chainId: '0x1',
  hash: hashOf(0x7),
  blockHash: BLOCK_HASH,
  blockNumber: '0x64',
  transactionIndex: '0x0',
  from: addressOf(0xa),
  to: addressOf(0xb),
  value: '0xde0b6b3a7640000',
  input: '0xa9059cbb',
  nonce: '0x9',
  gas: '0x5208',
  maxFeePerGas: '0x3b9aca00',
  accessList: [],
  v: '0x0',
  r: '0x1',
  s: '0x1',
}
const block: Fields = {
  number: '0x64',
  hash: BLOCK_HASH,
  parentHash: hashOf(0xb10b),
  timestamp: '0x6553f100',
  logsBloom: `0x${'00'.repeat(256)}`,
  gasUsed: '0x5208',
  miner: addressOf(0xfee),
  uncles: [],
  transactions: [transaction],
}
const log: Fields = {
  address: addressOf(0x70c),
  topics: [hashOf(1), hashOf(2)],
  data: '0x00ff',
  blockNumber: '0x64',
  blockHash: BLOCK_HASH,
  transactionHash: hashOf(0x7),
  transactionIndex: '0x0',
  logIndex: '0x3',
  removed: false,
}
const receipt: Fields = {
  type: '0x2',
  status: '0x1',
  transactionHash: hashOf(0x7),
  transactionIndex: '0x0',
  blockHash: BLOCK_HASH,
  blockNumber: '0x64',
  from: addressOf(0xa),
  to: addressOf(0xb),
  contractAddress: null,
  gasUsed: '0x5208',
  cumulativeGasUsed: '0x5208',
  logs: [log],
}
const authorization: Fields = {
  chainId: '0x1',
  address: addressOf(0xde),
  nonce: '0x0',
  yParity: '0x1',
  r: '0x1',
  s: '0x2',
}

const inBlock = (changes: Fields) => () => parseBlock({ ...block, ...changes })
const inTransaction = (changes: Fields) => () =>
  parseBlock({ ...block, transactions: [{ ...transaction, ...changes }] })
const inTuple = (changes: Fields) => inTransaction({ authorizationList: [{ ...authorization, ...changes }] })
const inReceipt = (changes: Fields) => () => parseReceipt({ ...receipt, ...changes })
const inLog = (changes: Fields) => () => parseReceipt({ ...receipt, logs: [{ ...log, ...changes }] })

describe('an answer as the specification of the execution API has it', () => {
  test('a block', async () => {
    expect(await parseBlock(block)).toEqual({
      number: 100,
      hash: BLOCK_HASH,
      parentHash: hashOf(0xb10b),
      timestamp: 1_700_000_000,
      logsBloom: block['logsBloom'],
      transactionsRoot: null,
      transactions: [
        {
          hash: hashOf(0x7),
          blockHash: BLOCK_HASH,
          index: 0,
          from: addressOf(0xa),
          to: addressOf(0xb),
          value: 10n ** 18n,
          input: '0xa9059cbb',
          nonce: 9,
          gas: 21_000n,
          authorizations: [],
        },
      ],
    })
  })

  test('receipts', () => {
    const parsed = {
      transactionHash: hashOf(0x7),
      transactionIndex: 0,
      blockHash: BLOCK_HASH,
      succeeded: true,
      gasUsed: 21_000n,
      contractAddress: null,
      logs: [{ address: addressOf(0x70c), topics: [hashOf(1), hashOf(2)], data: '0x00ff', logIndex: 3 }],
      logBlockHashes: [BLOCK_HASH],
    }
    expect(parseReceipts([receipt, receipt])).toEqual([parsed, parsed])
    expect(parseReceipts([])).toEqual([])
  })

  test.each<[string, Fields, boolean | null]>([
    ['success', { status: '0x1' }, true],
    ['failure', { status: '0x0' }, false],
    ['a state root instead', { status: undefined, root: hashOf(5) }, null],
    ['a status of null', { status: null }, null],
  ])('%s', (_name, changes, succeeded) => {
    expect(parseReceipt({ ...receipt, ...changes }).succeeded).toBe(succeeded)
  })

  test.each<[string, Fields, unknown]>([
    ['a creation', { to: null }, { to: null }],
    ['a creation that leaves the recipient out', { to: undefined }, { to: null }],
    ['a transaction that waits', { blockHash: null }, { blockHash: null }],
    ['a list of authorizations that is null', { authorizationList: null }, { authorizations: [] }],
    [
      'an authorization that is signed by nobody',
      { authorizationList: [authorization] },
      { authorizations: [{ chainId: 1n, delegate: addressOf(0xde), nonce: 0n }] },
    ],
    [
      'an authorization with the older name of its parity',
      { authorizationList: [{ ...authorization, yParity: undefined, v: '0x1' }] },
      { authorizations: [{ nonce: 0n }] },
    ],
  ])('%s', async (_name, changes, expected) => {
    expect((await parseBlock({ ...block, transactions: [{ ...transaction, ...changes }] })).transactions).toMatchObject(
      [expected],
    )
  })

  test('capital letters are the same answer', async () => {
    const shouted = JSON.parse(JSON.stringify([block, receipt]), (key, value: unknown) =>
      typeof value === 'string' && key !== 'type' ? value.toUpperCase() : value,
    ) as [unknown, unknown]
    expect(await parseBlock(shouted[0])).toEqual(await parseBlock(block))
    expect(parseReceipt(shouted[1])).toEqual(parseReceipt(receipt))
  })

  test('where a transaction stands', () => {
    expect(parseLocation(transaction, hashOf(0x7))).toEqual({
      kind: 'mined',
      blockNumber: 100,
      blockHash: BLOCK_HASH,
    })
    const waiting = { kind: 'pending', sender: addressOf(0xa), nonce: 9 }
    expect(parseLocation({ ...transaction, blockHash: null, blockNumber: null }, hashOf(0x7))).toEqual(waiting)
    expect(parseLocation({ ...transaction, blockHash: undefined }, hashOf(0x7))).toEqual(waiting)
  })
})

describe('an answer that is bad', () => {
  const fields: [(changes: Fields) => () => unknown, string[]][] = [
    [inBlock, ['number', 'hash', 'parentHash', 'timestamp', 'logsBloom', 'transactions']],
    [inTransaction, ['hash', 'blockHash', 'transactionIndex', 'from', 'value', 'input', 'nonce', 'gas']],
    [inTuple, ['chainId', 'address', 'nonce', 'r', 's']],
    [inReceipt, ['transactionHash', 'transactionIndex', 'blockHash', 'gasUsed', 'logs']],
    [inLog, ['address', 'topics', 'data', 'logIndex', 'blockHash']],
  ]
  const broken: [string, unknown][] = [
    ['missing', undefined],
    ['a number', 5],
    ['an object', {}],
    ['a text', 'latest'],
    ['empty text', ''],
    ['odd hex', '0x0g'],
    ['true', true],
  ]
  for (const [place, names] of fields) {
    test.each(names.flatMap(name => broken.map(([kind, value]) => [place.name, name, kind, value] as const)))(
      '%s: %s is %s',
      async (_place, name, _kind, value) => {
        await expectBad(place({ [name]: value }), name)
      },
    )
  }

  const many = `0x1${'0'.repeat(64)}`
  test.each<[string, () => unknown, string]>([
    ['a number that no number can hold', inBlock({ number: '0x20000000000000' }), 'number'],
    ['a timestamp of 2^256 − 1', inBlock({ timestamp: `0x${'f'.repeat(64)}` }), 'timestamp'],
    ['a value of more than 256 bits', inTransaction({ value: many }), 'value'],
    ['a nonce that no number can hold', inTransaction({ nonce: '0xffffffffffffffff' }), 'nonce'],
    ['a hash that is short', inTransaction({ hash: '0x1234' }), 'hash'],
    ['an address that is long', inTransaction({ from: `${addressOf(1)}00` }), 'from'],
    ['a recipient that is none', inTransaction({ to: '0x' }), 'to'],
    ['input with half a byte', inTransaction({ input: '0x123' }), 'input'],
    ['transactions that are only hashes', inBlock({ transactions: [hashOf(7)] }), 'transaction'],
    ['authorizations that are no list', inTransaction({ authorizationList: {} }), 'authorizationList'],
    ['an authorization that is null', inTransaction({ authorizationList: [null] }), 'authorization'],
    ['an authorization without parity', inTuple({ yParity: undefined }), 'v'],
    ['a status of 2', inReceipt({ status: '0x2' }), 'status'],
    ['a status that is true', inReceipt({ status: true }), 'status'],
    ['a new contract that is none', inReceipt({ contractAddress: '0x' }), 'contractAddress'],
    ['five topics', inLog({ topics: Array.from({ length: 5 }, () => hashOf(1)) }), 'log.topics'],
    ['a topic that is null', inLog({ topics: [null] }), 'log.topics'],
    ['a topic that is short', inLog({ topics: ['0x01'] }), 'log.topics'],
    ['a log that is null', inReceipt({ logs: [null] }), 'log'],
    ['a block that is null', () => parseHeader(null), 'block'],
    ['a block that is a list', () => parseHeader([block]), 'block'],
    ['receipts that are null', () => parseReceipts(null), 'receipts'],
    ['receipts that are an object', () => parseReceipts({}), 'receipts'],
    ['a receipt among them that is null', () => parseReceipts([receipt, null]), 'receipt'],
    ['another transaction than the one asked for', () => parseLocation(transaction, hashOf(8)), 'transaction.hash'],
    ['a place without a height', () => parseLocation({ ...transaction, blockNumber: null }, hashOf(7)), 'blockNumber'],
    ['a count that is no hex', () => parseQuantity('12', 'nonce'), 'nonce'],
    ['a quantity that is empty', () => parseQuantity('0x', 'nonce'), 'nonce'],
    ['bytes that are null', () => parseBytes(null, 'eth_call result'), 'eth_call result'],
  ])('%s', async (_name, parse, field) => {
    await expectBad(parse, field)
  })

  test('never repeats what the node said', async () => {
    const error = await expectBad(inBlock({ hash: '<html>secret</html>' }), 'hash')
    expect(JSON.stringify([error.message, error.facts, error.hint])).not.toContain('secret')
  })
})

async function expectBad(parse: () => unknown, field: string): Promise<AppError> {
  const error = await settle(parse)
  if (!(error instanceof AppError)) throw new Error('The answer was taken for good.', { cause: error })
  expect(error.code).toBe('RPC_BAD_RESPONSE')
  expect(isRetryable(error)).toBe(true)
  expect(error.message).toContain(`no valid ${field}.`)
  return error
}

/** What is thrown, at once or later; null if nothing is. */
async function settle(parse: () => unknown): Promise<unknown> {
  try {
    await parse()
    return null
  } catch (error) {
    return error
  }
}

describe('what waits in a mempool', () => {
  const { blockHash: _blockHash, ...waiting } = transaction

  test('is a body without a block, from nodes that say null and from those that say nothing', () => {
    const read = { hash: hashOf(7), from: addressOf(0xa), to: addressOf(0xb), nonce: 9, input: '0xa9059cbb' }
    expect(parsePending({ ...waiting, blockHash: null })).toMatchObject(read)
    expect(parsePending(waiting)).toMatchObject(read)
  })

  test('is not what a block holds already', () => {
    expect(parsePending(transaction)).toBeNull()
  })

  test('stands in a pool by sender and nonce, in sections of which a node may have some', () => {
    const bodies = [waiting, { hash: 'b' }, { hash: 'c' }]
    const [a, b, c] = bodies
    expect(
      parsePool({ pending: { '0xa': { '9': a } }, queued: { '0xb': { '1': b } }, baseFee: { '0xc': { '1': c } } }),
    ).toEqual([a, c, b])
    expect(parsePool({ pending: { '0xa': null, '0xb': [1] }, queued: 'none' })).toEqual([])
  })

  test.each([null, [], 'pool'])('a pool that is %j is refused', answer => {
    expect(() => parsePool(answer)).toThrow(AppError)
  })

  test('hashes are told from bodies, and brought to lower case', () => {
    const hash = hashOf(0xab)
    expect(parseBareHash(hash.toUpperCase().replace('0X', '0x'))).toBe(hash)
    expect([parseHashOf({ hash }), parseHashOf(hash), parseHashOf({ hash: 5 }), parseHashOf(null)]).toEqual([
      hash,
      null,
      null,
      null,
    ])
    for (const other of ['0xab', `${hash}00`, { hash }, 5, null]) expect(parseBareHash(other)).toBeNull()
  })

  test('the zeros in front of a filter belong to it', () => {
    expect(parseFilterId('0x00ab')).toBe('0x00ab')
    expect(() => parseFilterId(null)).toThrow(AppError)
  })
})
