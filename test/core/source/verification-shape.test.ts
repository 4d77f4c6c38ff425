/**
 * Whatever JSON comes: hex in every spelling means the same, what is missing is told by its name, and nothing throws.
 */
import { describe, expect, test } from 'vitest'
import { proveBlock } from '../../../src/source/verification/prove.ts'
import { needFixtures } from '../../support/fixtures.ts'
import { apply, digit, type Fields, pathsOf, readTestChain, valueAt } from '../support/answers.ts'
import { addressOf, hashOf } from '../support/build.ts'
import { buildBlock, resend } from '../support/built-block.ts'
import { atLeast, fc } from '../support/property.ts'
import { prove, PROVED, wrong } from '../support/verdict.ts'

const QUANTITIES: ReadonlySet<string> = new Set(
  [
    'number timestamp difficulty totalDifficulty gasLimit gasUsed size baseFeePerGas blobGasUsed excessBlobGas gas gasPrice value',
    'transactionIndex blockNumber blockTimestamp chainId type v r s yParity maxFeePerGas maxPriorityFeePerGas maxFeePerBlobGas',
    'cumulativeGasUsed effectiveGasPrice status logIndex index validatorIndex amount',
  ].flatMap(line => line.split(' ')),
)

function inUpperCase(hex: string): string {
  return `0x${hex.slice(2).toUpperCase()}`
}

/** A quantity has at most 64 digits. */
function withZero(hex: string): string {
  return hex.length < 66 ? `0x0${hex.slice(2)}` : hex
}

describe('hex', () => {
  test('in upper case, and quantities with zeros in front, mean the same', async context => {
    needFixtures(context)
    for (const answer of readTestChain()) {
      let odd = answer
      for (const path of pathsOf(answer)) {
        const before = valueAt(answer, path)
        if (typeof before !== 'string') continue
        const isNonce = path.at(-1) === 'nonce' && path.length > 2
        const isQuantity = QUANTITIES.has(String(path.at(-1))) || isNonce
        const after = isQuantity ? withZero(inUpperCase(before)) : inUpperCase(before)
        odd = apply(odd, { path, how: 'odd', before, after })
      }
      expect(await prove(odd), answer.name).toEqual(PROVED)
    }
  })

  test.each([
    ['a number', 7],
    ['a decimal', '100'],
    ['nothing', '0x'],
    ['more than 32 bytes', `0x1${'0'.repeat(64)}`],
  ])('that is %s is no quantity', async (_what, number) => {
    const answer = await buildBlock()
    expect(await proveBlock({ ...answer.block, number }, null)).toEqual(
      wrong('the number of the block has no valid shape'),
    )
  })

  test('of half a byte is no data', async () => {
    expect(await prove(resend(await buildBlock(), { input: '0x123' }))).toEqual(wrong('the input of transaction 0'))
  })
})

describe('what is needed for a hash', () => {
  test.each(['mixHash', 'nonce', 'logsBloom', 'withdrawals', 'transactions', 'hash'])(
    'can not be left out: %s',
    async field => {
      const { block } = await buildBlock()
      const { [field]: _missing, ...rest } = block as Fields
      const problem = await proveBlock(rest, null)
      expect(problem).toMatchObject({ kind: 'wrong', problem: expect.stringMatching(field) as string })
    },
  )

  test.each(['r', 's', 'accessList', 'maxFeePerGas', 'chainId'])(
    'can not be left out of a transaction: %s',
    async field => {
      expect(await prove(resend(await buildBlock(), { [field]: null }))).toEqual(wrong(`transaction 0 has no ${field}`))
    },
  )

  test('is told as missing where a fork has it and the answer has not: the hash is another one', async () => {
    const { block } = await buildBlock()
    const { requestsHash: _missing, ...rest } = block as Fields
    expect(await proveBlock(rest, null)).toEqual(wrong('the fields of the header are not those of its hash'))
  })
})

describe('whatever a node answers', () => {
  test('is judged and never throws: lists and data of any length', async () => {
    const { block, receipts } = await buildBlock()
    const place = { blockHash: block['hash'], logIndex: '0x0', address: addressOf(1) }
    const withLog = (log: Fields) => receipts?.map(each => ({ ...each, logs: [{ ...place, ...log }] })) ?? null
    const topics = Array.from({ length: 200_000 }, () => hashOf(1))
    expect(await proveBlock(block, withLog({ topics, data: '0x' }))).toEqual(wrong('has 200000 topics'))
    const data = `0x${'Ab'.repeat(5_000_000)}`
    expect(await proveBlock(block, withLog({ topics: [], data }))).toEqual(wrong('logsBloom of receipt 0'))
    expect((await proveBlock({ ...block, extraData: data }, receipts)).kind).toBe('wrong')
  })

  test('is judged and never throws: any JSON', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.jsonValue(),
        fc.oneof(fc.constant(null), fc.array(fc.jsonValue())),
        async (block, receipts) => {
          expect((await proveBlock(block, receipts)).kind).toBe('wrong')
        },
      ),
    )
  })

  test('is judged and never throws: a block with any JSON in some place', async context => {
    needFixtures(context)
    const answers = readTestChain().slice(40)
    const hex = fc.string({ unit: digit, maxLength: 70 }).map(digits => `0x${digits}`)
    const place = fc
      .constantFrom(...answers)
      .chain(answer =>
        fc.tuple(fc.constant(answer), fc.constantFrom(...pathsOf(answer).filter(path => path.length > 1))),
      )
    await fc.assert(
      fc.asyncProperty(place, fc.oneof(fc.jsonValue(), hex), async ([answer, path], after) => {
        const changed = apply(answer, { path, how: 'any JSON', before: undefined, after })
        expect(['proved', 'wrong', 'newer']).toContain((await prove(changed)).kind)
      }),
      atLeast(1000),
    )
  })
})
