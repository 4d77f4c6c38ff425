/**
 * A chain on which a few wallets do this and that, nodes that serve it, and a database that follows it with one wallet linked: what is
 * needed to link others late and to fill their past.
 */

import type { Address, Hex } from '../../src/core/types.ts'
import { systemClock } from '../../src/runtime/clock.ts'
import { createJsonRpcSource, type SourceOptions } from '../../src/source/json-rpc.ts'
import type { ChainContext } from '../../src/steps/context.ts'
import { onboard } from '../../src/steps/onboard.ts'
import { createStore } from '../../src/store/store.ts'
import { createRegistry } from '../../src/wallets/registry.ts'
import { describeRow, expectSameRows, isOfTransaction, tokenRows } from './compare-rows.ts'
import { createDatabase, type TestDatabase } from './database.ts'
import { testChain } from './indexer.ts'
import { followToHead, readActivities, watch } from './program.ts'
import { type ReplayNode, type ReplayOptions, startReplayNode } from './replay-node.ts'
import { accountOf } from './small-chain.ts'
import { createWalletWorld, type WalletWorld, type WorldTransaction } from './wallet-world.ts'

export const HEAD = 600
export const chain = testChain({ confirmations: 3, blockTimeSeconds: 12 })
/** Sends, is paid, and gets tokens; all of it in a few blocks. */
export const ALICE = accountOf(0xa11ce)
/** Has only ever been paid. */
export const BOB = accountOf(0xb0b)
export const EARLY = accountOf(0xea61)
const STRANGER = accountOf(0x57)

function busyAt(number: number): readonly WorldTransaction[] {
  if (number === 0) return []
  if (number === 40) return [{ from: ALICE, to: STRANGER, value: 7n }]
  if (number === 41)
    return [{ value: 1n }, { from: STRANGER, tokensTo: [ALICE, BOB] }, { from: STRANGER, to: ALICE, value: 4n }]
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

/** As many blocks as are wanted, the same ones each time. */
export function createBusyWorld(head = HEAD): WalletWorld {
  const world = createWalletWorld()
  for (let number = 0; number <= head; number += 1) world.mine(busyAt(number))
  return world
}

export type Scene = {
  readonly context: ChainContext
  readonly database: TestDatabase
  readonly nodes: readonly ReplayNode[]
  readonly lines: readonly string[]
  /** Resolves when something is told the next time. */
  news(): Promise<void>
  /** Links wallets and fills what is lacking until nothing is. @returns how often it took up some */
  fill(...wallets: readonly Hex[]): Promise<number>
  complete(wallet: Hex): Promise<unknown>
  expectRows(wallets: readonly Address[]): Promise<void>
  close(): Promise<void>
}

export type NodeOptions = Partial<ReplayOptions> & { readonly archive?: boolean }

export async function openScene(
  world: WalletWorld,
  options: readonly NodeOptions[],
  limits: SourceOptions['limits'] = {},
  blockTimeSeconds = chain.blockTimeSeconds,
): Promise<Scene> {
  const database = await createDatabase()
  const nodes = await Promise.all(
    options.map(({ archive = true, ...more }) =>
      startReplayNode({ chainId: chain.id, chain: world.chain, ...world.state({ archive }), ...more }),
    ),
  )
  const names = new Map(nodes.map(({ url }, index) => [url, `node ${index + 1}`]))
  const source = createJsonRpcSource({
    limits,
    chainId: chain.id,
    urls: nodes.map(({ url }) => url),
    displayUrl: url => names.get(url) ?? '',
  })
  const store = createStore(database.url)
  const registry = createRegistry(store, systemClock)
  const lines: string[] = []
  let told = Promise.withResolvers<void>()
  const tell = (_facts: object, text: string) => {
    lines.push(text)
    told.resolve()
    told = Promise.withResolvers<void>()
  }
  const log = { debug: tell, info: tell, warn: tell, error: tell }
  const own = { ...chain, blockTimeSeconds }
  const context: ChainContext = {
    chain: own,
    chains: new Map([[chain.id, own]]),
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
    news: () => told.promise,
    async fill(...wallets) {
      await watch(database, wallets)
      await registry.refresh('now')
      for (let turns = 0; ; turns += 1) {
        if ((await onboard(context, 'test', AbortSignal.timeout(60_000))) === null) return turns
        if (turns > 10) throw new Error('it goes round in circles')
      }
    },
    async expectRows(wallets) {
      const rows = await readActivities(database)
      expectSameRows(
        [...rows.filter(isOfTransaction).map(describeRow), ...tokenRows(rows)],
        world.rowsOf(new Set(wallets), world.chain.highest),
      )
    },
    async close() {
      await source.close()
      await store.close()
      for (const node of nodes) await node.close()
      await database.drop()
    },
    complete: async wallet => (await store.walletCompleteness(chain.id, wallet)).complete,
  }
}
