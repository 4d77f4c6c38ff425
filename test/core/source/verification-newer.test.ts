/**
 * What is newer than the code can't be proved, and says so; and it is no cover for what the code knows.
 */
import { describe, expect, test } from 'vitest'
import { proveBlock } from '../../../src/source/verification/prove.ts'
import { needFixtures } from '../../support/fixtures.ts'
import { type Answer, type Fields, readMainnet } from '../support/answers.ts'
import { addressOf, hashOf } from '../support/build.ts'
import { BLOBS, buildBlock, resend, SENDER } from '../support/built-block.ts'
import { newer, prove, PROVED, wrong } from '../support/verdict.ts'

describe('what is newer than this code', () => {
  const blockAccessListHash = hashOf(0xba1)

  test('a header field that the hash commits to: nothing is proved', async () => {
    const answer = await buildBlock({ header: { blockAccessListHash } })
    expect(await prove(answer)).toEqual(newer('"blockAccessListHash"'))
  })

  test('a header field that the hash does not commit to is passed over', async () => {
    const answer = await buildBlock()
    expect(await proveBlock({ ...answer.block, l1BlockNumber: '0x1' }, answer.receipts)).toEqual(PROVED)
  })

  test('a header field of null is none: a hash that is not that of the others is wrong', async () => {
    const { block } = await buildBlock()
    expect(await proveBlock({ ...block, stateRoot: hashOf(0xbad), blockAccessListHash: null }, null)).toEqual(
      wrong('not those of its hash'),
    )
  })

  test('names of a node are cut short in what is told', async () => {
    const { block } = await buildBlock({ header: { ['x'.repeat(5000)]: '0x1', b: '0x1', c: '0x1', d: '0x1' } })
    const verdict = await proveBlock(block, null)
    expect(verdict.kind === 'newer' ? verdict.reason.length : 0).toBeLessThan(300)
  })

  test('a type of transaction', async () => {
    expect(await prove(resend(await buildBlock(), { type: '0x7e' }))).toEqual(newer('transaction 0 has the type 0x7e'))
    expect(await prove(resend(await buildBlock(), { type: '0x80' }))).toEqual(wrong('the type of transaction 0'))
  })

  test('a type of transaction excuses no other header, and no other sender of a transaction whose type is known', async () => {
    const { block } = resend(await buildBlock(), { type: '0x7e' })
    expect(await proveBlock({ ...block, stateRoot: hashOf(0xbad) }, null)).toEqual(wrong('not those of its hash'))
    const stranger = { ...(await buildBlock()).block.transactions[0], transactionIndex: '0x1', from: addressOf(0xbad) }
    const transactions = [...block.transactions, stranger]
    expect(await proveBlock({ ...block, transactions }, null)).toEqual(wrong('the from of transaction 1'))
  })

  test('a header field excuses no other sender', async () => {
    const answer = resend(await buildBlock({ header: { blockAccessListHash } }), { from: addressOf(0xbad) })
    expect(await prove(answer)).toEqual(
      wrong(`the from of transaction 0 is ${addressOf(0xbad)}, and ${SENDER} signed it`),
    )
  })
})

/** A block with blobs at a price. @param excess of blob gas */
async function priced(excess: number, blobGasPrice: string, header: Fields = {}): Promise<Answer> {
  return buildBlock({
    transaction: BLOBS,
    header: { excessBlobGas: `0x${excess.toString(16)}`, ...header },
    receipt: { blobGasPrice, blobGasUsed: '0x20000' },
  })
}

const CANCUN: Fields = { requestsHash: undefined }

describe('the price of blobs', () => {
  test.each([
    [0, 1],
    [2_314_057, 1],
    [2_314_058, 2],
    [10 * 1024 * 1024, 23],
  ])('of an excess of %i was %i wei in Cancun', async (excess, wei) => {
    expect(await prove(await priced(excess, `0x${wei.toString(16)}`, CANCUN))).toEqual(PROVED)
    expect(await prove(await priced(excess, `0x${(wei + 30).toString(16)}`, CANCUN))).toEqual(
      newer(`the blobGasPrice ${wei + 30} follows no schedule`),
    )
  })

  test('is that of another schedule since Prague, one of three', async () => {
    const verdicts = [23, 8, 3, 2, 4].map(async wei => prove(await priced(10 * 1024 * 1024, `0x${wei.toString(16)}`)))
    expect((await Promise.all(verdicts)).map(({ kind }) => kind)).toEqual([
      'newer',
      'proved',
      'proved',
      'proved',
      'newer',
    ])
  })

  test('that is none, or more than was offered, is wrong', async () => {
    expect(await prove(await priced(0, '0x0'))).toEqual(wrong('the blobGasPrice of receipt 0 is 0'))
    expect(await prove(await priced(0, '0x3b9aca01'))).toEqual(wrong('the blobGasPrice of receipt 0'))
  })

  test('is one price in a block', async context => {
    needFixtures(context)
    const { block, receipts } = readMainnet(22_431_084)
    const withPrices = (...prices: readonly string[]) => {
      const blobs = Iterator.from(prices)
      return (
        receipts?.map(each => (each['type'] === '0x3' ? { ...each, blobGasPrice: blobs.next().value } : each)) ?? null
      )
    }
    expect(await proveBlock(block, withPrices('0x1a6', '0x1a6'))).toEqual(PROVED)
    expect(await proveBlock(block, withPrices('0x1a6', '0x4b'))).toEqual(wrong('is 75, and of one before it 422'))
  })

  test('is passed over where a transaction has no blobs, if it is the one of the block', async () => {
    expect(await prove(await buildBlock({ receipt: { blobGasPrice: '0x1', blobGasUsed: '0x0' } }))).toEqual(PROVED)
  })

  test('of an excess beyond all measure is not computed for ever', async () => {
    const excessBlobGas = `0x${'f'.repeat(64)}`
    expect(await prove(await priced(0, '0x1', { excessBlobGas }))).toEqual(newer('the blobGasPrice 1'))
  })
})
