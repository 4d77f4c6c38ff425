/**
 * One daemon on bad endpoints, with a database of its own, on a chain that others used before: it begins at the head when it starts.
 *
 * Always holds: every URL that it is given holds keys, and whatever it says is kept for the search for them; every version of a row
 * that it commits is kept for the question whether it was ever wrong.
 */
import type { App } from '../../src/app.ts'
import type { Chain } from '../../src/core/chain.ts'
import type { ChainState, Daemon } from '../../src/daemon.ts'
import { createDice } from '../../src/demo/dice.ts'
import { type HttpServer, startHttp } from '../../src/ops/http.ts'
import { renderMetrics } from '../../src/ops/metrics.ts'
import { systemClock } from '../../src/runtime/clock.ts'
import { metricsOf, readinessOf, statusOf } from '../../src/status.ts'
import { createDatabase, type TestDatabase } from './database.ts'
import { type FaultProxy, startFaultProxy } from './fault-proxy.ts'
import type { Schedule } from './fault-schedule.ts'
import { createIndexer, type Indexer } from './indexer.ts'
import { createKeySearch, type KeySearch } from './key-search.ts'
import type { World } from './node-world.ts'
import { type RowWatch, watchRows } from './row-watch.ts'

/** Less than a daemon waits by itself, so that a test of silence takes seconds. */
const REQUEST_TIMEOUT_MS = 6_000

export type Way = 'http' | 'websocket'

export type Run = {
  readonly world: World
  readonly chain: Chain
  readonly database: TestDatabase
  readonly owners: ReadonlyMap<string, string | null>
  readonly proxies: readonly FaultProxy[]
  readonly indexer: Indexer
  /** Begins to follow the chain. */
  start(): void
  /** Of the daemon; none before it starts. */
  readonly states: () => readonly ChainState[]
  readonly watch: RowWatch
  readonly search: KeySearch
  /** Reads its pages, and keeps them for the search. @returns the body of /readyz */
  look(): Promise<{ readonly ready: boolean; readonly reasons: readonly string[] }>
  /** Plays on these endpoints, and nothing on the others. */
  play(schedule: Schedule, on: readonly number[]): void
  /** All endpoints are good again. */
  heal(): void
  /** Waits until the checkpoint is the chain's head. */
  untilHead(): Promise<void>
  close(): Promise<void>
}

export type RunOptions = {
  /** The endpoints, in order. */
  readonly ways: readonly Way[]
  /** Of what the endpoints do by chance. */
  readonly seed: number
  readonly chain?: Partial<Chain>
  /** Whether the daemon also does what is done by the clock. */
  readonly jobs?: boolean
}

/** Who was throttled may rest for some seconds before it looks again. */
const HEAD_DEADLINE_MS = 25_000

export async function openRun(world: World, options: RunOptions): Promise<Run> {
  const dice = createDice(options.seed)
  const proxies: FaultProxy[] = []
  for (const [index] of options.ways.entries()) {
    const name = `endpoint ${index} of run ${options.seed}`
    const own = createDice(dice.integer(0, 2 ** 31))
    proxies.push(await startFaultProxy({ target: world.anvil.url, stranger: world.stranger.url, dice: own, name }))
  }
  const urls = options.ways.map((way, index) => {
    const proxy = proxies[index] as FaultProxy
    return way === 'http' ? proxy.keyedUrl : proxy.keyedWsUrl
  })
  const database = await createDatabase()
  const owners = await addOwners(database, world)
  const watch = await watchRows(database)
  const chain: Chain = { ...world.chain, startBlock: (await world.head()).number, ...options.chain }
  const search = createKeySearch(urls)
  const indexer = createIndexer(database.url, [{ chain, url: urls, requestTimeoutMs: REQUEST_TIMEOUT_MS }], line =>
    search.hear(line),
  )
  await indexer.registry.refresh('now')
  let daemon: Daemon | null = null
  const states = () => daemon?.states() ?? []
  const pages = await openPages(indexer, chain, urls, states)
  const run: Run = {
    world,
    chain,
    database,
    owners,
    proxies,
    indexer,
    states,
    watch,
    search,
    start: () => void (daemon = indexer.start({ jobs: options.jobs ?? false })),
    look: () => look(run, pages.url),
    play(schedule, on) {
      for (const [index, proxy] of proxies.entries()) proxy.play(on.includes(index) ? schedule : null)
    },
    heal() {
      for (const proxy of proxies) proxy.play(null)
    },
    async untilHead() {
      const head = await world.head()
      await indexer.until(
        `block ${head.number} ${head.hash}`,
        async () => (await indexer.store.checkpoint(chain.id))?.hash === head.hash,
        HEAD_DEADLINE_MS,
      )
    },
    async close() {
      await pages.close()
      for (const proxy of proxies) proxy.play(null)
      await indexer.close()
      for (const proxy of proxies) await proxy.close()
      await watch.close()
      await database.drop()
    },
  }
  return run
}

/** Users whose ids are the same in every run, and the watch-list. */
async function addOwners({ sql }: TestDatabase, { traffic }: World): Promise<Map<string, string | null>> {
  const owners = new Map<string, string | null>()
  for (const [index, user] of traffic.users.entries()) {
    const id = `00000000-0000-4000-8000-${String(index).padStart(12, '0')}`
    await sql`insert into users (id, wallet_address) values (${id}, ${user.spelling})`
    owners.set(user.address, id)
  }
  for (const { address } of traffic.watched) {
    await sql`insert into indexer.watchlist (address) values (${address})`
    owners.set(address, null)
  }
  return owners
}

/** The real server of pages, on a free port. */
function openPages(
  indexer: Indexer,
  chain: Chain,
  urls: readonly string[],
  states: Run['states'],
): Promise<HttpServer> {
  const app = {
    config: { chains: [{ chain, file: '', rpcUrls: urls, usesPublicRpc: false }] },
    clock: systemClock,
    store: indexer.store,
    registry: indexer.registry,
    chains: new Map([[chain.id, chain]]),
    context: (chainId: number) => indexer.context(chainId),
  } as unknown as App
  return startHttp(
    {
      readiness: () => readinessOf(app, states()),
      status: () => statusOf(app, { states: states() }),
      metrics: () => renderMetrics(metricsOf(app, states(), [])),
    },
    { host: '127.0.0.1', port: 0, explicit: false, onFallback: () => undefined },
  )
}

async function look({ indexer, chain, states, search }: Run, url: string): ReturnType<Run['look']> {
  for (const path of ['/', '/status', '/metrics', '/healthz']) {
    search.addText(path, await (await fetch(`${url}${path}`)).text())
  }
  const readiness = await (await fetch(`${url}/readyz`)).text()
  search.addText('/readyz', readiness)
  search.addText('health()', JSON.stringify(indexer.context(chain.id).source.health()))
  search.addText('states()', JSON.stringify(states()))
  return JSON.parse(readiness) as Awaited<ReturnType<Run['look']>>
}
