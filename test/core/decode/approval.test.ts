import { expect, test } from 'vitest'
import { APPROVAL, APPROVAL_FOR_ALL } from '../../../src/core/decode/approval.ts'
import type { Hex, Log, Metadata } from '../../../src/core/types.ts'
import { ALICE, BOB, CAROL, chainOf, decodeLog, hashOf, KITTY, NFT, tokensOf, words, ZERO } from '../support/build.ts'

const topic = (address: Hex) => hashOf(BigInt(address))
const erc20 = (value: bigint | number): Partial<Log> => ({
  topics: [APPROVAL, topic(ALICE), topic(CAROL)],
  data: words(value),
})
const LIMIT = 2n ** 96n - 1n

test.each<[string, Partial<Log>, string, bigint | null, Metadata]>([
  ['an allowance', erc20(7), 'erc20', 7n, { spender: CAROL }],
  ['no allowance', erc20(0), 'erc20', 0n, { spender: CAROL, revoked: true }],
  ['one below the limit is an amount', erc20(LIMIT - 1n), 'erc20', LIMIT - 1n, { spender: CAROL }],
  ['the limit is unlimited', erc20(LIMIT), 'erc20', LIMIT, { spender: CAROL, unlimited: true }],
  ['the most is unlimited', erc20(2n ** 256n - 1n), 'erc20', 2n ** 256n - 1n, { spender: CAROL, unlimited: true }],
  [
    'one piece',
    { topics: [APPROVAL, topic(ALICE), topic(CAROL), hashOf(7)] },
    'pieces',
    null,
    { spender: CAROL, token_id: '7' },
  ],
  [
    'one piece, taken back',
    { topics: [APPROVAL, topic(ALICE), topic(ZERO), hashOf(7)] },
    'pieces',
    null,
    { spender: ZERO, token_id: '7', revoked: true },
  ],
  [
    'one piece with the id 0 is not revoked',
    { topics: [APPROVAL, topic(ALICE), topic(CAROL), hashOf(0)] },
    'pieces',
    null,
    { spender: CAROL, token_id: '0' },
  ],
  [
    'all pieces',
    { topics: [APPROVAL_FOR_ALL, topic(ALICE), topic(CAROL)], data: words(1) },
    'pieces',
    null,
    { operator: CAROL, all: true },
  ],
  [
    'all pieces, taken back',
    { topics: [APPROVAL_FOR_ALL, topic(ALICE), topic(CAROL)], data: words(0) },
    'pieces',
    null,
    { operator: CAROL, all: true, revoked: true },
  ],
  ['nothing indexed', { topics: [APPROVAL], data: words(ALICE, CAROL, 7) }, 'erc20', 7n, { spender: CAROL }],
  [
    'the owner alone indexed',
    { topics: [APPROVAL, topic(ALICE)], data: words(CAROL, 7) },
    'erc20',
    7n,
    { spender: CAROL },
  ],
])('%s', (_name, log, kind, rawAmount, metadata) => {
  const { activities, oddities } = decodeLog(log)
  expect(activities).toMatchObject([{ wallet: ALICE, type: 'APPROVAL', asset: { kind }, rawAmount }])
  expect(activities[0]?.metadata).toEqual(metadata)
  expect(oddities).toEqual([])
})

test('an approval with nothing indexed is of one piece where the chain file says that the contract is ERC-721', () => {
  const log = { address: NFT, topics: [APPROVAL], data: words(ALICE, CAROL, 7) }
  expect(decodeLog(log, { chain: chainOf({ tokens: tokensOf(KITTY) }) }).activities).toMatchObject([
    { rawAmount: null, asset: { kind: 'pieces' }, metadata: { token_id: '7' } },
  ])
})

test('it is the owner’s, not the spender’s, whoever sent it', () => {
  const log = { topics: [APPROVAL, topic(ALICE), topic(BOB)], data: words(7) }
  expect(decodeLog(log).briefs).toEqual(['alice APPROVAL 7 erc20'])
  expect(decodeLog(log, { tracked: [BOB] })).toMatchObject({ briefs: [], oddities: [] })
})

test.each<[string, Partial<Log>]>([
  ['no data', { topics: [APPROVAL, topic(ALICE), topic(CAROL)] }],
  ['too much data', { topics: [APPROVAL, topic(ALICE), topic(CAROL)], data: words(7, 8) }],
  ['no topics', { topics: [APPROVAL] }],
  ['a dirty owner', { topics: [APPROVAL, hashOf(2n ** 200n), topic(CAROL)], data: words(7) }],
  ['a dirty spender', { topics: [APPROVAL, topic(ALICE), hashOf(2n ** 200n)], data: words(7) }],
  ['for all, no data', { topics: [APPROVAL_FOR_ALL, topic(ALICE), topic(CAROL)] }],
])('%s is counted and passed', (_name, log) => {
  expect(decodeLog(log)).toMatchObject({ briefs: [], oddities: [`shape:${log.topics?.[0]}`] })
})
