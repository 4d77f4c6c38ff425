/**
 * The past of wallets is filled by real processes that are killed and that work beside each other; and beside a chain that goes on.
 */

import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, expect, test } from 'vitest'
import type { Address } from '../../src/core/types.ts'
import { createDaemon } from '../../src/daemon.ts'
import { startJobs } from '../../src/jobs/schedule.ts'
import { onboard } from '../../src/steps/onboard.ts'
import { openWorkplace, type Workplace } from '../support/command-line.ts'
import { describeRow, expectSameRows, isOfTransaction, tokenRows } from '../support/compare-rows.ts'
import { createDatabase, type TestDatabase } from '../support/database.ts'
import { BOB, chain, createBusyWorld, EARLY, HEAD, openScene, type Scene } from '../support/onboarding-scene.ts'
import { readActivities } from '../support/program.ts'
import { type Hook, type ReplayNode, type RpcRequest, startReplayNode } from '../support/replay-node.ts'
import { accountOf } from '../support/small-chain.ts'

const CHAIN_FILE = {
  id: chain.id,
  name: 'local',
  rpc: { env: 'LOCAL_RPC_URL' },
  confirmations: 3,
  startBlock: 0,
  blockTimeSeconds: 12,
  nativeToken: { symbol: 'ETH', decimals: 18 },
}
/** Blocks of the past that a process gets at least before it is killed. */
const READ_BEFORE_KILL = 60

const opened: (() => Promise<unknown>)[] = []

afterEach(async () => {
  for (const close of opened.splice(0).toReversed()) await close()
})

/** The block that a question wants whole; null for other questions. */
function wholeBlock({ method, params }: RpcRequest): number | null {
  return method === 'eth_getBlockByNumber' && params[1] === true && String(params[0]).startsWith('0x')
    ? Number(params[0])
    : null
}

/** Blocks of its past that a wallet has by now. */
async function blocksOf({ sql }: TestDatabase, wallet: Address): Promise<number> {
  const [row] = await sql<{ blocks: number }[]>`
    select coalesce(sum(to_block - from_block + 1), 0)::int as blocks from indexer.wallet_coverage
    where address = ${wallet} and covered`
  return row?.blocks ?? 0
}

async function openProcesses(): Promise<{ database: TestDatabase; node: ReplayNode; workplace: Workplace }> {
  const database = await createDatabase()
  const world = createBusyWorld()
  const node = await startReplayNode({ chainId: chain.id, chain: world.chain, ...world.state({ archive: false }) })
  const env = { DATABASE_URL: database.url, LOCAL_RPC_URL: node.url, LOG_LEVEL: 'debug' }
  const workplace = await openWorkplace([CHAIN_FILE], env)
  opened.push(
    () => database.drop(),
    () => node.close(),
    () => workplace.end(),
  )
  await database.sql`insert into indexer.watchlist (address) values (${EARLY})`
  return { database, node, workplace }
}

test('killed in the middle and started again, a process goes on where the other one was, and no row is there twice', async () => {
  const { database, node, workplace } = await openProcesses()
  const others = Array.from({ length: 20 }, (_, index) => accountOf(0x20_000 + index))
  const wallets = [BOB, ...others]
  const first = workplace.start(['run'])
  await first.until(new RegExp(`"block":${HEAD},`))
  // From here on only the past is asked for: as soon as some of it is written, nothing is answered any more.
  let read = 0
  const silent = Promise.withResolvers<void>()
  node.setHook(async (request, answer) => {
    const number = wholeBlock(request)
    if (number === null || number > HEAD) return answer()
    read += 1
    if (read <= READ_BEFORE_KILL || (await blocksOf(database, BOB)) === 0) return answer()
    silent.resolve()
    return { kind: 'silence' }
  })
  await database.sql`insert into indexer.watchlist (address) select unnest(${wallets as string[]}::text[])`
  await silent.promise
  first.signal('SIGKILL')
  await first.finished
  const blocksDone = await blocksOf(database, BOB)
  expect(blocksDone).toBeGreaterThan(0)
  expect(blocksDone).toBeLessThan(HEAD)

  read = 0
  node.setHook((request, answer) => {
    const number = wholeBlock(request)
    if (number !== null && number < HEAD) read += 1
    return answer()
  })
  const second = workplace.start(['run'])
  await second.until(/"msg":"The history of wallets was filled/)
  second.signal('SIGTERM')
  expect((await second.finished).code).toBe(0)
  expect(await database.sql`select address from indexer.wallet_coverage where not covered`).toHaveLength(0)
  expect(await database.sql`select address from indexer.onboarding`).toHaveLength(0)
  const rows = await readActivities(database)
  expectSameRows(
    [...rows.filter(isOfTransaction).map(describeRow), ...tokenRows(rows)],
    createBusyWorld().rowsOf(new Set<string>([EARLY, ...wallets]), HEAD),
  )
  // What was committed was not read again; a few blocks are looked at to see whether rows are missing.
  expect(read).toBeLessThanOrEqual(HEAD + 1 - blocksDone + 25)
})

test('two that work at once never take the same wallet', async () => {
  const scene = await openScene(createBusyWorld(), [{}])
  opened.push(() => scene.close())
  const { context } = scene
  const { store } = context
  const wallets = Array.from({ length: 700 }, (_, index) => accountOf(0x30_000 + index))
  for (const wallet of wallets) await store.addToWatchlist(wallet, null)
  await context.registry.refresh('now')
  const claimed: Address[][] = await Promise.all(
    ['one', 'two', 'three'].map(async holder => {
      const claims = await store.claimWallets({ chainId: chain.id, holder }, { from: 0, to: HEAD }, 300)
      return claims.map(({ address }) => address)
    }),
  )
  const all = claimed.flat()
  expect(new Set(all).size).toBe(all.length)
  expect(all.length).toBeGreaterThanOrEqual(300)
  // Somebody who is gone keeps none of them for ever.
  await scene.database.sql`update indexer.onboarding set claimed_until = now() - interval '1 second'`
  expect(await store.claimWallets({ chainId: chain.id, holder: 'four' }, { from: 0, to: HEAD }, 1_000)).toHaveLength(
    700,
  )
  expect(await store.renewWalletClaims({ chainId: chain.id, holder: 'one' })).toBe(0)
})

test('who lost a claim writes no more', async () => {
  const scene = await openScene(createBusyWorld(), [{ archive: false }])
  opened.push(() => scene.close())
  const { context, database, nodes } = scene
  await context.store.addToWatchlist(BOB, null)
  await context.registry.refresh('now')
  const asked = Promise.withResolvers<void>()
  const taken = Promise.withResolvers<void>()
  nodes[0]?.setHook(async (request, answer) => {
    if (wholeBlock(request) !== null) {
      asked.resolve()
      await taken.promise
    }
    return answer()
  })
  const slow = onboard(context, 'slow', AbortSignal.timeout(60_000))
  await asked.promise
  await database.sql`update indexer.onboarding set claimed_by = 'another', claimed_until = now() + interval '10 seconds'`
  // The next renewal notices.
  await expect(slow).rejects.toMatchObject({ code: 'ABORTED' })
  taken.resolve()
  expect(await scene.complete(BOB)).toEqual([])
})

test('while a long past is read, a new block waits for no more than what is under way already', async () => {
  const AT_ONCE = 2
  const PAST = 1_200
  const PAST_LATENCY_MS = 15
  const world = createBusyWorld(PAST)
  const scene: Scene = await openScene(world, [{ archive: false, finalized: PAST }], { concurrency: AT_ONCE }, 0.2)
  opened.push(() => scene.close())
  const { context, nodes } = scene
  const { store } = context
  const order: { readonly of: 'past' | 'block' | 'receipts'; readonly number: number }[] = []
  const hook: Hook = async (request, answer) => {
    const { method, params } = request
    const number = wholeBlock(request) ?? (method === 'eth_getBlockReceipts' ? Number(params[0]) : null)
    if (number !== null && number > PAST && number <= world.chain.highest)
      order.push({ of: method === 'eth_getBlockReceipts' ? 'receipts' : 'block', number })
    if (number !== null && number <= PAST) {
      order.push({ of: 'past', number })
      await sleep(PAST_LATENCY_MS)
    }
    return answer()
  }
  nodes[0]?.setHook(hook)
  const stopping = new AbortController()
  const daemon = createDaemon({ contexts: [context], acceptReorgs: new Set() })
  const running = daemon.run(stopping.signal)
  const jobs = startJobs([context], stopping.signal)
  const lacking = async () => (await store.walletCompleteness(chain.id, BOB)).lacking.length
  try {
    await store.addToWatchlist(BOB, null)
    await context.registry.refresh('now')
    while (!order.some(({ of }) => of === 'past')) await scene.news()
    while ((await lacking()) > 0) {
      const number = world.mine([{ from: BOB, to: EARLY, value: 1n }])
      while ((await store.checkpoint(chain.id))?.number !== number) await scene.news()
    }
  } finally {
    stopping.abort()
    await running
    await jobs.stop()
  }
  const end = order.findLastIndex(({ of }) => of === 'past')
  const waits = order.slice(0, end).flatMap(({ of, number }, index) => {
    const receipts = order.findIndex(each => each.of === 'receipts' && each.number === number)
    if (of !== 'block' || receipts < index) return []
    return [order.slice(index, receipts).filter(each => each.of === 'past').length]
  })
  expect(waits.length, 'new blocks while the past was read').toBeGreaterThan(4)
  expect(Math.max(...waits)).toBeLessThanOrEqual(AT_ONCE + 1)
})
