/**
 * Wallets that are linked while history is fetched: what was sieved without them is noted as lacking, and filling it loses nothing.
 */

import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Hex } from '../../src/core/types.ts'
import { createDatabase, type TestDatabase } from '../support/database.ts'
import { createIndexer, testChain } from '../support/indexer.ts'
import { indexRange, readActivities } from '../support/program.ts'
import { prepareChain } from '../support/replay-chain.ts'
import { type ReplayNode, startReplayNode } from '../support/replay-node.ts'
import { accountOf, smallBlocks } from '../support/small-chain.ts'

const LAST = 700
const ALICE = accountOf(0xa11ce)
const BOB = accountOf(0xb0b)
const STRANGER = accountOf(0x5)
const chain = testChain({ confirmations: 1 })
/** Each block pays somebody; of Bob every third says something, now and then with Alice in the same transaction. */
const blocks = smallBlocks(LAST + 50, number => [
  { from: STRANGER, to: number % 3 === 0 ? BOB : accountOf(9), value: BigInt(number) },
  { from: number % 5 === 0 ? ALICE : STRANGER, tokensTo: number % 7 === 0 ? [BOB, ALICE] : [accountOf(9)] },
  { from: number % 11 === 0 ? BOB : STRANGER, fails: number % 2 === 0 },
])

let database: TestDatabase
let node: ReplayNode

beforeEach(async () => {
  database = await createDatabase()
  node = await startReplayNode({ chainId: chain.id, chain: prepareChain(blocks) })
})

afterEach(async () => {
  await node.close()
  await database.drop()
})

const link = ({ sql }: TestDatabase, wallet: Hex) => sql`insert into users (wallet_address) values (${wallet})`

/** Takes the whole range, for the set or for some wallets. */
async function take({ url }: TestDatabase, wallets: readonly Hex[] | null) {
  const indexer = createIndexer(url, [{ chain, url: node.url }])
  const signal = AbortSignal.timeout(60_000)
  try {
    await indexer.registry.refresh('now')
    const context = indexer.context(chain.id)
    await indexRange(context, 1, LAST, signal, wallets)
    // Where comparing the users takes long it is not done before each commit: what was missed is noted when it is.
    await indexer.registry.refresh('now')
    return {
      set: await indexer.store.coverage(chain.id),
      bob: await indexer.store.walletCoverage(chain.id, BOB),
    }
  } finally {
    await indexer.close()
  }
}

const facts = async (of: TestDatabase) =>
  (await readActivities(of)).map(({ id, wallet, type, blockNumber }) => [id, wallet, type, blockNumber])

test.each([1, 150, 200, 333, LAST])(
  'a wallet that is linked while block %i is answered lacks what was fetched before, and no row once it is filled',
  async height => {
    await link(database, ALICE)
    let isLinked = false
    node.setHook(async ({ method, params: [number] }, answer) => {
      if (method === 'eth_getBlockByNumber' && Number(number) === height && !isLinked) {
        isLinked = true
        await link(database, BOB)
      }
      return answer()
    })
    const { set, bob } = await take(database, null)
    node.setHook(null)
    expect(set).toEqual([{ from: 1, to: LAST }])
    // Who was not there when the block was asked for can't count on it.
    expect(bob.some(({ from, to }) => from <= height && height <= to)).toBe(false)
    const filled = await take(database, [BOB])
    expect(filled.bob).toEqual([{ from: 1, to: LAST }])

    const whole = await createDatabase()
    try {
      await link(whole, ALICE)
      await link(whole, BOB)
      expect((await take(whole, null)).bob).toEqual([{ from: 1, to: LAST }])
      expect(await facts(database)).toEqual(await facts(whole))
    } finally {
      await whole.drop()
    }
  },
)
