/**
 * A block is proved by its hash: real ones of every fork, blocks that real ones lack, and whatever else a node may answer.
 */
import { keccak256, toRlp, type TransactionSerializable } from 'viem'
import { describe, expect, test } from 'vitest'
import { BloomMaker } from '../../../src/source/verification/bloom.ts'
import { itemOf } from '../../../src/source/verification/fields.ts'
import { proveBlock } from '../../../src/source/verification/prove.ts'
import { encodeReceipt } from '../../../src/source/verification/receipts.ts'
import { rootOf } from '../../../src/source/verification/trie.ts'
import { needFixtures } from '../../support/fixtures.ts'
import {
  type Answer,
  apply,
  type Fields,
  pathsOf,
  readAllOfMainnet,
  readMainnet,
  readTestChain,
  UNPROVABLE_BLOCKS,
  valueAt,
} from '../support/answers.ts'
import { addressOf, hashOf } from '../support/build.ts'
import { buildBlock, type Plan, SENDER } from '../support/built-block.ts'
import { atLeast, fc } from '../support/property.ts'

const PROVED = { kind: 'proved' }

const prove = ({ block, receipts }: Answer) => proveBlock(block, receipts)

const wrong = (problem: string) => ({ kind: 'wrong', problem: expect.stringContaining(problem) as string })
const newer = (reason: string) => ({ kind: 'newer', reason: expect.stringContaining(reason) as string })

const CALL: TransactionSerializable = {
  ...{ type: 'eip1559', chainId: 1, nonce: 5, to: addressOf(0xb0b), value: 3n, gas: 21_000n },
  ...{ maxFeePerGas: 10n, maxPriorityFeePerGas: 1n },
}
const LEGACY: TransactionSerializable = { type: 'legacy', nonce: 5, to: addressOf(0xb0b), gas: 21_000n, gasPrice: 10n }
const BLOBS: TransactionSerializable = {
  ...{ type: 'eip4844', chainId: 1, nonce: 5, to: addressOf(0xb0b), gas: 21_000n, maxFeePerGas: 10n },
  ...{ maxFeePerBlobGas: 10n ** 9n, blobVersionedHashes: [`0x01${'0'.repeat(62)}`] },
}

const build = (plan: Partial<Plan> = {}) => buildBlock({ transaction: CALL, ...plan })

/** With other fields in its only transaction. */
function resend(answer: Answer, fields: Fields): Answer {
  return {
    ...answer,
    block: { ...answer.block, transactions: answer.block.transactions.map(each => ({ ...each, ...fields })) },
  }
}

describe('real blocks', () => {
  test('of Mainnet from genesis to Prague are proved, with their receipts where somebody kept them', async context => {
    needFixtures(context)
    for (const answer of readAllOfMainnet()) expect(await prove(answer), answer.name).toEqual(PROVED)
  })

  test('of the test chain from Frontier to Osaka, with all types of transactions, are proved', async context => {
    needFixtures(context)
    for (const answer of readTestChain()) expect(await prove(answer), answer.name).toEqual(PROVED)
  })

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

describe('hex', () => {
  const QUANTITIES = new Set(
    [
      'number timestamp difficulty totalDifficulty gasLimit gasUsed size baseFeePerGas blobGasUsed excessBlobGas gas gasPrice value',
      'transactionIndex blockNumber blockTimestamp chainId type v r s yParity maxFeePerGas maxPriorityFeePerGas maxFeePerBlobGas',
      'cumulativeGasUsed effectiveGasPrice status logIndex index validatorIndex amount',
    ].flatMap(line => line.split(' ')),
  )
  const upper = (value: string) => `0x${value.slice(2).toUpperCase()}`
  const padded = (value: string) => (value.length < 66 ? `0x0${value.slice(2)}` : value)

  test('in upper case, and quantities with zeros in front, mean the same', async context => {
    needFixtures(context)
    for (const answer of readTestChain()) {
      let odd = answer
      for (const path of pathsOf(answer)) {
        const before = valueAt(answer, path)
        if (typeof before !== 'string') continue
        const isNonce = path.at(-1) === 'nonce' && path.length > 2
        const isQuantity = QUANTITIES.has(String(path.at(-1))) || isNonce
        odd = apply(odd, { path, how: 'odd', before, after: isQuantity ? padded(upper(before)) : upper(before) })
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
    const answer = await build()
    expect(await proveBlock({ ...answer.block, number }, null)).toEqual(
      wrong('the number of the block has no valid shape'),
    )
  })

  test('of half a byte is no data', async () => {
    expect(await prove(resend(await build(), { input: '0x123' }))).toEqual(wrong('the input of transaction 0'))
  })
})

describe('what is needed for a hash', () => {
  test.each(['mixHash', 'nonce', 'logsBloom', 'withdrawals', 'transactions', 'hash'])(
    'can not be left out: %s',
    async field => {
      const { block } = await build()
      const { [field]: _missing, ...rest } = block as Fields
      const problem = await proveBlock(rest, null)
      expect(problem).toMatchObject({ kind: 'wrong', problem: expect.stringMatching(field) as string })
    },
  )

  test.each(['r', 's', 'accessList', 'maxFeePerGas', 'chainId'])(
    'can not be left out of a transaction: %s',
    async field => {
      expect(await prove(resend(await build(), { [field]: null }))).toEqual(wrong(`transaction 0 has no ${field}`))
    },
  )

  test('is told as missing where a fork has it and the answer has not: the hash is another one', async () => {
    const { block } = await build()
    const { requestsHash: _missing, ...rest } = block as Fields
    expect(await proveBlock(rest, null)).toEqual(wrong('the fields of the header are not those of its hash'))
  })
})

describe('what is newer than this code', () => {
  const blockAccessListHash = hashOf(0xba1)

  test('a header field that the hash commits to: nothing is proved', async () => {
    const answer = await build({ header: { blockAccessListHash } })
    expect(await prove(answer)).toEqual(newer('"blockAccessListHash"'))
  })

  test('a header field that the hash does not commit to is passed over', async () => {
    const answer = await build()
    expect(await proveBlock({ ...answer.block, l1BlockNumber: '0x1' }, answer.receipts)).toEqual(PROVED)
  })

  test('a header field of null is none: a hash that is not that of the others is wrong', async () => {
    const { block } = await build()
    expect(await proveBlock({ ...block, stateRoot: hashOf(0xbad), blockAccessListHash: null }, null)).toEqual(
      wrong('not those of its hash'),
    )
  })

  test('names of a node are cut short in what is told', async () => {
    const { block } = await build({ header: { ['x'.repeat(5000)]: '0x1', b: '0x1', c: '0x1', d: '0x1' } })
    const verdict = await proveBlock(block, null)
    expect(verdict.kind === 'newer' ? verdict.reason.length : 0).toBeLessThan(300)
  })

  test('a type of transaction', async () => {
    expect(await prove(resend(await build(), { type: '0x7e' }))).toEqual(newer('transaction 0 has the type 0x7e'))
    expect(await prove(resend(await build(), { type: '0x80' }))).toEqual(wrong('the type of transaction 0'))
  })

  test('a type of transaction excuses no other header, and no other sender of a transaction whose type is known', async () => {
    const { block } = resend(await build(), { type: '0x7e' })
    expect(await proveBlock({ ...block, stateRoot: hashOf(0xbad) }, null)).toEqual(wrong('not those of its hash'))
    const stranger = { ...(await build()).block.transactions[0], transactionIndex: '0x1', from: addressOf(0xbad) }
    const transactions = [...block.transactions, stranger]
    expect(await proveBlock({ ...block, transactions }, null)).toEqual(wrong('the from of transaction 1'))
  })

  test('a header field excuses no other sender', async () => {
    const answer = resend(await build({ header: { blockAccessListHash } }), { from: addressOf(0xbad) })
    expect(await prove(answer)).toEqual(
      wrong(`the from of transaction 0 is ${addressOf(0xbad)}, and ${SENDER} signed it`),
    )
  })
})

describe('signatures', () => {
  test('from before EIP-155 have no chain, which some nodes call 0', async () => {
    const answer = await build({ transaction: LEGACY })
    expect(answer.block.transactions[0]?.['v']).toMatch(/^0x1[bc]$/)
    expect(await prove(answer)).toEqual(PROVED)
    expect(await prove(resend(answer, { chainId: '0x0' }))).toEqual(PROVED)
    expect(await prove(resend(answer, { chainId: '0x1' }))).toEqual(wrong('the chainId of transaction 0 is 1'))
  })

  test('since EIP-155 commit to the chain, of any size', async () => {
    const chainId = Number.MAX_SAFE_INTEGER
    const answer = await build({ transaction: { ...LEGACY, chainId } })
    expect(await prove(answer)).toEqual(PROVED)
    expect(await prove(resend(answer, { chainId: '0x1' }))).toEqual(wrong(`has to be ${chainId}`))
  })

  test('with s above half the order, as before Homestead, have the same signer', async () => {
    const answer = await build({ transaction: LEGACY, isHighS: true })
    expect(String(answer.block.transactions[0]?.['s'])).toMatch(/^0x[89a-f].{63}$/)
    expect(await prove(answer)).toEqual(PROVED)
  })

  test('that no point of the curve has are wrong, whatever their hash', async () => {
    const answer = await build({ header: { blockAccessListHash: hashOf(1) } })
    const signed = ['0x05', '0x0a', '0x5208', addressOf(0xb0b), '0x03', '0x'] as const
    const zero = { type: '0x0', chainId: null, gasPrice: '0xa', v: '0x1b', r: '0x0', s: '0x0', yParity: '0x0' }
    const hash = keccak256(toRlp([...signed, '0x1b', '0x', '0x']))
    expect(await prove(resend(answer, { ...zero, hash }))).toEqual(wrong('the signature of transaction 0'))
  })
})

describe('lists that a type does not have', () => {
  test.each([
    ['authorizationList', CALL],
    ['blobVersionedHashes', CALL],
    ['accessList', LEGACY],
  ])('may not have entries: %s', async (list, transaction) => {
    const answer = await build({ transaction })
    expect(await prove(resend(answer, { [list]: [] }))).toEqual(PROVED)
    expect(await prove(resend(answer, { [list]: [{}] }))).toEqual(wrong(`transaction 0 has entries in its ${list}`))
  })
})

describe('a new contract', () => {
  const CREATION: TransactionSerializable = { ...CALL, to: null }
  const created = `0x${keccak256(toRlp([SENDER, '0x05'])).slice(-40)}`
  const stranger = addressOf(0xbad)

  test('has the address that follows from its creator and his nonce', async () => {
    const withAddress = (contractAddress: string | null) =>
      build({ transaction: CREATION, receipt: { contractAddress } }).then(prove)
    expect(await withAddress(created)).toEqual(PROVED)
    expect(await withAddress(stranger)).toEqual(
      wrong(`the contractAddress of receipt 0 is ${stranger} and has to be ${created}`),
    )
    expect(await withAddress(null)).toEqual(wrong('the contractAddress of receipt 0 is null'))
  })

  test('that failed may have none, and no other', async () => {
    const failed = { transaction: CREATION, succeeded: false }
    expect(await prove(await build(failed))).toEqual(PROVED)
    expect(await prove(await build({ ...failed, receipt: { contractAddress: created } }))).toEqual(PROVED)
    expect(await prove(await build({ ...failed, receipt: { contractAddress: stranger } }))).toEqual(
      wrong('the contractAddress of receipt 0'),
    )
  })
})

describe('the price of blobs', () => {
  const priced = (excess: number, blobGasPrice: string, header: Fields = {}) =>
    build({
      transaction: BLOBS,
      header: { excessBlobGas: `0x${excess.toString(16)}`, ...header },
      receipt: { blobGasPrice, blobGasUsed: '0x20000' },
    })
  const CANCUN = { requestsHash: undefined }

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

  test('is passed over where a transaction has no blobs, if it is the one of the block', async () => {
    expect(await prove(await build({ receipt: { blobGasPrice: '0x1', blobGasUsed: '0x0' } }))).toEqual(PROVED)
  })

  test('of an excess beyond all measure is not computed for ever', async () => {
    const excessBlobGas = `0x${'f'.repeat(64)}`
    expect(await prove(await priced(0, '0x1', { excessBlobGas }))).toEqual(newer('the blobGasPrice 1'))
  })
})

describe('whatever a node answers', () => {
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
    const hex = fc.string({ unit: fc.constantFrom(...'0123456789abcdefX'), maxLength: 70 }).map(digits => `0x${digits}`)
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
