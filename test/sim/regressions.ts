/**
 * Bugs that seeds once found, each told again with the least that shows it: a seed's deeds change whenever the simulation grows,
 * these stay.
 */
import type { Hash } from '../../src/core/types.ts'
import { sleep } from '../../src/runtime/sleep.ts'
import { sweep } from '../../src/steps/sweep.ts'
import { createStore } from '../../src/store/store.ts'
import { ensureRunning } from './deeds/process.ts'
import { catchUp, withContexts } from './settle.ts'
import type { Stage } from './stage.ts'

export type Regression = {
  /** The seed that found it, when it did. */
  readonly found: number
  readonly name: string
  readonly play: (stage: Stage) => Promise<void>
}

export const REGRESSIONS: readonly Regression[] = [
  { found: 20_108, name: 'a row that the sweep found is settled by the chain as it is by then', play: settleFound },
  { found: 30_014, name: 'a wallet goes to another user, and then its first one is deleted', play: loseFirstOwner },
]

const TRAFFIC = 12
const SWEEP_DEADLINE_MS = 30_000
const ATTRIBUTION_DEADLINE_MS = 15_000
const POLL_MS = 50
const EXTRA_BLOCKS = 8

/** The sweep reads a block, the chain goes on until that is deep, and stands still; only then the row is written. */
async function settleFound(stage: Stage): Promise<void> {
  const { application, chains, gates } = stage
  const [chain] = chains
  const [deed] = (await chain?.traffic.step(1)) ?? []
  if (chain === undefined || deed === undefined) throw new Error('There is nothing to find')
  await follow(stage)
  await stage.running.get('first')?.stop()
  await application.track(deed.hash, 'pending')
  const store = createStore(gates.second.through(stage.server.urlOf(stage.database)))
  try {
    await withContexts(stage, store, async contexts => {
      // The first one notes the row, the second writes what was found.
      const hold = gates.second.hold(1)
      const found = sweep(store, contexts, 'pending', AbortSignal.timeout(SWEEP_DEADLINE_MS))
      await Promise.race([hold.reached, found])
      await chain.anvil.mine(chain.maxDepth + EXTRA_BLOCKS)
      await follow(stage)
      hold.release()
      await found
    })
  } finally {
    await store.close()
  }
  const status = await statusOf(stage, deed.hash)
  if (status === 'pending') throw new Error(`${deed.hash} is deep enough, and is still pending`)
}

/** Rows that named the user who goes are the other one's now. */
async function loseFirstOwner(stage: Stage): Promise<void> {
  const { application, chains, diary } = stage
  diary.push((await application.signUp()) ?? '')
  const [first] = application.users.keys()
  for (const { traffic } of chains) await traffic.step(TRAFFIC)
  await follow(stage)
  diary.push((await application.twin()) ?? '', (await application.moveWallet(first)) ?? '')
  await attributed(stage)
  diary.push((await application.deleteUser(first)) ?? '')
}

/** The daemon knows of every change of users, and has given them what was theirs. */
async function attributed({ query, server, database }: Stage): Promise<void> {
  const store = createStore(server.urlOf(database))
  try {
    await store.syncWallets()
  } finally {
    await store.close()
  }
  const deadline = AbortSignal.timeout(ATTRIBUTION_DEADLINE_MS)
  for (;;) {
    const [queued] = await query(sql => sql`select 1 from indexer.attribution_queue limit 1`)
    if (queued === undefined) return
    deadline.throwIfAborted()
    await sleep(POLL_MS)
  }
}

/** A daemon runs and has every block. */
async function follow(stage: Stage): Promise<void> {
  await ensureRunning(stage)
  for (const chain of stage.chains) {
    const missing = await catchUp(stage, chain)
    if (missing !== null) throw new Error(missing)
  }
}

async function statusOf({ query }: Stage, hash: Hash): Promise<string | null> {
  const [row] = await query(
    sql => sql<{ status: string }[]>`select status from user_transactions where lower(tx_hash) = ${hash}`,
  )
  return row?.status ?? null
}
