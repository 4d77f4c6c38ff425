/**
 * A block is proved by its hash: real ones of every fork, and blocks that real ones lack. What is false in one is told.
 */
import { keccak256, toRlp } from 'viem'
import { describe, expect, test } from 'vitest'
import { BloomMaker } from '../../../src/core/bloom.ts'
import { itemOf } from '../../../src/source/verification/fields.ts'
import { proveBlock } from '../../../src/source/verification/prove.ts'
import { encodeReceipt } from '../../../src/source/verification/receipts.ts'
import { rootOf } from '../../../src/source/verification/trie.ts'
import { needFixtures } from '../../support/fixtures.ts'
import { apply, readAllOfMainnet, readMainnet, readTestChain, UNPROVABLE_BLOCKS, valueAt } from '../support/answers.ts'
import { addressOf, hashOf } from '../support/build.ts'
import { buildBlock, CALL, CREATED, CREATION, LEGACY, resend } from '../support/built-block.ts'
import { prove, PROVED, wrong } from '../support/verdict.ts'

describe('real blocks', () => {
  test('of Mainnet from genesis to Prague are proved, with their receipts where somebody kept them', async context => {
    needFixtures(context)
    for (const answer of readAllOfMainnet()) expect(await prove(answer), answer.name).toEqual(PROVED)
  }, 120_000)

  test('of the test chain from Frontier to Osaka, with all types of transactions, are proved', async context => {
    needFixtures(context)
    for (const answer of readTestChain()) expect(await prove(answer), answer.name).toEqual(PROVED)
  }, 120_000)

  test('of which parts are missing are not proved; their receipts root alone can be', async context => {
    needFixtures(context)
    for (const answer of UNPROVABLE_BLOCKS.map(readMainnet)) {
      expect(await prove(answer)).toEqual(wrong('the block has no mixHash'))
      const bloom = new BloomMaker()
      const encoded = (answer.receipts ?? []).map((receipt, index) =>
        encodeReceipt(itemOf(receipt, `receipt ${index}`), Number(receipt['type']), bloom),
      )
      expect(await rootOf(encoded), answer.name).toBe(answer.block['receiptsRoot'])
    }
  })

  test('are proved without their receipts, and not with none of them', async context => {
    needFixtures(context)
    const answer = readMainnet(1_000_000)
    expect(await proveBlock(answer.block, null)).toEqual(PROVED)
    expect(await proveBlock(answer.block, [])).toEqual(wrong('the block has 2 transactions and 0 receipts'))
  })
})

describe('signatures', () => {
  test('from before EIP-155 have no chain, which some nodes call 0', async () => {
    const answer = await buildBlock({ transaction: LEGACY })
    expect(answer.block.transactions[0]?.['v']).toMatch(/^0x1[bc]$/)
    expect(await prove(answer)).toEqual(PROVED)
    expect(await prove(resend(answer, { chainId: '0x0' }))).toEqual(PROVED)
    expect(await prove(resend(answer, { chainId: '0x1' }))).toEqual(wrong('the chainId of transaction 0 is 1'))
  })

  test('since EIP-155 commit to the chain, of any size', async () => {
    const chainId = Number.MAX_SAFE_INTEGER
    const answer = await buildBlock({ transaction: { ...LEGACY, chainId } })
    expect(await prove(answer)).toEqual(PROVED)
    expect(await prove(resend(answer, { chainId: '0x1' }))).toEqual(wrong(`has to be ${chainId}`))
  })

  test('with s above half the order, as before Homestead, have the same signer', async () => {
    const answer = await buildBlock({ transaction: LEGACY, isHighS: true })
    expect(String(answer.block.transactions[0]?.['s'])).toMatch(/^0x[89a-f].{63}$/)
    expect(await prove(answer)).toEqual(PROVED)
  })

  test('have no other parity than 0 and 1, and no other v than that of their chain', async () => {
    const [typed, legacy] = [await buildBlock(), await buildBlock({ transaction: LEGACY })]
    expect(await prove(resend(typed, { yParity: '0x2', v: '0x2' }))).toEqual(wrong('the yParity of transaction 0 is 2'))
    expect(await prove(resend(legacy, { v: '0x1d' }))).toEqual(wrong('the v of transaction 0 is 29'))
    const parity = Number(legacy.block.transactions[0]?.['v']) - 27
    expect(await prove(resend(legacy, { yParity: `0x${parity}` }))).toEqual(PROVED)
    expect(await prove(resend(legacy, { yParity: `0x${1 - parity}` }))).toEqual(wrong('the yParity of transaction 0'))
  })

  test('of an authorization may have v beside yParity, if both say the same', async context => {
    needFixtures(context)
    const answer = readTestChain()[45]
    const place = answer?.block.transactions.findIndex(({ type }) => type === '0x4') ?? -1
    const path = ['block', 'transactions', place, 'authorizationList', 0]
    if (answer === undefined) throw new RangeError('the test chain has no block 45')
    const before = valueAt(answer, path) as { yParity: string }
    const withV = (v: string) => prove(apply(answer, { path, how: 'v', before, after: { ...before, v } }))
    expect(await withV(before.yParity)).toEqual(PROVED)
    expect(await withV(before.yParity === '0x0' ? '0x1' : '0x0')).toEqual(wrong('the v of authorization 0'))
  })

  test('that no point of the curve has are wrong, whatever their hash', async () => {
    const answer = await buildBlock({ header: { blockAccessListHash: hashOf(1) } })
    const signed = ['0x05', '0x0a', '0x5208', addressOf(0xb0b), '0x03', '0x'] as const
    const zero = { type: '0x0', chainId: null, gasPrice: '0xa', v: '0x1b', r: '0x0', s: '0x0', yParity: '0x0' }
    const hash = keccak256(toRlp([...signed, '0x1b', '0x', '0x']))
    expect(await prove(resend(answer, { ...zero, hash }))).toEqual(wrong('the signature of transaction 0'))
  })
})

describe('lies that agree with each other', () => {
  test('a transaction that is kept back with its receipt and its size', async context => {
    needFixtures(context)
    for (const answer of [readMainnet(1_000_000), readMainnet(22_431_084)]) {
      const { size: _size, ...block } = answer.block
      const transactions = answer.block.transactions.slice(0, -1)
      expect(await proveBlock({ ...block, transactions }, answer.receipts?.slice(0, -1) ?? null)).toEqual(
        wrong('the transactions are not those of the transactionsRoot'),
      )
    }
  })

  test('another transaction, rightly signed, in the place of the one that was sent', async () => {
    const [answer, other] = [await buildBlock(), await buildBlock({ transaction: { ...CALL, value: 4n } })]
    const [sent] = other.block.transactions
    const replaced = resend(answer, { ...sent, blockHash: answer.block['hash'] })
    const receipts = answer.receipts?.map(receipt => ({ ...receipt, transactionHash: sent?.['hash'] })) ?? null
    expect(await proveBlock(replaced.block, receipts)).toEqual(
      wrong('the transactions are not those of the transactionsRoot'),
    )
  })

  test('another outcome', async () => {
    const answer = await buildBlock()
    const receipts = answer.receipts?.map(receipt => ({ ...receipt, status: '0x0' })) ?? null
    expect(await proveBlock(answer.block, receipts)).toEqual(wrong('the receipts are not those of the receiptsRoot'))
  })

  test('a log in a block that had none, without a bloom that tells', async () => {
    const { block, receipts } = await buildBlock()
    const place = { blockHash: block['hash'], logIndex: '0x0' }
    const logs = [{ ...place, address: addressOf(1), topics: [], data: '0x', removed: false }]
    const told = receipts?.map(({ logsBloom: _bloom, ...receipt }) => ({ ...receipt, logs })) ?? null
    expect(await proveBlock(block, told)).toEqual(wrong('the receipts are not those of the receiptsRoot'))
  })
})

describe('a header that its own block contradicts', () => {
  test('in the gas that was used', async () => {
    const answer = await buildBlock({ header: { gasUsed: '0x5209' } })
    expect(await prove(answer)).toEqual(wrong('the receipts used 21000 gas, the gasUsed of the block is 21001'))
  })

  test('in the bloom of its logs', async () => {
    const answer = await buildBlock({ header: { logsBloom: `0x8${'0'.repeat(511)}` } })
    expect(await prove(answer)).toEqual(wrong('the logsBloom of the block is not that of its logs'))
  })

  test('in that it has withdrawals, or uncles', async () => {
    const { block } = await buildBlock({ header: { withdrawalsRoot: undefined } })
    expect(await proveBlock(block, null)).toEqual(PROVED)
    expect(await proveBlock({ ...block, withdrawals: [{}] }, null)).toEqual(wrong('no withdrawalsRoot'))
    expect(await proveBlock({ ...block, uncles: [hashOf(1)] }, null)).toEqual(wrong('sha3Uncles promises none'))
    const promised = await buildBlock({ header: { sha3Uncles: hashOf(1) } })
    expect(await prove(promised)).toEqual(wrong('sha3Uncles promises uncles and there are none'))
    const three = { ...promised.block, uncles: [hashOf(1), hashOf(2), hashOf(3)] }
    expect(await proveBlock(three, null)).toEqual(wrong('the block has 3 uncles'))
  })
})

describe('lists that a type does not have', () => {
  test.each([
    ['authorizationList', CALL],
    ['blobVersionedHashes', CALL],
    ['accessList', LEGACY],
  ])('may not have entries: %s', async (list, transaction) => {
    const answer = await buildBlock({ transaction })
    expect(await prove(resend(answer, { [list]: [] }))).toEqual(PROVED)
    expect(await prove(resend(answer, { [list]: [{}] }))).toEqual(wrong(`transaction 0 has entries in its ${list}`))
  })
})

describe('a new contract', () => {
  const stranger = addressOf(0xbad)

  test('has the address that follows from its creator and his nonce', async () => {
    const verdicts = [CREATED, stranger, null].map(async contractAddress =>
      prove(await buildBlock({ transaction: CREATION, receipt: { contractAddress } })),
    )
    expect(await Promise.all(verdicts)).toEqual([
      PROVED,
      wrong(`the contractAddress of receipt 0 is ${stranger} and has to be ${CREATED}`),
      wrong('the contractAddress of receipt 0 is null'),
    ])
  })

  test('that failed may have none, and no other', async () => {
    const failed = { transaction: CREATION, succeeded: false }
    expect(await prove(await buildBlock(failed))).toEqual(PROVED)
    expect(await prove(await buildBlock({ ...failed, receipt: { contractAddress: CREATED } }))).toEqual(PROVED)
    expect(await prove(await buildBlock({ ...failed, receipt: { contractAddress: stranger } }))).toEqual(
      wrong('the contractAddress of receipt 0'),
    )
  })
})
