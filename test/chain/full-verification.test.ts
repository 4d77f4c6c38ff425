/**
 * `verification: "full"` of whole sources: what only a root can show is found out, and what is newer than the code is believed once
 * another endpoint shows it too.
 */

import { afterEach, describe, expect, test } from 'vitest'
import type { Verification } from '../../src/core/chain.ts'
import { interestOf } from '../../src/core/interest.ts'
import { AppError, describeError } from '../../src/errors.ts'
import { createJsonRpcSource } from '../../src/source/json-rpc.ts'
import type { Source } from '../../src/source/source.ts'
import { needFixtures, readMainnetBlock } from '../support/fixtures.ts'
import { prepare, prepareChain, type RpcReceipt } from '../support/replay-chain.ts'
import { type Answer, type Hook, startReplayNode } from '../support/replay-node.ts'

/** A block of Mainnet with blob transactions, whose receipts are there. */
const NUMBER = 22_431_084
const interest = interestOf({ wallet: () => false, transaction: () => false })

const opened: { close(): Promise<void> }[] = []

afterEach(async () => {
  for (const each of opened.splice(0).toReversed()) await each.close()
})

type Setting = { readonly source: Source; readonly troubles: string[] }

async function open(hooks: readonly (Hook | null)[], verification: Verification = 'full'): Promise<Setting> {
  const chain = prepareChain([readMainnetBlock(NUMBER)])
  const nodes = await Promise.all(hooks.map(() => startReplayNode({ chainId: 1, chain })))
  for (const [index, node] of nodes.entries()) node.setHook(hooks[index] ?? null)
  const troubles: string[] = []
  const source = createJsonRpcSource({
    chainId: 1,
    urls: nodes.map(({ url }) => url),
    displayUrl: url => url,
    verification,
    onTrouble: (facts, message) => troubles.push(`${message}: ${JSON.stringify(facts)}`),
  })
  opened.push(...nodes, source)
  return { source, troubles }
}

const signal = () => AbortSignal.timeout(30_000)
const result = (value: unknown): Answer => ({ kind: 'result', json: prepare(value) })
const block = () => readMainnetBlock(NUMBER).block
const receipts = () => readMainnetBlock(NUMBER).receipts ?? []
const instead =
  (method: string, value: () => unknown): Hook =>
  (request, answer) =>
    request.method === method ? result(value()) : answer()

/** The last log that there is, gone: every number and hash that is left still fits. */
function withoutLastLog(): RpcReceipt[] {
  const all = receipts()
  const last = all.findLastIndex(({ logs }) => logs.length > 1)
  return all
    .slice(0, last)
    .concat(
      all
        .slice(last)
        .map((receipt, index) =>
          index === 0 ? { ...receipt, logs: receipt.logs.slice(0, -1) } : { ...receipt, logs: [] },
        ),
    )
}

const withOtherSender = () => ({
  ...block(),
  transactions: block().transactions.map((transaction, index) =>
    index === 3 ? { ...transaction, from: `0x${'a1'.repeat(20)}` } : transaction,
  ),
})

const LIES: readonly (readonly [string, Hook])[] = [
  ['leaves out the last log of a block', instead('eth_getBlockReceipts', withoutLastLog)],
  ['names another sender', instead('eth_getBlockByNumber', withOtherSender)],
  [
    'shows a failed transaction as a good one',
    instead('eth_getBlockReceipts', () => {
      const all = receipts()
      const failed = all.findIndex(({ status }) => status === '0x0')
      return all.with(failed, { ...(all[failed] as RpcReceipt), status: '0x1' })
    }),
  ],
]

/** It is asked again and again, and what it says is held against it each time. */
async function expectDoubted(lie: Hook, ask: (source: Source, until: AbortSignal) => Promise<unknown>): Promise<void> {
  const { source } = await open([lie])
  const enough = new AbortController()
  const answer = ask(source, enough.signal).then(
    () => 'believed',
    (error: unknown) => (error instanceof AppError ? error.code : 'failed'),
  )
  await expect.poll(() => source.health()[0]?.lies, { timeout: 30_000 }).toBeGreaterThanOrEqual(2)
  enough.abort()
  expect(await answer).toBe('ABORTED')
}

describe('a node that', () => {
  test.for(LIES)('%s is believed by `basic` verification, and never by `full`', async ([, lie], context) => {
    needFixtures(context)
    expect((await (await open([lie], 'basic')).source.block(NUMBER, signal())).number).toBe(NUMBER)
    await expectDoubted(lie, (source, until) => source.block(NUMBER, until))
    await expectDoubted(lie, (source, until) => source.history({ from: NUMBER, to: NUMBER }, interest, 'logs', until))
  })

  test.for(LIES)('%s is passed over for one that does not, and it is held against it', async ([, lie], context) => {
    needFixtures(context)
    const { source } = await open([lie, null])
    expect((await source.block(NUMBER, signal())).receipts).toHaveLength(receipts().length)
    expect(source.health().map(({ lies }) => lies)).toEqual([1, 0])
  })
})

/** A field that nobody knows, and so a hash that nobody can prove. */
const newer = (field: string): Hook =>
  instead('eth_getBlockByNumber', () => ({ ...block(), [field]: '0x1', gasUsed: '0x7' }))

describe('a block that is newer than the code', () => {
  test('is taken as by `basic`, with one warning, where the only endpoint shows it', async context => {
    needFixtures(context)
    const { source, troubles } = await open([newer('futureRoot')])
    let taken = 0
    for (let times = 0; times < 6 && taken < 2; times += 1)
      taken += await source.block(NUMBER, signal()).then(
        () => 1,
        () => 0,
      )
    expect(taken).toBe(2)
    expect(troubles).toHaveLength(1)
    expect(troubles[0]).toContain('can not be proved')
  })

  test('is asked of another endpoint first: one alone can pretend', async context => {
    needFixtures(context)
    const { source, troubles } = await open([newer('futureRoot'), null])
    const taken = await source.block(NUMBER, signal())
    expect(taken.hash).toBe(block().hash)
    expect(source.health().map(({ lies }) => lies)).toEqual([1, 0])
    expect(troubles).toEqual([])
  })

  test('is believed where two show the same', async context => {
    needFixtures(context)
    const { source, troubles } = await open([newer('futureRoot'), newer('futureRoot')])
    expect((await source.block(NUMBER, signal())).number).toBe(NUMBER)
    expect(troubles).toHaveLength(1)
  })

  test('is not believed where two show different things', async context => {
    needFixtures(context)
    const { source } = await open([newer('oneRoot'), newer('anotherRoot')])
    const failure = await source.block(NUMBER, signal()).then(() => 'nothing', describeError)
    expect(failure).toContain('no other endpoint says so yet')
  })
})
