/**
 * The composition root: what a command works with is built here, handed on, and released last-in first-out.
 */

import { join } from 'node:path'
import type { Config } from './config/env.ts'
import { collectSecrets, createScrubber, displayUrl } from './config/secret.ts'
import type { Chain } from './core/chain.ts'
import { createLogger, type Logger } from './ops/log.ts'
import { type Clock, systemClock } from './runtime/clock.ts'
import { createJsonRpcSource } from './source/json-rpc.ts'
import type { Source } from './source/source.ts'
import type { ChainContext } from './steps/context.ts'
import { startEmbedded } from './store/embedded.ts'
import { migrate } from './store/migrate.ts'
import { createStore } from './store/store.ts'
import { createRegistry, type Registry } from './wallets/registry.ts'

export type App = {
  readonly config: Config
  readonly clock: Clock
  readonly log: Logger
  readonly databaseUrl: string
  readonly store: ReturnType<typeof createStore>
  readonly registry: Registry
  readonly chains: ReadonlyMap<number, Chain>
  /** What the steps of a chain are given; its source is made when it is first asked for. */
  readonly context: (chainId: number) => ChainContext
}

export type AppOptions = {
  readonly config: Config
  /** Where the program's own files are: `sql/`. */
  readonly root: string
  /** 1: the log is the output; 2: the output is something else. */
  readonly logTo: 1 | 2
  /** Migrate before anything else. The embedded database is always migrated: nobody else does it. */
  readonly migrate: boolean
  readonly signal: AbortSignal
}

/** Builds an App, runs the work and releases everything, whatever happens. */
export async function withApp<T>(options: AppOptions, work: (app: App) => Promise<T>): Promise<T> {
  const { config, root, signal } = options
  const releases: (() => Promise<unknown>)[] = []
  const secrets = collectSecrets(config)
  let scrub = createScrubber(secrets)
  const log = createLogger({ ...config.log, destination: options.logTo, scrub: text => scrub(text) })
  try {
    const databaseUrl = await openDatabase(options, log, releases)
    scrub = createScrubber([...secrets, databaseUrl])
    if (options.migrate || config.database.url === null) {
      const { applied } = await migrate({
        url: databaseUrl,
        directory: join(root, 'sql'),
        log: (message, facts) => log.debug(facts ?? {}, message),
        signal,
      })
      if (applied.length > 0) log.info({ files: applied.length }, 'Database migrated')
    }
    const store = createStore(databaseUrl)
    releases.push(() => store.close())
    const registry = createRegistry(store, systemClock)
    const chains = new Map(config.chains.map(({ chain }) => [chain.id, chain]))
    const sources = new Map<number, Source>()
    const sourceOf = (chainId: number): Source => {
      const known = sources.get(chainId)
      if (known !== undefined) return known
      const entry = config.chains.find(({ chain }) => chain.id === chainId)
      const source = createJsonRpcSource({
        chainId,
        urls: entry?.rpcUrls ?? [],
        displayUrl,
        limits: entry?.rpcLimits ?? {},
        verification: entry?.chain.verification ?? 'basic',
        blockTimeSeconds: entry?.chain.blockTimeSeconds ?? 12,
        ledger: {
          add: (id, endpoint, day, requests) => store.addRequests(id, endpoint, day, requests),
        },
        onTrouble: (facts, message) => log.warn({ chain: entry?.chain.name, ...facts }, message),
      })
      sources.set(chainId, source)
      releases.push(() => source.close())
      return source
    }
    const context = (chainId: number): ChainContext => {
      const chain = chains.get(chainId)
      if (chain === undefined) throw new RangeError(`chain ${chainId} is not enabled`)
      return { chain, chains, source: sourceOf(chainId), store, registry, clock: systemClock, log }
    }
    return await work({ config, clock: systemClock, log, databaseUrl, store, registry, chains, context })
  } finally {
    for (const release of releases.toReversed()) {
      await release().catch((error: unknown) => log.warn({ error }, 'Something could not be released in order'))
    }
  }
}

async function openDatabase(
  { config, signal }: AppOptions,
  log: Logger,
  releases: (() => Promise<unknown>)[],
): Promise<string> {
  if (config.database.url !== null) return config.database.url
  log.warn({ directory: config.embeddedDirectory }, 'DATABASE_URL is not set: using a local Postgres of this project')
  const server = await startEmbedded({
    directory: config.embeddedDirectory,
    log: (message, facts) => log.debug(facts ?? {}, message),
    signal,
  })
  releases.push(() => server.stop())
  return server.url
}
