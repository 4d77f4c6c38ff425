/**
 * The past of a wallet that is linked late, step by step: by filtered logs and the state of its account, by whole blocks where that is
 * not to be had, and what happens where nodes lie. Every row is compared with what the blocks alone say.
 */

import { afterEach, expect, test } from 'vitest'
import type { Address } from '../../src/core/types.ts'
import { AppError } from '../../src/errors.ts'
import {
  ALICE,
  BOB,
  chain,
  createBusyWorld,
  EARLY,
  HEAD,
  type NodeOptions,
  openScene,
  type Scene,
} from '../support/onboarding-scene.ts'
import type { Answer, Hook, RpcRequest } from '../support/replay-node.ts'
import { accountOf, smallHash } from '../support/small-chain.ts'

const world = createBusyWorld()
const opened: Scene[] = []

afterEach(async () => {
  for (const scene of opened.splice(0)) await scene.close()
})

async function open(options: readonly NodeOptions[] = [{}]): Promise<Scene> {
  const scene = await openScene(world, options)
  opened.push(scene)
  return scene
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
  await scene.expectRows([EARLY, ALICE])
  expect(await scene.complete(ALICE)).toEqual([{ from: 0, to: HEAD, proof: 'filtered' }])
  // Seven blocks changed its account: each is read once for its rows, and once for fees.
  expect(asked(scene, 'eth_getBlockByNumber')).toBeLessThanOrEqual(16)
  const calls = Object.values(scene.nodes[0]?.counters().methods ?? {}).reduce((sum, count) => sum + count, 0)
  expect(calls).toBeLessThanOrEqual(7 * (2 * Math.log2(HEAD) + 10) + 10)
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
  await scene.expectRows([EARLY, BOB])
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
  await scene.expectRows([EARLY, ALICE])
  expect(await scene.complete(ALICE)).toEqual([{ from: 0, to: HEAD, proof: 'basic' }])
})

test('is known better where two nodes agree on what names the wallet', async () => {
  const scene = await open([{}, {}])
  await scene.fill(ALICE)
  await scene.expectRows([EARLY, ALICE])
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
    await scene.expectRows([EARLY, ALICE])
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
  await scene.expectRows([EARLY, ALICE])
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
  await scene.expectRows([EARLY, ALICE])
  expect(await scene.complete(ALICE)).toEqual([{ from: 0, to: HEAD, proof: 'basic' }])
})

test('a balance that rests where a block shows a payment is not believed', async () => {
  const { methods } = world.state()
  // As if the payment of block 41, which is read for its tokens, had never been made.
  const forgetting: NodeOptions = {
    methods: {
      eth_getBalance(params) {
        const told = methods?.['eth_getBalance']?.(params) ?? { kind: 'disconnect' }
        const isLater = params[0] === ALICE && Number(params[1]) >= 41
        if (!isLater || told.kind !== 'result') return told
        const balance = BigInt(JSON.parse(told.json.toString()) as string) - 4n
        return { kind: 'result', json: Buffer.from(JSON.stringify(`0x${balance.toString(16)}`)) }
      },
    },
  }
  const scene = await open([forgetting])
  await scene.fill(ALICE)
  await scene.expectRows([EARLY, ALICE])
  expect(scene.lines.filter(line => line.includes('contradicts a block'))).toHaveLength(1)
  expect(await scene.complete(ALICE)).toEqual([{ from: 0, to: HEAD, proof: 'basic' }])
})

test('of many wallets is read once for all of them', async () => {
  const scene = await open()
  const others = Array.from({ length: 120 }, (_, index) => accountOf(0x10_000 + index))
  await scene.fill(ALICE, BOB, ...others)
  await scene.expectRows([EARLY, ALICE, BOB, ...others])
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
  await scene.expectRows([EARLY])
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
  await scene.expectRows([EARLY, BOB])
  expect(await scene.complete(BOB)).toEqual([{ from: 0, to: HEAD, proof: 'basic' }])
})

test('a wallet that can not be filled rests, and the others are filled', async () => {
  const scene = await open()
  const { store } = scene.context
  const original = { ...store }
  const fails = async (wallet: Address) => {
    if (wallet === ALICE) throw new AppError('RPC_INCONSISTENT', 'That can not be told.')
    return original.hasSent(wallet)
  }
  Object.assign(store, { hasSent: fails })
  await scene.fill(ALICE)
  const work = await scene.context.store.walletWork(chain.id, ALICE)
  expect(work).toMatchObject({
    isClaimed: false,
    failures: 1,
    lastError: expect.stringContaining('That can not be told') as string,
  })
  await scene.fill(BOB)
  await scene.expectRows([EARLY, BOB])
  Object.assign(store, original)
  await scene.database.sql`update indexer.onboarding set rests_until = now()`
  await scene.fill()
  await scene.expectRows([EARLY, BOB, ALICE])
})
