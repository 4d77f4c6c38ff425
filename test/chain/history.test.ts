/**
 * History at the lowest cost: blocks and their logs by range, receipts only where nothing else tells, and what happens where logs lie.
 */

import { afterEach, expect, test } from 'vitest'
import { type Interest, interestOf } from '../../src/core/interest.ts'
import { sieveBlock } from '../../src/core/sieve.ts'
import type { Hex } from '../../src/core/types.ts'
import { createJsonRpcSource } from '../../src/source/json-rpc.ts'
import type { Source } from '../../src/source/source.ts'
import { prepare, prepareChain, type ReplayBlock, type RpcLog } from '../support/replay-chain.ts'
import { type Answer, type Hook, type ReplayNode, startReplayNode } from '../support/replay-node.ts'
import { accountOf, smallBlock, smallBlocks, smallHash } from '../support/small-chain.ts'

const CHAIN_ID = 31_337
const HEAD = 200
const USER = accountOf(0xa11ce)
/** Block 120 pays the user; block 150 has a failed payment to them. In block 130 they get tokens, in block 140 somebody asks about a transaction. */
const SOUGHT = smallHash('transaction', 140, 1)
const blocks = smallBlocks(HEAD, number => {
  if (number === 120) return [{ value: 1n }, { to: USER, value: 9n }]
  if (number === 130) return [{ tokensTo: [accountOf(7), USER] }, {}]
  if (number === 150)
    return [
      { to: USER, value: 9n, fails: true },
      { from: USER, tokensTo: [accountOf(7)] },
    ]
  if (number === 160) return []
  return [{ tokensTo: [accountOf(3), accountOf(4)] }, { value: 5n }]
})
const interest: Interest = interestOf({
  wallet: address => address === USER,
  transaction: hash => hash === SOUGHT,
})
const nobody: Interest = interestOf({ wallet: () => false, transaction: () => false })

const opened: { close(): Promise<void> }[] = []

afterEach(async () => {
  for (const each of opened.splice(0).toReversed()) await each.close()
})

async function open(
  hooks: readonly (Hook | null)[] = [null],
  chain = blocks,
): Promise<{ nodes: ReplayNode[]; source: Source }> {
  const nodes = await Promise.all(
    hooks.map(async hook => {
      const node = await startReplayNode({ chainId: CHAIN_ID, chain: prepareChain(chain) })
      node.setHook(hook)
      return node
    }),
  )
  const source = createJsonRpcSource({ chainId: CHAIN_ID, urls: nodes.map(({ url }) => url), displayUrl: url => url })
  opened.push(...nodes, source)
  await source.head(AbortSignal.timeout(5_000))
  for (const node of nodes) node.resetCounters()
  return { nodes, source }
}

const signal = () => AbortSignal.timeout(30_000)
const range = { from: 101, to: 200 }
const logsOf = ({ receipts }: ReplayBlock) => receipts?.flatMap(({ logs }) => logs) ?? []
const result = (value: unknown): Answer => ({ kind: 'result', json: prepare(value) })
const onLogs =
  (answerLogs: (from: number, to: number, answer: () => Answer) => Answer): Hook =>
  ({ method, params: [filter] }, answer) => {
    if (method !== 'eth_getLogs') return answer()
    const { fromBlock, toBlock } = filter as { fromBlock: Hex; toBlock: Hex }
    return answerLogs(Number(fromBlock), Number(toBlock), answer)
  }
/** The logs of a range, each block's list changed. */
const spoilt = (change: (logs: readonly RpcLog[], number: number) => readonly RpcLog[]): Hook =>
  onLogs((from, to) =>
    result(blocks.slice(from, to + 1).flatMap((block, index) => change(logsOf(block), from + index))),
  )

/** What a row would rest on: outcomes of what interests, and every log. */
const essence = (taken: Awaited<ReturnType<Source['history']>>) =>
  taken.map(({ number, hash, transactions, receipts }) => ({
    number,
    hash,
    logs: receipts.map(({ logs }) =>
      logs.map(({ address, topics, data, logIndex }) => [address, topics, data, logIndex]),
    ),
    outcomes: receipts.map(({ succeeded, logs }, index) => {
      const { from, to, hash: transaction } = transactions[index] ?? {}
      return [from, to].includes(USER) || transaction === SOUGHT || logs.length > 0 ? succeeded : 'nobody cares'
    }),
  }))

async function expectWhole(source: Source): Promise<void> {
  const byLogs = essence(await source.history(range, interest, 'logs', signal()))
  const whole = []
  for (let number = range.from; number <= range.to; number += 1)
    whole.push(sieveBlock(await source.block(number, signal()), interest))
  expect(byLogs).toEqual(essence(whole))
}

test('costs a request a block, one for the logs, and one for each block in which somebody takes part', async () => {
  const { nodes, source } = await open()
  await source.history(range, interest, 'logs', signal())
  expect(nodes[0]?.counters().methods).toMatchObject({ eth_getBlockByNumber: 100, eth_getTransactionReceipt: 3 })
  expect(nodes[0]?.counters().methods['eth_getLogs']).toBeLessThanOrEqual(3)
  expect(nodes[0]?.counters().methods['eth_getBlockReceipts']).toBeUndefined()
})

test('is what the receipts tell', async () => {
  const { source } = await open()
  await expectWhole(source)
})

test('takes all receipts of a block at once where several of its transactions need them', async () => {
  const crowded = [
    ...blocks.slice(0, HEAD),
    smallBlock(HEAD, [{ to: USER, value: 1n }, { from: USER }, { from: USER, fails: true }]),
  ]
  const { nodes, source } = await open([null], crowded)
  const [block] = await source.history({ from: HEAD, to: HEAD }, interest, 'logs', signal())
  expect(block?.receipts.map(({ succeeded }) => succeeded)).toEqual([true, true, false])
  expect(nodes[0]?.counters().methods).toMatchObject({ eth_getBlockReceipts: 1 })
})

test.each<[string, (logs: readonly RpcLog[], number: number) => readonly RpcLog[]]>([
  ['loses all logs of a block', (logs, number) => (number === 130 ? [] : logs)],
  ['loses the last log of a block', (logs, number) => (number === 130 ? logs.slice(0, -1) : logs)],
  ['loses the first log of a block', (logs, number) => (number === 130 ? logs.slice(1) : logs)],
  ['repeats a log', (logs, number) => (number === 130 ? [...logs.slice(0, 1), ...logs] : logs)],
  [
    'mixes in a log of another block under this one’s number',
    (logs, number) => (number === 130 ? logs.map(log => ({ ...log, blockHash: smallHash('block', 131) })) : logs),
  ],
  [
    'changes a topic',
    (logs, number) =>
      number === 130 ? logs.map(log => ({ ...log, topics: [...log.topics.slice(0, 2), `0x${'1'.repeat(64)}`] })) : logs,
  ],
  [
    'gives a log to another transaction',
    (logs, number) => (number === 130 ? logs.map(log => ({ ...log, transactionIndex: '0x1' })) : logs),
  ],
])('a node that %s is found out, and the receipts decide', async (_what, change) => {
  const { nodes, source } = await open([spoilt(change)])
  await expectWhole(source)
  expect(source.health()[0]?.lies).toBe(1)
  // The block that was lied about, and those whose logs were not asked for yet; and all of them to compare with.
  const asked = (nodes[0]?.counters().methods['eth_getBlockReceipts'] ?? 0) - 100
  expect(asked).toBeGreaterThanOrEqual(1)
  expect(asked).toBeLessThanOrEqual(1 + 60)
})

test.each<[string, Hook | null]>([
  [
    'has no eth_getLogs',
    ({ method }, answer) =>
      method === 'eth_getLogs' ? { kind: 'error', code: -32_601, message: 'Method not found' } : answer(),
  ],
  [
    'gives logs of ten blocks at most',
    onLogs((from, to, answer) =>
      to - from < 10
        ? answer()
        : { kind: 'error', code: -32_602, message: 'block range is too large: maximum allowed range is 10 blocks' },
    ),
  ],
  [
    'gives logs of no block at all',
    onLogs(() => ({ kind: 'error', code: -32_005, message: 'query returned more than 10000 results' })),
  ],
  [
    'answers with logs of other blocks',
    onLogs((from, to) => result(logsOf(blocks[from - 1] as ReplayBlock).concat(logsOf(blocks[to] as ReplayBlock)))),
  ],
])('a node that %s costs requests and no row', async (_what, hook) => {
  const { source } = await open([hook, null])
  await expectWhole(source)
})

test('a node without eth_getLogs, alone, is asked for it once', async () => {
  const { nodes, source } = await open()
  nodes[0]?.switchOff('eth_getLogs')
  await expectWhole(source)
  await source.history(range, nobody, 'logs', signal())
  expect(nodes[0]?.counters().methods['eth_getLogs']).toBe(1)
})

test('a chain whose bloom filters say nothing is taken by its receipts', async () => {
  const bare = blocks.map(({ block, receipts }) => ({
    block: { ...block, logsBloom: Number(block.logsBloom) === 0 ? block.logsBloom : `0x${'f'.repeat(512)}` },
    receipts,
  }))
  const { source } = await open([null], bare)
  await expectWhole(source)
})

test('a block that comes before its logs are processed is not believed to have none', async () => {
  let early = true
  const { source } = await open([spoilt((logs, number) => (early && number > 190 ? [] : logs))])
  const taken = essence(await source.history(range, interest, 'logs', signal()))
  early = false
  expect(taken).toEqual(essence(await source.history(range, interest, 'logs', signal())))
})
