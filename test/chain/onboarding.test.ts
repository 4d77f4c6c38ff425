/**
 * The past of a wallet that is linked late, step by step: by filtered logs and the state of its account, by whole blocks where that is
 * not to be had, and what happens where nodes lie. Every row is compared with what the blocks alone say.
 */

import { afterEach, expect, test } from 'vitest'
import type { Address, Hex } from '../../src/core/types.ts'
import { AppError } from '../../src/errors.ts'
import { systemClock } from '../../src/runtime/clock.ts'
import { createJsonRpcSource } from '../../src/source/json-rpc.ts'
import type { Source } from '../../src/source/source.ts'
import type { ChainContext } from '../../src/steps/context.ts'
import { onboard } from '../../src/steps/onboard.ts'
import { createStore } from '../../src/store/store.ts'
import { createRegistry } from '../../src/wallets/registry.ts'
import { expectSameRows, isOfTransaction, describeRow, tokenRows } from '../support/compare-rows.ts'
import { createDatabase, type TestDatabase } from '../support/database.ts'
import { testChain } from '../support/indexer.ts'
import { followToHead, readActivities, watch } from '../support/program.ts'
import {
  type Answer,
  type Hook,
  type ReplayNode,
  type ReplayOptions,
  type RpcRequest,
  startReplayNode,
} from '../support/replay-node.ts'
import { accountOf, smallHash } from '../support/small-chain.ts'
import { createWalletWorld, type WalletWorld, type WorldTransaction } from '../support/wallet-world.ts'

const HEAD = 600
const chain = testChain({ confirmations: 3, blockTimeSeconds: 12 })
/** Sends, is paid, and gets tokens; all of it in a few blocks. */
const ALICE = accountOf(0xa11ce)
/** Has only ever been paid. */
const BOB = accountOf(0xb0b)
const EARLY = accountOf(0xea61)
const STRANGER = accountOf(0x57)

function busyAt(number: number): readonly WorldTransaction[] {
  if (number === 0) return []
  if (number === 40) return [{ from: ALICE, to: STRANGER, value: 7n }]
  if (number === 41) return [{ value: 1n }, { from: STRANGER, tokensTo: [ALICE, BOB] }]
  if (number === 300)
    return [
      { from: STRANGER, to: ALICE, value: 9n },
      { from: EARLY, to: BOB, value: 3n },
    ]
  if (number === 301) return [{ from: ALICE, to: BOB, value: 2n, fails: true }]
  if (number === 400) return [{ from: ALICE, tokensTo: [STRANGER] }]
  if (number === 401) return [{ from: STRANGER, to: EARLY, inside: { to: ALICE, value: 500n } }]
  if (number === 500)
    return [
      { from: ALICE, to: ALICE, value: 1n },
      { from: ALICE, to: BOB, value: 11n },
    ]
  return number % 10 === 0 ? [{ from: EARLY, to: STRANGER, value: 1n }] : [{ from: STRANGER, value: 5n }]
}

const world = createWalletWorld()
for (let number = 0; number <= HEAD; number += 1) world.mine(busyAt(number))

const opened: (() => Promise<unknown>)[] = []

afterEach(async () => {
  for (const close of opened.splice(0).toReversed()) await close()
})

type Scene = {
  readonly context: ChainContext
  readonly database: TestDatabase
  readonly nodes: readonly ReplayNode[]
  readonly lines: readonly string[]
  /** Links wallets and fills what is lacking until nothing is. @returns how often it took up some */
  fill(...wallets: readonly Hex[]): Promise<number>
  complete(wallet: Hex): Promise<unknown>
}

type NodeOptions = Partial<ReplayOptions> & { readonly archive?: boolean }

async function open(options: readonly NodeOptions[] = [{}], played: WalletWorld = world): Promise<Scene> {
  const database = await createDatabase()
  const nodes = await Promise.all(
    options.map(({ archive = true, ...more }) =>
      startReplayNode({ chainId: chain.id, chain: played.chain, ...played.state({ archive }), ...more }),
    ),
  )
  const names = new Map(nodes.map(({ url }, index) => [url, `node ${index + 1}`]))
  const source: Source = createJsonRpcSource({
    chainId: chain.id,
    urls: nodes.map(({ url }) => url),
    displayUrl: url => names.get(url) ?? '',
  })
  const store = createStore(database.url)
  opened.push(
    () => database.drop(),
    ...nodes.map(node => () => node.close()),
    () => store.close(),
    () => source.close(),
  )
  const registry = createRegistry(store, systemClock)
  const lines: string[] = []
  const tell = (_facts: object, text: string) => void lines.push(text)
  const log = { debug: tell, info: tell, warn: tell, error: tell }
  const context: ChainContext = {
    chain,
    chains: new Map([[chain.id, chain]]),
    source,
    store,
    registry,
    clock: systemClock,
    log,
  }
  await watch(database, [EARLY])
  await followToHead(context)
  for (const node of nodes) node.resetCounters()
  return {
    context,
    database,
    nodes,
    lines,
    async fill(...wallets) {
      await watch(database, wallets)
      await registry.refresh('now')
      for (let turns = 0; ; turns += 1) {
        if ((await onboard(context, 'test', AbortSignal.timeout(60_000))) === null) return turns
        if (turns > 10) throw new Error('it goes round in circles')
      }
    },
    complete: async wallet => (await store.walletCompleteness(chain.id, wallet)).complete,
  }
}

async function expectRows({ database }: Scene, wallets: readonly Address[], played = world): Promise<void> {
  const rows = await readActivities(database)
  expectSameRows(
    [...rows.filter(isOfTransaction).map(describeRow), ...tokenRows(rows)],
    played.rowsOf(new Set(wallets), played.chain.highest),
  )
}

const asked = (scene: Scene, method: string, node = 0) => scene.nodes[node]?.counters().methods[method] ?? 0
const filterOf = ({ method, params }: RpcRequest) =>
  method === 'eth_getLogs' ? (params[0] as { readonly topics?: unknown }).topics : undefined
/** Leaves logs of some blocks out of answers to filtered questions. */
const losing =
  (...blocks: readonly number[]): Hook =>
  (request, answer) => {
    const told = answer()
    if (filterOf(request) === undefined || told.kind !== 'result') return told
    const logs = JSON.parse(told.json.toString()) as { blockNumber: string }[]
    const kept = logs.filter(({ blockNumber }) => !blocks.includes(Number(blockNumber)))
    return { kind: 'result', json: Buffer.from(JSON.stringify(kept)) }
  }

test('is found without reading the blocks, where nodes tell the state of accounts and filter logs', async () => {
  const scene = await open()
  await scene.fill(ALICE)
  await expectRows(scene, [EARLY, ALICE])
  expect(await scene.complete(ALICE)).toEqual([{ from: 0, to: HEAD, proof: 'filtered' }])
  // Six blocks changed its account, and one more has a log: each is read once for its rows, once for fees.
  expect(asked(scene, 'eth_getBlockByNumber')).toBeLessThanOrEqual(16)
  const calls = Object.values(scene.nodes[0]?.counters().methods ?? {}).reduce((sum, count) => sum + count, 0)
  expect(calls).toBeLessThanOrEqual(6 * (2 * Math.log2(HEAD) + 10) + 10)
  expect(await scene.context.store.walletWork(chain.id, ALICE)).toBeNull()
})

test('tells what came from inside a transaction, and which one it can only have been', async () => {
  const scene = await open()
  await scene.fill(ALICE)
  expect(await scene.context.store.internalValue(chain.id, ALICE, 10)).toEqual([
    { wallet: ALICE, blockNumber: 401, amount: 500n, transactionHash: smallHash('transaction', 401, 0) },
  ])
})

test('of a wallet that never sent anything is read block by block: it could be a contract that is yet to come', async () => {
  const scene = await open()
  await scene.fill(BOB)
  await expectRows(scene, [EARLY, BOB])
  expect(await scene.complete(BOB)).toEqual([{ from: 0, to: HEAD, proof: 'basic' }])
  expect(asked(scene, 'eth_getBlockByNumber')).toBeGreaterThanOrEqual(HEAD)
})

test.each<[string, NodeOptions]>([
  ['keeps the newest state only', { archive: false }],
  ['answers with the newest state, whatever block was asked for', { nonce: () => 6 }],
  [
    'has no eth_getLogs',
    {
      onRequest: ({ method }, answer): Answer =>
        method === 'eth_getLogs' ? { kind: 'error', code: -32_601, message: 'Method not found' } : answer(),
    },
  ],
])('is read block by block where the node %s', async (_what, options) => {
  const scene = await open([options])
  await scene.fill(ALICE)
  await expectRows(scene, [EARLY, ALICE])
  expect(await scene.complete(ALICE)).toEqual([{ from: 0, to: HEAD, proof: 'basic' }])
})

test('is known better where two nodes agree on what names the wallet', async () => {
  const scene = await open([{}, {}])
  await scene.fill(ALICE)
  await expectRows(scene, [EARLY, ALICE])
  expect(await scene.complete(ALICE)).toEqual([{ from: 0, to: HEAD, proof: 'witnessed' }])
  expect(scene.context.source.health().map(({ lies }) => lies)).toEqual([0, 0])
})

test.each([
  [0, 1],
  [1, 0],
])(
  'what one of two nodes leaves out of a filtered answer, the other tells (the liar is node %i)',
  async (liar, honest) => {
    const options: NodeOptions[] = [{}, {}]
    options[liar] = { onRequest: losing(41) }
    const scene = await open(options)
    await scene.fill(ALICE)
    await expectRows(scene, [EARLY, ALICE])
    // From there on only one of them is asked.
    expect(await scene.complete(ALICE)).toEqual([{ from: 0, to: HEAD, proof: 'filtered' }])
    const health = scene.context.source.health()
    expect(health[liar]?.lies).toBe(1)
    expect(health[liar]?.abilities['logs']).toBe(false)
    expect(health[honest]?.lies).toBe(0)
  },
)

test('a node that leaves logs out alone is found out by a block that was read for another reason, and nothing of it is kept', async () => {
  // The block before the one that shows it: by itself it would never be missed.
  const scene = await open([{ onRequest: losing(41, 400) }])
  await scene.fill(ALICE)
  await expectRows(scene, [EARLY, ALICE])
  expect(scene.lines.filter(line => line.includes('contradicts a block'))).toHaveLength(1)
  expect(await scene.complete(ALICE)).toEqual([{ from: 0, to: HEAD, proof: 'basic' }])
})

test('an account that rests where a block shows its transaction is not believed', async () => {
  const { nonce } = world.state()
  // As if the transaction of block 400 had been sent in block 450.
  const shifted: NodeOptions = {
    nonce: (address, block) => nonce?.(address, Number(block) >= 400 && Number(block) < 450 ? 399 : block) ?? null,
  }
  const scene = await open([shifted])
  await scene.fill(ALICE)
  await expectRows(scene, [EARLY, ALICE])
  expect(await scene.complete(ALICE)).toEqual([{ from: 0, to: HEAD, proof: 'basic' }])
})

test('of many wallets is read once for all of them', async () => {
  const scene = await open()
  const others = Array.from({ length: 120 }, (_, index) => accountOf(0x10_000 + index))
  await scene.fill(ALICE, BOB, ...others)
  await expectRows(scene, [EARLY, ALICE, BOB, ...others])
  expect(asked(scene, 'eth_getBlockByNumber')).toBeLessThanOrEqual(HEAD + 1)
  for (const wallet of [ALICE, others[7] ?? ALICE])
    expect(await scene.complete(wallet)).toEqual([{ from: 0, to: HEAD, proof: 'basic' }])
})

test('is left alone as soon as the wallet is unlinked', async () => {
  const scene = await open()
  let isFirst = true
  scene.nodes[0]?.setHook(async (request, answer) => {
    if (isFirst && filterOf(request) !== undefined) {
      isFirst = false
      await scene.context.store.removeFromWatchlist(ALICE)
      await scene.context.registry.refresh('now')
    }
    return answer()
  })
  await scene.fill(ALICE)
  expect(isFirst).toBe(false)
  await expectRows(scene, [EARLY])
  expect(await scene.complete(ALICE)).toEqual([])
})

test('waits with blocks that are not final, and takes them as soon as they are', async () => {
  const scene = await open([{ finalized: HEAD - 30 }])
  await scene.fill(BOB)
  expect(await scene.complete(BOB)).toEqual([{ from: 0, to: HEAD - 30, proof: 'basic' }])
  expect(await scene.context.store.countOnboarding(chain.id)).toEqual({ waiting: 1, working: 0, failing: 0 })
  scene.nodes[0]?.setTags({ finalized: HEAD })
  await scene.database.sql`update indexer.checkpoints set finalized_number = ${HEAD}`
  await scene.fill()
  await expectRows(scene, [EARLY, BOB])
  expect(await scene.complete(BOB)).toEqual([{ from: 0, to: HEAD, proof: 'basic' }])
})

test('a wallet that can not be filled rests, and the others are filled', async () => {
  const scene = await open()
  const { hasSent } = scene.context.store
  const fails = async (wallet: Address) => {
    if (wallet === ALICE) throw new AppError('RPC_INCONSISTENT', 'That can not be told.')
    return hasSent(wallet)
  }
  Object.assign(scene.context.store, { hasSent: fails })
  await scene.fill(ALICE)
  const work = await scene.context.store.walletWork(chain.id, ALICE)
  expect(work).toMatchObject({
    isClaimed: false,
    failures: 1,
    lastError: expect.stringContaining('That can not be told') as string,
  })
  await scene.fill(BOB)
  await expectRows(scene, [EARLY, BOB])
  Object.assign(scene.context.store, { hasSent })
  await scene.database.sql`update indexer.onboarding set rests_until = now()`
  await scene.fill()
  await expectRows(scene, [EARLY, BOB, ALICE])
})
