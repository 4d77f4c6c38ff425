/**
 * The program's own parts, put together for a test: its source on a node's URL, its store on a database, its registry and steps.
 */
import { fileURLToPath } from 'node:url'
import { loadConfig } from '../../src/config/env.ts'
import type { Chain } from '../../src/core/chain.ts'
import type { Address } from '../../src/core/types.ts'
import { systemClock } from '../../src/runtime/clock.ts'
import { uniqueName } from '../../src/runtime/random.ts'
import { createJsonRpcSource } from '../../src/source/json-rpc.ts'
import { planBackfill, workOn } from '../../src/steps/backfill.ts'
import type { Taken } from '../../src/steps/pieces.ts'
import type { ChainContext, Log } from '../../src/steps/context.ts'
import { createFollower, type StepResult } from '../../src/steps/follow.ts'
import { leaseName, whileHolding } from '../../src/steps/lease.ts'
import { CLAIM_TTL_MS, createStore } from '../../src/store/store.ts'
import { createRegistry } from '../../src/wallets/registry.ts'
import type { TestDatabase } from './database.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const SILENT: Log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }
/** A follower that needs more steps than this goes round in circles. */
const MAX_STEPS = 100

/** Mainnet as its chain file says. */
export function readMainnet(): Chain {
  const env = { CHAINS: 'mainnet', MAINNET_RPC_URL: 'http://127.0.0.1:1' }
  const [entry] = loadConfig({ env, cwd: ROOT, isTerminal: false }).chains
  if (entry === undefined) throw new RangeError('chains/ has no Mainnet')
  return entry.chain
}

/** Runs the work with a context on the database and the node, and closes both sides' connections after it. */
export async function withContext<T>(
  { database, url, chain }: { readonly database: TestDatabase; readonly url: string; readonly chain: Chain },
  work: (context: ChainContext) => Promise<T>,
): Promise<T> {
  const store = createStore(database.url)
  const source = createJsonRpcSource({ chainId: chain.id, urls: [url], displayUrl: () => 'the replay node' })
  const registry = createRegistry(store, systemClock)
  const chains = new Map([[chain.id, chain]])
  try {
    return await work({ chain, chains, source, store, registry, clock: systemClock, log: SILENT })
  } finally {
    await source.close()
    await store.close()
  }
}

/** What `backfill` does with a range that is final. */
export async function indexRange(
  context: ChainContext,
  from: number,
  to: number,
  signal: AbortSignal = new AbortController().signal,
  wallets: readonly Address[] | null = null,
): Promise<Taken> {
  const { chain, store } = context
  const plan = await planBackfill(context, { range: { from, to }, wallets }, signal)
  const upTo = Math.min(to, plan.finalizedNumber)
  const job = await store.openJob({
    chainId: chain.id,
    range: { from, to: upTo },
    askedTo: String(to),
    wallets,
    claimTtlMs: CLAIM_TTL_MS,
  })
  if (job === null) return { blocks: 0, activities: 0 }
  const holder = uniqueName()
  await workOn(context, { job, holder, wallets, upTo, settledHeight: plan.settledHeight }, signal)
  signal.throwIfAborted()
  const progress = await store.jobProgress(job.id)
  return { blocks: progress?.blocksDone ?? 0, activities: progress?.activities ?? 0 }
}

/** Forgets that blocks are complete, so that a backfill takes them again. */
export async function forgetCoverage({ sql }: TestDatabase): Promise<void> {
  await sql`delete from indexer.coverage`
}

/** Follows a chain under a lease until there is nothing to do. */
export async function followToHead(context: ChainContext): Promise<StepResult[]> {
  const { chain, store } = context
  const lease = await store.claimLease(leaseName(chain.id), 'test')
  if (lease === null) throw new RangeError('somebody else follows this chain')
  const follower = createFollower(context)
  const results: StepResult[] = []
  await whileHolding(context, lease, new AbortController().signal, async signal => {
    while (results.at(-1)?.kind !== 'idle') {
      if (results.length === MAX_STEPS) throw new RangeError(`not at the head after ${MAX_STEPS} steps`)
      results.push(await follower.step(lease, signal))
    }
  })
  return results
}

/** Puts addresses on the watch-list. */
export async function watch({ sql }: TestDatabase, addresses: readonly string[]): Promise<void> {
  await sql`insert into indexer.watchlist (address) select unnest(${addresses}::text[]) on conflict do nothing`
}

/** Makes a user of each address. */
export async function enlist({ sql }: TestDatabase, addresses: readonly string[]): Promise<void> {
  await sql`insert into users (wallet_address) select unnest(${addresses}::text[])`
}

export type ActivityRecord = {
  readonly id: string
  readonly wallet: string
  readonly type: string
  readonly transactionHash: string
  readonly amount: string | null
  readonly rawAmount: string | null
  readonly token: string | null
  readonly tokenAddress: string | null
  readonly blockNumber: number
  readonly blockHash: string
  readonly logIndex: number | null
  readonly timestamp: number
  readonly metadata: Readonly<Record<string, unknown>>
}

/** All rows of `wallet_activity`. */
export async function readActivities({ sql }: TestDatabase): Promise<ActivityRecord[]> {
  return sql<ActivityRecord[]>`
    select id, wallet_address as wallet, activity_type as type, tx_hash as "transactionHash", amount::text as amount,
      raw_amount::text as "rawAmount", token, token_address as "tokenAddress", block_number::float8 as "blockNumber",
      block_hash as "blockHash", log_index as "logIndex", extract(epoch from "timestamp")::float8 as timestamp, metadata
    from wallet_activity order by id`
}

/** Everything that tells whether a row was written again: its version and its place. */
export async function readRowVersions({ sql }: TestDatabase): Promise<string[]> {
  const rows = await sql<{ text: string }[]>`
    select concat_ws(' ', 'activity', id, xmin, ctid) as text from wallet_activity
    union all select concat_ws(' ', 'transaction', id, xmin, ctid, updated_at) from user_transactions
    union all select concat_ws(' ', 'ledger', tx_hash, xmin, ctid) from indexer.transactions
    union all select concat_ws(' ', 'inclusion', tx_hash, xmin, ctid) from indexer.inclusions
    union all select concat_ws(' ', 'transition', id, xmin, ctid) from indexer.transitions
    union all select concat_ws(' ', 'token', address, xmin, ctid) from indexer.tokens
    order by 1`
  return rows.map(({ text }) => text)
}
