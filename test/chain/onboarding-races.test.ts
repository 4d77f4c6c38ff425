/**
 * Five hundred wallets are linked one by one while blocks are mined, each at a moment that a seed decides: while a block is fetched,
 * before its commit, during it, or right after it, often the block with a transaction of that very wallet. At the end each of them is
 * complete from the first block on, and its rows are what the blocks alone say.
 */

import { setImmediate as nextTurn } from 'node:timers/promises'
import { afterAll, expect, test } from 'vitest'
import type { Address } from '../../src/core/types.ts'
import { createDaemon } from '../../src/daemon.ts'
import { createDice, type Dice } from '../../src/demo/dice.ts'
import { startJobs } from '../../src/jobs/schedule.ts'
import { systemClock } from '../../src/runtime/clock.ts'
import { AppError } from '../../src/errors.ts'
import { createJsonRpcSource } from '../../src/source/json-rpc.ts'
import type { ChainContext } from '../../src/steps/context.ts'
import { createStore, type Store } from '../../src/store/store.ts'
import { createRegistry } from '../../src/wallets/registry.ts'
import { describeRow, expectSameRows, isOfTransaction, tokenRows } from '../support/compare-rows.ts'
import { createDatabase } from '../support/database.ts'
import { testChain } from '../support/indexer.ts'
import { readActivities } from '../support/program.ts'
import { startReplayNode } from '../support/replay-node.ts'
import { accountOf } from '../support/small-chain.ts'
import { deriveRows } from '../../src/verify/derive.ts'
import { readRows } from '../../src/verify/read.ts'
import { diffRows } from '../../src/verify/rows.ts'
import { createWalletWorld, type WorldTransaction } from '../support/wallet-world.ts'

const SEED = Number(process.env['SEED'] ?? 20_251_127)
const WALLETS = 500
const TRANSACTIONS_A_BLOCK = 6
/** Blocks above which nothing is final. */
const FINAL_DEPTH = 5
const DEADLINE_MS = 110_000

const chain = testChain({ confirmations: 3, blockTimeSeconds: 1 })
const wallets = Array.from({ length: WALLETS }, (_, index): Address => accountOf(0x1_0000 + index))

const opened: (() => Promise<unknown>)[] = []

afterAll(async () => {
  for (const close of opened.splice(0).toReversed()) await close()
})

/** Tokens, value or a failure, among wallets that are linked or will be. */
function throwTransaction(dice: Dice): WorldTransaction {
  const [from, one, two] = [dice.pick(wallets), dice.pick(wallets), dice.pick(wallets)]
  if (dice.chance(0.3)) return { from, tokensTo: [one, two] }
  return { from, to: one, value: BigInt(dice.integer(0, 9)), fails: dice.chance(0.1) }
}

type Moment = 'before' | 'known before' | 'during' | 'known during' | 'after'
const MOMENTS: readonly Moment[] = ['before', 'known before', 'during', 'known during', 'after']

test(
  `five hundred wallets that are linked at any moment have all their history (seed ${SEED})`,
  async () => {
    const dice = createDice(SEED)
    const world = createWalletWorld()
    const mine = () => {
      const isFirst = world.chain.highest < 0
      world.mine(isFirst ? [] : Array.from({ length: TRANSACTIONS_A_BLOCK }, () => throwTransaction(dice)))
      node.setTags({ finalized: Math.max(world.chain.highest - FINAL_DEPTH, 0) })
    }
    const node = await startReplayNode({ chainId: chain.id, chain: world.chain, ...world.state() })
    const database = await createDatabase()
    const store = createStore(database.url)
    const source = createJsonRpcSource({ chainId: chain.id, urls: [node.url], displayUrl: () => 'the node' })
    opened.push(
      () => database.drop(),
      () => node.close(),
      () => store.close(),
      () => source.close(),
    )

    const unlinked = dice.shuffle(wallets)
    const link = async (wallet: Address) => {
      // Both kinds of wallets: of users and of the watch-list.
      if (dice.chance(0.5)) await database.sql`insert into users (wallet_address) values (${wallet})`
      else await store.addToWatchlist(wallet, null)
    }
    const linkAndTell = async (wallet: Address) => {
      await link(wallet)
      await store.syncWallets()
    }
    const told = { before: link, 'known before': linkAndTell, during: link, 'known during': linkAndTell, after: link }
    /** The next one, or one that takes part in a block. */
    const take = (numbers: readonly number[]): Address | undefined => {
      const texts = numbers.map(number => JSON.stringify(world.blocks[number]))
      const inBlock = unlinked.findIndex(wallet => texts.some(text => text.includes(wallet.slice(2))))
      const index = inBlock >= 0 && dice.chance(0.6) ? inBlock : 0
      if (inBlock === index) seen.inOwnBlock += 1
      return unlinked.splice(index, 1)[0]
    }
    const seen = { overtaken: 0, inOwnBlock: 0 }
    let wake: (() => void) | null = null
    const hooked: Store = {
      ...store,
      async commitAdvance(step) {
        const numbers = step.headers.map(({ number }) => number)
        const racing: Promise<unknown>[] = []
        const after: Address[] = []
        for (let count = dice.integer(1, 6); count > 0; count -= 1) {
          const wallet = take(numbers)
          if (wallet === undefined) break
          const moment = dice.pick(MOMENTS)
          if (moment === 'after') after.push(wallet)
          else if (moment === 'before' || moment === 'known before') await told[moment](wallet)
          else racing.push(told[moment](wallet))
        }
        try {
          // A few turns of the loop: the one or the other statement is sent first.
          for (let turns = dice.integer(0, 3); turns > 0; turns -= 1) await nextTurn()
          return await store.commitAdvance(step)
        } catch (error) {
          if (error instanceof AppError && error.code === 'REGISTRY_STALE') seen.overtaken += 1
          throw error
        } finally {
          await Promise.all([...racing, ...after.map(link)])
          if (isMining) mine()
          wake?.()
        }
      },
    }
    const tell = () => wake?.()
    const log = { debug: tell, info: tell, warn: tell, error: tell }
    const registry = createRegistry(hooked, systemClock)
    const context: ChainContext = {
      chain,
      chains: new Map([[chain.id, chain]]),
      source,
      store: hooked,
      registry,
      clock: systemClock,
      log,
    }
    let isMining = true
    for (let number = 0; number < 3; number += 1) mine()

    const stopping = new AbortController()
    const daemon = createDaemon({ contexts: [context], acceptReorgs: new Set() })
    const running = daemon.run(stopping.signal)
    const jobs = startJobs([context], stopping.signal)
    const until = async (what: string, condition: () => Promise<boolean>) => {
      const deadline = AbortSignal.timeout(DEADLINE_MS)
      while (!(await condition())) {
        if (deadline.aborted) throw new Error(`waited in vain: ${what}`)
        const { promise, resolve } = Promise.withResolvers<void>()
        wake = resolve
        deadline.addEventListener('abort', () => resolve(), { once: true })
        await promise
      }
    }
    try {
      await until('all are linked', async () => unlinked.length === 0)
      const linked = world.chain.highest
      await until('what was linked last is final', async () => {
        const checkpoint = await store.checkpoint(chain.id)
        return checkpoint !== null && checkpoint.finalizedNumber >= linked
      })
      isMining = false
      await until('nobody lacks anything', async () => {
        const { waiting } = await store.countOnboarding(chain.id)
        return waiting === 0
      })
    } finally {
      stopping.abort()
      await running
      await jobs.stop()
    }

    const last = (await store.checkpoint(chain.id))?.number ?? -1
    const whole = [{ from: 0, to: last }]
    for (const wallet of wallets)
      expect([wallet, await store.walletCoverage(chain.id, wallet)]).toEqual([wallet, whole])
    const rows = await readActivities(database)
    expectSameRows(
      [...rows.filter(isOfTransaction).map(describeRow), ...tokenRows(rows)],
      world.rowsOf(new Set(wallets), last),
    )
    const users = await database.sql<{ address: string; id: string }[]>`select wallet_address as address, id from users`
    const byAddress = new Map(users.map(({ address, id }) => [address, id]))
    const owners = new Map(wallets.map(wallet => [wallet, byAddress.get(wallet) ?? null]))
    const heights = { fromBlock: 0, toBlock: last, headNumber: last }
    expect(
      diffRows(await deriveRows({ urls: [node.url], chain, owners, ...heights }), await readRows(database.sql, chain)),
    ).toEqual([])
    // It came to what this is about: commits were overtaken, and wallets were linked together with their transactions.
    expect(seen.overtaken).toBeGreaterThan(20)
    expect(seen.inOwnBlock).toBeGreaterThan(100)
  },
  DEADLINE_MS * 2,
)
