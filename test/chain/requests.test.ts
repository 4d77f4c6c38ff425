/**
 * What following and backfill cost in calls to a node, counted one by one on a chain that is made for it; and that what was saved was
 * not saved on the rows. How much time and how many idle polls it takes is for the benchmarks: here nothing depends on a clock.
 */

import { afterEach, beforeEach, expect, test } from 'vitest'
import { estimateCost } from '../../src/steps/estimate.ts'
import { compareRows } from '../bench/chain/compare.ts'
import { createCast } from '../bench/chain/cast.ts'
import { type ChainSpec, createChain, FIRST_HEIGHT, type GeneratedChain } from '../bench/chain/generated-chain.ts'
import { type BenchNode, startBenchNode } from '../bench/node/bench-node.ts'
import { chainFile } from '../bench/stage.ts'
import { createDatabase, type TestDatabase } from '../support/database.ts'
import { createIndexer } from '../support/indexer.ts'

const START = FIRST_HEIGHT + 1_000
const CONFIRMATIONS = 12
const FOLLOWED_BLOCKS = 64
const EPOCHS = FOLLOWED_BLOCKS / 32
const HISTORY_BLOCKS = 256
const TOLD_BLOCKS = 600
/** Far enough above a range that all of it is final. */
const FINAL_BLOCKS = 200

let database: TestDatabase
let node: BenchNode

beforeEach(async () => {
  database = await createDatabase()
  node = await startBenchNode()
})

afterEach(async () => {
  await node.close()
  await database.drop()
})

function specOf(concerns: ChainSpec['concerns']): ChainSpec {
  return {
    seed: 5,
    chainId: 31_337,
    wallets: 1_000,
    tracked: 100,
    // Listed, so that no token has to be asked what it is.
    listedTokens: 8,
    unlistedTokens: 0,
    concerns,
    anchor: { height: START, seconds: Math.floor(Date.now() / 1000) },
    blockSeconds: 1,
  }
}

async function addUsers(spec: ChainSpec): Promise<void> {
  const { tracked } = createCast(spec)
  await database.sql`insert into users (wallet_address) select unnest(${tracked as string[]}::text[])`
}

function heightsOf(chain: GeneratedChain, from: number, to: number, concerned: boolean): number[] {
  return Array.from({ length: to - from + 1 }, (_, index) => from + index).filter(
    height => chain.isConcerned(height) === concerned,
  )
}

test.each(['url', 'wsUrl'] as const)(
  'a block costs two calls, a third where a tracked wallet is in it, and an epoch two for its tags (%s)',
  async transport => {
    const spec = specOf({ oneBlockIn: 2 })
    const chain = createChain(spec)
    await addUsers(spec)
    const place = await node.open({ chain: spec, head: START })
    const indexer = createIndexer(database.url, [
      { chain: chainFile(spec, { blockTimeSeconds: 0.05 }), url: place[transport] },
    ])
    const untilAt = (height: number) =>
      indexer.until(`block ${height}`, async () => (await indexer.store.checkpoint(spec.chainId))?.number === height)
    try {
      indexer.start()
      await untilAt(START)
      await indexer.until('what the endpoint can do is known', async () =>
        indexer.lines.some(({ message }) => message === 'What an endpoint can do'),
      )
      await node.resetCounts(spec.chainId)
      for (let block = 1; block <= FOLLOWED_BLOCKS; block += 1) await untilAt(await node.mine(spec.chainId, 1))
    } finally {
      await indexer.close()
    }
    const { kinds, blocks, methods } = await node.counts(spec.chainId)
    const asked = new Map(blocks.map(([height, calls]) => [height, Object.values(calls).reduce((a, b) => a + b, 0)]))
    const end = START + FOLLOWED_BLOCKS
    const most = (concerned: boolean) =>
      Math.max(...heightsOf(chain, START + 1, end, concerned).map(height => asked.get(height) ?? 0))
    expect.soft(most(false), 'calls for a block without a tracked wallet').toBeLessThanOrEqual(2)
    expect.soft(most(true), 'calls for a block with one').toBeLessThanOrEqual(3)
    expect.soft(kinds.tag, 'calls for tags').toBeLessThanOrEqual(2 * EPOCHS)
    // Whether a websocket is alive is asked twice a minute, and a subscription is given back at the end.
    const asides = (methods['net_version'] ?? 0) + (methods['eth_unsubscribe'] ?? 0)
    expect.soft(kinds.other - asides, 'anything else').toBe(0)
    const range = { from: START + 1, to: end }
    const { activities, differences } = await compareRows(database.sql, chain, range, end - CONFIRMATIONS + 1)
    expect(differences).toEqual([])
    expect(activities).toBeGreaterThan(0)
  },
)

test.each([
  ['where few blocks concern a tracked wallet', { oneBlockIn: 50 }, 1.1],
  ['where every block does', 'crowd', 2.1],
] as const)('backfill %s', async (_where, concerns, callsPerBlock) => {
  const spec = specOf(concerns)
  await addUsers(spec)
  const range = { from: START, to: START + HISTORY_BLOCKS - 1 }
  const { url } = await node.open({ chain: spec, head: range.to + FINAL_BLOCKS })
  const indexer = createIndexer(database.url, [{ chain: chainFile(spec), url }])
  try {
    await indexer.backfill(range)
  } finally {
    await indexer.close()
  }
  const { items } = await node.counts(spec.chainId)
  expect.soft(items / HISTORY_BLOCKS, 'calls a block').toBeLessThanOrEqual(callsPerBlock)
  const { activities, differences } = await compareRows(database.sql, createChain(spec), range, range.to)
  expect(differences).toEqual([])
  expect(activities).toBeGreaterThan(0)
})

test('what a backfill will cost is told beforehand, and comes true', async () => {
  const spec = specOf({ oneBlockIn: 50 })
  await addUsers(spec)
  const range = { from: START, to: START + TOLD_BLOCKS - 1 }
  const { url } = await node.open({ chain: spec, head: range.to + FINAL_BLOCKS })
  const indexer = createIndexer(database.url, [{ chain: chainFile(spec), url }])
  try {
    const context = indexer.context(spec.chainId)
    await indexer.registry.refresh('now')
    const told = await estimateCost(context, [range], null, AbortSignal.timeout(30_000))
    await node.resetCounts(spec.chainId)
    await indexer.backfill(range)
    const { items } = await node.counts(spec.chainId)
    expect(told?.days).toBeNull()
    expect(told?.requests).toBeGreaterThan(items * 0.9)
    // A few of its blocks are looked at: one of them may concern somebody, where one in fifty does.
    expect(told?.requests).toBeLessThan(items * 1.3)
  } finally {
    await indexer.close()
  }
})
