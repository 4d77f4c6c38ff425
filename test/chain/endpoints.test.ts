/**
 * Several endpoints, or one: who is asked, how often, and what is done about those that lag, stall, err or refuse.
 */

import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { describeError } from '../../src/errors.ts'
import { interestOf } from '../../src/core/interest.ts'
import { createJsonRpcSource, type SourceOptions } from '../../src/source/json-rpc.ts'
import type { Source } from '../../src/source/source.ts'
import { prepareChain } from '../support/replay-chain.ts'
import { type Answer, type Hook, type ReplayNode, startReplayNode } from '../support/replay-node.ts'
import { accountOf, smallBlocks } from '../support/small-chain.ts'

const CHAIN_ID = 31_337
const HEAD = 50
const blocks = smallBlocks(HEAD + 10)
const chainUpTo = (highest: number) => prepareChain(blocks.slice(0, highest + 1))

let nodes: ReplayNode[] = []
let sources: Source[] = []

beforeEach(() => {
  nodes = []
  sources = []
})

afterEach(async () => {
  for (const each of [...sources, ...nodes]) await each.close()
})

async function startNodes(...heads: readonly number[]): Promise<ReplayNode[]> {
  nodes = await Promise.all(heads.map(highest => startReplayNode({ chainId: CHAIN_ID, chain: chainUpTo(highest) })))
  return nodes
}

function open(options: Partial<SourceOptions> = {}): Source {
  const urls = nodes.map(({ url }) => url)
  const source = createJsonRpcSource({ chainId: CHAIN_ID, urls, displayUrl: url => new URL(url).origin, ...options })
  sources.push(source)
  return source
}

const signal = () => AbortSignal.timeout(30_000)
const asked = (node: ReplayNode | undefined) =>
  Object.values(node?.counters().methods ?? {}).reduce((sum, count) => sum + count, 0)
const silence: Hook = () => ({ kind: 'silence' })
const refusal = (code: number, message: string): Answer => ({ kind: 'error', code, message })
const tooMany = (seconds?: number): Answer => ({
  kind: 'http',
  status: 429,
  body: 'Too Many Requests',
  ...(seconds === undefined ? {} : { headers: { 'retry-after': String(seconds) } }),
})

async function took(work: Promise<unknown>): Promise<number> {
  const started = performance.now()
  await work
  return performance.now() - started
}

const failureOf = (work: Promise<unknown>) =>
  work.then(
    () => 'nothing',
    (error: unknown) => describeError(error),
  )

describe('with several endpoints', () => {
  test('one that falls silent costs a second or two, once, and is asked last from then on', async () => {
    const [first] = await startNodes(HEAD, HEAD, HEAD)
    const source = open()
    await source.head(signal())
    first?.setHook(silence)
    expect(await took(source.head(signal()))).toBeLessThan(4_000)
    const before = asked(first)
    expect(await took(Promise.all([1, 2, 3, 4].map(number => source.block(number, signal()))))).toBeLessThan(1_500)
    expect(asked(first)).toBe(before)
  })

  test('two of three that fall silent cost a few seconds', async () => {
    const [first, second] = await startNodes(HEAD, HEAD, HEAD)
    const source = open()
    first?.setHook(silence)
    second?.setHook(silence)
    expect(await took(source.block(7, signal()))).toBeLessThan(6_000)
  })

  test('the head is the newest that any of them showed lately', async () => {
    const [, ahead] = await startNodes(HEAD, HEAD + 3)
    const source = open()
    expect((await source.head(signal())).number).toBe(HEAD)
    // Looking around shows that the other one is further on.
    expect((await source.next(HEAD + 1, 1, signal()))?.number).toBe(HEAD + 1)
    expect((await source.head(signal())).number).toBe(HEAD + 3)
    expect(asked(ahead)).toBeGreaterThan(0)
  })

  test('one that stands still is not asked for the tip any more', async () => {
    const [still] = await startNodes(HEAD, HEAD + 3)
    const source = open()
    await source.head(signal())
    expect(await source.next(HEAD + 1, 0, signal())).toBeNull()
    expect((await source.next(HEAD + 1, 1, signal()))?.number).toBe(HEAD + 1)
    const before = asked(still)
    expect((await source.next(HEAD + 2, 0, signal()))?.number).toBe(HEAD + 2)
    expect(asked(still)).toBe(before)
    expect(source.health()[0]).toMatchObject({ state: 'lagging', head: HEAD, healthy: true })
  })

  test('a block that one of them does not have yet is taken from another, and that is no failure', async () => {
    const [behind] = await startNodes(HEAD, HEAD + 1)
    const source = open()
    expect((await source.block(HEAD + 1, signal())).number).toBe(HEAD + 1)
    expect(asked(behind)).toBeGreaterThan(0)
    expect(source.health()[0]).toMatchObject({ lies: 0, healthy: true })
  })

  test('one that serves another chain is never believed', async () => {
    await startNodes(HEAD)
    const stranger = await startReplayNode({ chainId: 5, chain: chainUpTo(HEAD + 9) })
    nodes = [stranger, ...nodes]
    const source = open()
    expect((await source.head(signal())).number).toBe(HEAD)
    expect(source.health()[0]?.lastError).toContain('serves chain 5')
  })

  test('what does not fit is asked of another one and held against the first', async () => {
    const [liar] = await startNodes(HEAD, HEAD)
    liar?.setHook(({ method, params }, answer) =>
      method === 'eth_getBlockReceipts'
        ? { kind: 'result', json: chainUpTo(HEAD).receipts(Number(params[0]) - 1) as Buffer }
        : answer(),
    )
    const source = open()
    expect((await source.block(20, signal())).receipts).toHaveLength(2)
    expect(source.health().map(({ lies }) => lies)).toEqual([1, 0])
  })

  test('state that one of them has pruned is asked of the others, before it counts as gone', async () => {
    await startNodes(HEAD)
    const archive = await startReplayNode({ chainId: CHAIN_ID, chain: chainUpTo(HEAD), nonce: () => 7 })
    nodes = [...nodes, archive]
    const source = open()
    expect(await source.nonceAt('0x0000000000000000000000000000000000000001', 3, signal())).toBe(7)
    const before = asked(nodes[0])
    await source.nonceAt('0x0000000000000000000000000000000000000001', 4, signal())
    expect(asked(nodes[0])).toBe(before)
    expect(source.health().map(({ abilities }) => abilities['archive'])).toEqual([false, null])
  })

  test('two keys at one provider are two endpoints with names of their own', async () => {
    const [node] = await startNodes(HEAD)
    const source = open({ urls: [`${node?.url}/v2/first-key-of-many`, `${node?.url}/v2/second-key-of-many`] })
    expect(source.health().map(({ name }) => name)).toEqual([node?.url, `${node?.url} (2)`])
  })
})

describe('with one endpoint', () => {
  test('that says how long to leave it alone, it is left alone for as long', async () => {
    const [node] = await startNodes(HEAD)
    const source = open()
    await source.head(signal())
    node?.setHook(() => tooMany(20))
    expect(await failureOf(source.head(signal()))).toMatch(/no endpoint that may be asked now \(.*: throttled\)/)
    const before = asked(node)
    expect(await failureOf(source.head(signal()))).toContain('no endpoint that may be asked now')
    expect(await failureOf(source.block(3, signal()))).toContain('no endpoint that may be asked now')
    expect(asked(node)).toBe(before)
    expect(source.health()[0]).toMatchObject({ state: 'throttled', healthy: false })
  })

  test.each<[string, Answer]>([
    ['that answers 429 without a word', tooMany()],
    ['that answers 402', { kind: 'http', status: 402, body: 'Payment Required' }],
    ['whose quota is used up', refusal(-32_005, 'daily request count exceeded, request rate limited')],
  ])('%s, few questions are put to it until it serves again', async (_what, answer) => {
    const [node] = await startNodes(HEAD)
    const source = open()
    await source.head(signal())
    node?.setHook(() => answer)
    const before = asked(node)
    await failureOf(source.head(AbortSignal.timeout(3_000)))
    expect(asked(node) - before).toBeLessThanOrEqual(3)
    node?.setHook(null)
    const until = performance.now() + 25_000
    while ((await failureOf(source.head(signal()))) !== 'nothing') expect(performance.now()).toBeLessThan(until)
  })

  test('a block that is not there yet is waited for', async () => {
    const [node] = await startNodes(HEAD)
    const source = open()
    const block = source.block(HEAD + 1, signal())
    await source.head(signal())
    node?.serve(chainUpTo(HEAD + 1))
    expect((await block).number).toBe(HEAD + 1)
  })

  test('that has the receipts of a block by one question only after a while, both are waited for', async () => {
    const [node] = await startNodes(HEAD)
    const source = open()
    let nulls = 2
    node?.setHook(({ method }, answer) =>
      method === 'eth_getBlockReceipts' && nulls-- > 0 ? { kind: 'result', json: Buffer.from('null') } : answer(),
    )
    expect((await source.block(HEAD, signal())).receipts).toHaveLength(2)
  })

  test('without eth_getBlockReceipts the receipts are asked one by one, and nothing is asked twice for it', async () => {
    const [node] = await startNodes(HEAD)
    node?.switchOff('eth_getBlockReceipts')
    const source = open()
    for (const number of [3, 4, 5]) await source.block(number, signal())
    expect(node?.counters().methods).toMatchObject({ eth_getBlockReceipts: 1, eth_getTransactionReceipt: 6 })
    expect(source.health()[0]?.abilities['blockReceipts']).toBe(false)
  })

  test('without eth_getBlockReceipts, of a block that concerns few, its logs tell and few receipts are asked for', async () => {
    const [node] = await startNodes(HEAD)
    node?.switchOff('eth_getBlockReceipts')
    const source = open()
    const known = accountOf(2)
    // In each block one transaction has a log, and one pays `known` without any.
    const interest = interestOf({ wallet: address => address === known, transaction: () => false })
    for (const number of [3, 4, 5]) {
      const { receipts } = await source.block(number, signal(), interest)
      expect(receipts.map(({ succeeded, gasUsed }) => [succeeded, gasUsed === null])).toEqual([
        [true, true],
        [true, false],
      ])
    }
    const nobody = interestOf({ wallet: () => false, transaction: () => false })
    expect((await source.next(6, 0, signal(), nobody))?.receipts.map(({ succeeded }) => succeeded)).toEqual([
      true,
      null,
    ])
    expect(node?.counters().methods).toMatchObject({
      eth_getBlockReceipts: 1,
      eth_getBlockByNumber: 4,
      eth_getLogs: 4,
      eth_getTransactionReceipt: 3,
    })
  })

  test('its daily budget is not overdrawn, and backfill leaves live following its part', async () => {
    const [node] = await startNodes(HEAD)
    const source = open({ limits: { requestsPerDay: 40 }, blockTimeSeconds: 3_600 })
    const background = source.inBackground()
    let blocksTaken = 0
    while ((await failureOf(background.block(blocksTaken, signal()))) === 'nothing') blocksTaken += 1
    expect(blocksTaken).toBeLessThan(20)
    expect((await source.head(signal())).number).toBe(HEAD)
    while ((await failureOf(source.head(signal()))) === 'nothing') continue
    expect(asked(node)).toBe(40)
    expect(source.health()[0]).toMatchObject({ state: 'budget', today: 40, perDay: 40 })
  })

  test('what other processes asked today counts too', async () => {
    const [node] = await startNodes(HEAD)
    let total = 990
    const added: number[] = []
    const ledger = {
      add: async (_chain: number, _endpoint: string, _day: number, requests: number) => {
        added.push(requests)
        return (total += requests)
      },
    }
    const source = open({ limits: { requestsPerDay: 1_000 }, ledger })
    while ((await failureOf(source.head(signal()))) === 'nothing') continue
    expect(asked(node)).toBeLessThanOrEqual(10)
    await source.close()
    expect(added.reduce((sum, one) => sum + one, 0)).toBe(asked(node))
  })

  test('a rate that is set is kept', async () => {
    await startNodes(HEAD)
    const source = open({ limits: { requestsPerSecond: 40 } })
    await source.head(signal())
    // Forty requests, of which the first ten may come at once.
    expect(
      await took(Promise.all(Array.from({ length: 20 }, (_, number) => source.block(number, signal())))),
    ).toBeGreaterThan(650)
  })

  test('live questions come before those of a backfill', async () => {
    const [node] = await startNodes(HEAD)
    const order: string[] = []
    node?.setHook(({ params }, answer) => {
      order.push(String(params[0]))
      return answer()
    })
    const source = open({ limits: { concurrency: 1 } })
    await source.head(signal())
    const background = source.inBackground()
    const history = Promise.all(Array.from({ length: 10 }, (_, number) => background.header(number, signal())))
    await source.header(40, signal())
    expect(order.indexOf('0x28')).toBeLessThan(5)
    await history
  })
})
