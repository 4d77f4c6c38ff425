/**
 * The end of a run: every fault is lifted, one daemon is left, the chains become final, and everything must come right by itself
 * within a bounded time.
 */
import { createJsonRpcSource } from '../../src/source/json-rpc.ts'
import { systemClock } from '../../src/runtime/clock.ts'
import { sleep } from '../../src/runtime/sleep.ts'
import type { ChainContext } from '../../src/steps/context.ts'
import { sweep } from '../../src/steps/sweep.ts'
import type { Source } from '../../src/source/source.ts'
import { createStore, type Store } from '../../src/store/store.ts'
import { createRegistry } from '../../src/wallets/registry.ts'
import { healNodes } from './deeds/faults.ts'
import { expireLeases, startDaemon } from './deeds/process.ts'
import { findBroken } from './inspect.ts'
import { compareApplication, findWronglyDropped } from './application-oracle.ts'
import { compareChain, compareRest, deriveTruth, type Owners, readOwners, type Truth } from './oracle.ts'
import { within } from './process.ts'
import type { SimChain, Stage } from './stage.ts'

/** A daemon that failed for long waits up to half a minute before it tries again. */
const CATCH_UP_DEADLINE_MS = 75_000
const RIGHT_DEADLINE_MS = 30_000
const BACKFILL_DEADLINE_MS = 60_000
const POLL_MS = 50
const LOOK_AGAIN_MS = 300
/** However slow the machine is: dropped takes five surveys, and the daemon's own, over a socket that is still deaf, count for none. */
const MIN_ATTEMPTS = 15
/** Beyond twice the epochs that finality needs, and every number of confirmations. */
const EXTRA_BLOCKS = 8

/** @returns every difference that is left */
export async function settle(stage: Stage): Promise<readonly string[]> {
  await calmDown(stage)
  for (const { anvil, traffic, maxDepth } of stage.chains) {
    await traffic.step(2)
    await anvil.mine(maxDepth + EXTRA_BLOCKS)
  }
  const truths = new Map<SimChain, Truth>()
  let differences: readonly string[] = []
  let owners: Owners = new Map()
  const deadline = performance.now() + RIGHT_DEADLINE_MS
  for (let attempt = 1; attempt <= MIN_ATTEMPTS || performance.now() < deadline; attempt += 1) {
    for (const chain of stage.chains) {
      const missing = await catchUp(stage, chain)
      if (missing !== null) return [missing]
    }
    await sweepAll(stage)
    owners = await readOwners(stage)
    for (const chain of stage.chains) truths.set(chain, await deriveTruth(stage, chain, owners))
    differences = await compareAll(stage, truths, owners)
    if (differences.length === 0) break
    stage.tally.add('looked again')
    await sleep(LOOK_AGAIN_MS)
    // What was found between two blocks is decided with the next one, and chains go on.
    for (const { anvil } of stage.chains) await anvil.mine()
  }
  await stage.running.get('first')?.stop()
  // What was right a moment ago must still be, now that nobody writes any more.
  return differences.length > 0 ? differences : compareAll(stage, truths, owners)
}

/** Faults off, one daemon left. */
async function calmDown(stage: Stage): Promise<void> {
  const { gates, running, tally } = stage
  await healNodes(stage)
  for (const gate of Object.values(gates)) {
    gate.setClosed(false)
    gate.setDelay(0)
    gate.setTrap(null)
  }
  const second = running.get('second')
  if (second?.isRunning() === true) await second.stop()
  const backfill = running.get('backfill')
  if (backfill?.isRunning() === true) {
    const exit = await within(backfill.ended, BACKFILL_DEADLINE_MS)
    if (exit === null) {
      backfill.kill()
      throw new Error('the backfill does not end')
    }
    // 75 is a temporary failure, which is what it met; 1 would be its own.
    tally.add(`backfill ended with ${exit.code}`)
    if (exit.code !== 0 && exit.code !== 75) throw new Error(`the backfill ended with ${exit.code}`)
  }
  if (running.get('first')?.isRunning() === true) return
  await expireLeases(stage)
  await startDaemon(stage, 'first').started()
}

/** @returns what is wrong if the daemon does not reach the head */
export async function catchUp(stage: Stage, { chain, anvil }: SimChain): Promise<string | null> {
  const { hash, number } = (await anvil.rpc('eth_getBlockByNumber', ['latest', false])) as {
    hash: string
    number: string
  }
  let at: { block_number: string; block_hash: string; halt_code: string | null } | undefined
  const deadline = performance.now() + CATCH_UP_DEADLINE_MS
  while (performance.now() < deadline) {
    const rows = await stage.query(
      sql => sql<{ block_number: string; block_hash: string; halt_code: string | null }[]>`
        select block_number, block_hash, halt_code from indexer.checkpoints where chain_id = ${chain.id}`,
    )
    at = rows[0]
    if (at?.block_hash === hash) return null
    if (at !== undefined && at.halt_code !== null) break
    await sleep(POLL_MS)
  }
  return `${chain.name} stands at ${JSON.stringify(at ?? null)}, the chain at ${Number(number)} ${hash}`
}

/**
 * The sweep, made here as a second instance beside the daemon's own, because the one over all rows comes once a minute only; and
 * the queue of attributions, until it is empty.
 */
async function sweepAll(stage: Stage): Promise<void> {
  const { chains, query, server, database } = stage
  await query(sql => sql`update indexer.transactions set sought_at = null where chain_id is null`)
  const byId = new Map(chains.map(({ chain }) => [chain.id, chain]))
  const store = createStore(server.urlOf(database))
  try {
    await withContexts(stage, store, async contexts => {
      for (let left = 100; left > 0 && (await store.attributeNextWallet(byId)); left -= 1);
      await sweep(store, contexts, 'all', AbortSignal.timeout(RIGHT_DEADLINE_MS))
    })
  } finally {
    await store.close()
  }
}

/** What a job of the daemon is given, with good endpoints. */
export async function withContexts(
  { chains }: Stage,
  store: Store,
  work: (contexts: readonly ChainContext[]) => Promise<void>,
): Promise<void> {
  const registry = createRegistry(store, systemClock)
  const byId = new Map(chains.map(({ chain }) => [chain.id, chain]))
  const log = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined }
  const sources = chains.map(({ chain, anvil }) =>
    createJsonRpcSource({ chainId: chain.id, urls: [anvil.url], displayUrl: url => url }),
  )
  try {
    await registry.refresh('now')
    await work(
      chains.map(({ chain }, index) => {
        const source = sources[index] as Source
        return { chain, chains: byId, source, store, registry, clock: systemClock, log }
      }),
    )
  } finally {
    await Promise.all(sources.map(source => source.close()))
  }
}

async function compareAll(stage: Stage, truths: ReadonlyMap<SimChain, Truth>, owners: Owners): Promise<string[]> {
  const differences: string[] = []
  for (const [chain, truth] of truths) differences.push(...(await compareChain(stage, chain, owners, truth)))
  differences.push(...(await compareApplication(stage)), ...(await compareRest(stage)))
  differences.push(...(await findBroken(stage)), ...(await findWronglyDropped(stage)))
  return differences
}
