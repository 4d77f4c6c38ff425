/**
 * The program within a test: real store, real source, real daemon loops, on the test's database and nodes; only in this process.
 *
 * Always holds: what a test waits for is an event (a step that was told of), never a length of time; whatever was started is stopped
 * with `close`.
 */

import { compileChain } from '../../src/config/chain.ts'
import type { Problem } from '../../src/config/problem.ts'
import type { Chain } from '../../src/core/chain.ts'
import { createDaemon, type Daemon } from '../../src/daemon.ts'
import { type Jobs, startJobs } from '../../src/jobs/schedule.ts'
import { systemClock } from '../../src/runtime/clock.ts'
import { createJsonRpcSource } from '../../src/source/json-rpc.ts'
import type { Source } from '../../src/source/source.ts'
import type { ChainContext } from '../../src/steps/context.ts'
import { createStore } from '../../src/store/store.ts'
import { createRegistry, type Registry } from '../../src/wallets/registry.ts'
import { indexRange } from './program.ts'

const WAIT_DEADLINE_MS = 60_000

/** A chain file for tests; every field can be set. */
export function testChain(fields: Record<string, unknown> = {}): Chain {
  const problems: Problem[] = []
  const compiled = compileChain(
    {
      id: 31337,
      name: 'local',
      rpc: { env: 'LOCAL_RPC_URL', public: [] },
      confirmations: 3,
      startBlock: 0,
      blockTimeSeconds: 0.2,
      nativeToken: { symbol: 'ETH', decimals: 18 },
      tokens: [],
      contracts: [],
      ...fields,
    },
    'test.json',
    problems,
  )
  if (compiled === null || problems.length > 0)
    throw new Error(`the chain of this test is refused: ${JSON.stringify(problems)}`)
  return compiled.chain
}

export type LogLine = {
  readonly level: 'debug' | 'info' | 'warn' | 'error'
  readonly message: string
  readonly facts: object
}

export type Indexer = {
  readonly store: ReturnType<typeof createStore>
  readonly registry: Registry
  readonly lines: readonly LogLine[]
  context(chainId: number): ChainContext
  /** Starts the daemon's loops; `jobs`: also what is done by the clock. */
  start(options?: { readonly acceptReorgs?: readonly number[]; readonly jobs?: boolean }): Daemon
  /** Waits until a condition holds, looking again whenever the daemon tells something. */
  until(what: string, condition: () => Promise<boolean>, deadlineMs?: number): Promise<void>
  /** Waits until the checkpoint is the head of the node. */
  untilHead(chainId?: number): Promise<void>
  stop(): Promise<void>
  backfill(range: { from: number; to: number }, chainId?: number): Promise<void>
  close(): Promise<void>
}

export function createIndexer(
  databaseUrl: string,
  nodes: readonly {
    readonly chain: Chain
    readonly url: string | readonly string[]
    readonly requestTimeoutMs?: number
  }[],
  /** Told of each line of the log. */
  hear: (line: LogLine) => void = () => undefined,
): Indexer {
  const store = createStore(databaseUrl)
  const registry = createRegistry(store, systemClock)
  const chains = new Map(nodes.map(({ chain }) => [chain.id, chain]))
  const lines: LogLine[] = []
  let listeners: (() => void)[] = []
  const tell = (level: LogLine['level']) => (facts: object, message: string) => {
    const line = { level, message, facts }
    lines.push(line)
    hear(line)
    const waiting = listeners
    listeners = []
    for (const listener of waiting) listener()
  }
  const log = { debug: tell('debug'), info: tell('info'), warn: tell('warn'), error: tell('error') }
  const sources = new Map<number, Source>(
    nodes.map(({ chain, url, requestTimeoutMs }) => [
      chain.id,
      createJsonRpcSource({
        chainId: chain.id,
        ...(requestTimeoutMs === undefined ? {} : { requestTimeoutMs }),
        urls: typeof url === 'string' ? [url] : url,
        verification: chain.verification,
        blockTimeSeconds: chain.blockTimeSeconds,
        onTrouble: tell('warn'),
        displayUrl: text => new URL(text).origin,
      }),
    ]),
  )
  const first = nodes[0]?.chain.id ?? 0
  const context = (chainId: number): ChainContext => {
    const chain = chains.get(chainId)
    const source = sources.get(chainId)
    if (chain === undefined || source === undefined) throw new Error(`this test has no chain ${chainId}`)
    return { chain, chains, source, store, registry, clock: systemClock, log }
  }
  let running: { abort: AbortController; done: Promise<void>; jobs: Jobs | null } | null = null

  const indexer: Indexer = {
    store,
    registry,
    lines,
    context,
    start({ acceptReorgs = [], jobs = false } = {}) {
      const abort = new AbortController()
      const contexts = nodes.map(({ chain }) => context(chain.id))
      const daemon = createDaemon({ contexts, acceptReorgs: new Set(acceptReorgs) })
      running = { abort, done: daemon.run(abort.signal), jobs: jobs ? startJobs(contexts, abort.signal) : null }
      return daemon
    },
    async until(what, condition, deadlineMs = WAIT_DEADLINE_MS) {
      const deadline = AbortSignal.timeout(deadlineMs)
      while (!(await condition())) {
        if (deadline.aborted)
          throw new Error(
            `waited in vain for: ${what}\n${lines
              .slice(-10)
              .map(line => JSON.stringify(line, replaceErrors))
              .join('\n')}`,
          )
        // Every step of the daemon is told of; a look twice a second covers what others write.
        await new Promise<void>(resolve => {
          const timer = setTimeout(resolve, 500)
          listeners.push(() => {
            clearTimeout(timer)
            resolve()
          })
        })
      }
    },
    async untilHead(chainId = first) {
      const head = await context(chainId).source.head(AbortSignal.timeout(WAIT_DEADLINE_MS))
      await indexer.until(
        `block ${head.number} ${head.hash}`,
        async () => (await store.checkpoint(chainId))?.hash === head.hash,
      )
    },
    async stop() {
      running?.abort.abort()
      await running?.done
      await running?.jobs?.stop()
      running = null
    },
    async backfill(range, chainId = first) {
      await registry.refresh('now')
      await indexRange(context(chainId), range.from, range.to, AbortSignal.timeout(WAIT_DEADLINE_MS * 5))
    },
    async close() {
      await indexer.stop()
      await Promise.all([...sources.values()].map(source => source.close()))
      await store.close()
    },
  }
  return indexer
}

function replaceErrors(_key: string, value: unknown): unknown {
  return value instanceof Error ? { name: value.name, message: value.message } : value
}
