/**
 * Blocks of native transfers, made by hand, and the rows that the indexer's own core makes of them: what tests of the store commit.
 *
 * Always holds: the same branch and number give the same block; a block's parent is the one below it on its branch, or the one that
 * is named.
 */

import { createHash } from 'node:crypto'
import type postgres from 'postgres'
import { activityRows, transactionFacts } from '../../src/core/attribute.ts'
import type { Chain } from '../../src/core/chain.ts'
import { decodeBlock } from '../../src/core/decode/block.ts'
import type { Address, Block, Hash, Header } from '../../src/core/types.ts'
import type { Advance, BackfillCommit, BlockRows } from '../../src/store/commit.ts'
import type { Lease, Store } from '../../src/store/store.ts'

export const ALICE = '0xa11ce00000000000000000000000000000000001'
export const BOB = '0xb0b0000000000000000000000000000000000002'
export const CAROL = '0xca01000000000000000000000000000000000003'
export const STRANGER = '0x5700000000000000000000000000000000000009'
export const ETHER = 10n ** 18n
const GENESIS_TIME = 1_700_000_000

export type Transfer = {
  /** Any word: the hash is made of it. */
  readonly name: string
  readonly from?: Address
  readonly to?: Address
  readonly value?: bigint
  readonly succeeded?: boolean
}

export function hashOf(word: string): Hash {
  return `0x${createHash('sha256').update(word).digest('hex')}`
}

export function buildBlock(
  number: number,
  transfers: readonly Transfer[] = [],
  { branch = 'a', parent, timestamp }: { branch?: string; parent?: Hash; timestamp?: number } = {},
): Block {
  return {
    number,
    hash: hashOf(`${branch}:${number}`),
    parentHash: parent ?? hashOf(`${branch}:${number - 1}`),
    timestamp: timestamp ?? GENESIS_TIME + number * 12,
    transactions: transfers.map(({ name, from = ALICE, to = BOB, value = ETHER }, index) => ({
      hash: hashOf(name),
      index,
      from,
      to,
      value,
      input: '0x',
      nonce: number * 100 + index,
      gas: 21_000n,
      authorizations: [],
    })),
    receipts: transfers.map(({ name, succeeded = true }, index) => ({
      transactionHash: hashOf(name),
      transactionIndex: index,
      succeeded,
      gasUsed: 21_000n,
      contractAddress: null,
      logs: [],
    })),
  }
}

export function headerOf({ number, hash, parentHash, timestamp }: Header): Header {
  return { number, hash, parentHash, timestamp }
}

export type Owners = ReadonlyMap<Address, string | null>

/** The rows of some blocks, as `steps/match.ts` makes them. */
export function matchRows(
  chain: Chain,
  blocks: readonly Block[],
  owners: Owners,
  options: { readonly only?: readonly Address[]; readonly sought?: readonly Hash[] } = {},
): BlockRows {
  const { only, sought = [] } = options
  const isTracked = (address: Address) => (only === undefined ? owners.has(address) : only.includes(address))
  const ownerOf = (address: Address) => owners.get(address) ?? null
  const perBlock = blocks.map(block => {
    const { activities } = decodeBlock(block, chain, isTracked, new Map())
    const rows = activityRows(block, activities, chain, ownerOf, () => null)
    return { rows, facts: transactionFacts(block, rows, chain, ownerOf, hash => sought.includes(hash)) }
  })
  return { activities: perBlock.flatMap(({ rows }) => rows), transactions: perBlock.flatMap(({ facts }) => facts) }
}

/** A chain that is followed by hand: each method is one commit of the store. */
export type Followed = {
  readonly chain: Chain
  readonly lease: Lease
  /** The step forward, not committed yet. */
  plan(blocks: readonly Block[], fields?: Partial<Advance>): Promise<Advance>
  advance(blocks: readonly Block[], fields?: Partial<Advance>): Promise<void>
  /** Back to a block; `finalizedNumber` stays. */
  rewind(to: Block): Promise<void>
  backfill(blocks: readonly Block[], wallets?: readonly Address[] | null): Promise<void>
}

/** The tracked wallets as they are in the database now. */
export async function loadOwners(store: Store): Promise<{ owners: Owners; version: number }> {
  const version = await store.syncWallets()
  const owners = new Map<Address, string | null>()
  for await (const changes of store.loadWallets(0))
    for (const { address, userId, tracked } of changes) if (tracked) owners.set(address, userId)
  return { owners, version }
}

export async function followByHand(
  store: Store,
  chain: Chain,
  options: { readonly chains?: readonly Chain[]; readonly finalizedNumber?: number } = {},
): Promise<Followed> {
  const chains = new Map((options.chains ?? [chain]).map(each => [each.id, each]))
  const finalizedNumber = options.finalizedNumber ?? -1
  const lease = await store.claimLease(`chain:${chain.id}`, 'test')
  if (lease === null) throw new Error('the lease of this test is held by somebody else')
  const confirmations = typeof chain.confirmations === 'number' ? chain.confirmations : 0

  const plan = async (blocks: readonly Block[], fields: Partial<Advance> = {}): Promise<Advance> => {
    const last = blocks.at(-1)
    if (last === undefined) throw new RangeError('a step needs blocks')
    const { owners, version } = await loadOwners(store)
    return {
      chain,
      lease,
      registryVersion: version,
      headers: blocks.map(headerOf),
      ...matchRows(chain, blocks, owners, { sought: [...(await store.sought())] }),
      move: {
        chainId: chain.id,
        expectedHash: (await store.checkpoint(chain.id))?.hash ?? null,
        to: headerOf(last),
        finalizedNumber,
        headNumber: last.number,
        startBlock: blocks[0]?.number ?? 0,
      },
      settledHeight: last.number - confirmations + 1,
      ...fields,
    }
  }
  return {
    chain,
    lease,
    plan,
    async advance(blocks, fields) {
      await store.commitAdvance(await plan(blocks, fields))
    },
    async rewind(to) {
      const checkpoint = await store.checkpoint(chain.id)
      if (checkpoint === null) throw new RangeError('there is nothing to take back')
      const { hash, startBlock, headNumber } = checkpoint
      const move = { chainId: chain.id, expectedHash: hash, to: headerOf(to), finalizedNumber, headNumber, startBlock }
      await store.commitRewind({ chain, chains, lease, move })
    },
    async backfill(blocks, wallets = null) {
      await store.commitBackfill(await planBackfill(store, chain, blocks, wallets))
    },
  }
}

/** A piece of history, not committed yet. */
export async function planBackfill(
  store: Store,
  chain: Chain,
  blocks: readonly Block[],
  wallets: readonly Address[] | null = null,
): Promise<BackfillCommit> {
  const { owners, version } = await loadOwners(store)
  return {
    chain,
    registryVersion: version,
    sievedVersion: version,
    range: { from: blocks[0]?.number ?? 0, to: blocks.at(-1)?.number ?? -1 },
    wallets,
    settledHeight: blocks.at(-1)?.number ?? -1,
    ...matchRows(chain, blocks, owners, wallets === null ? {} : { only: wallets }),
  }
}

export async function addUser(sql: postgres.Sql, wallet: string, id?: string): Promise<string> {
  const [user] = await sql<{ id: string }[]>`
    insert into users (id, wallet_address) values (coalesce(${id ?? null}::uuid, gen_random_uuid()), ${wallet}) returning id`
  return user?.id ?? ''
}

const TABLES = [
  'wallet_activity',
  'user_transactions',
  'indexer.inclusions',
  'indexer.transactions',
  'indexer.transitions',
  'indexer.checkpoints',
  'indexer.headers',
  'indexer.coverage',
  'indexer.wallet_coverage',
] as const

/** Every row that a commit can touch, as text with the transaction that wrote it: equal only if nothing was written. */
export async function readEverything(sql: postgres.Sql, tables: readonly string[] = TABLES): Promise<string[]> {
  const rows: string[] = []
  for (const table of tables) {
    const found = await sql<{ text: string }[]>`
      select t.xmin::text || ' ' || to_jsonb(t)::text as text from ${sql(table)} t order by 1`
    rows.push(...found.map(row => `${table} ${row.text}`))
  }
  return rows
}

/** What stands in the tables of the rows, without checkpoint and coverage. */
export function readRowTables(sql: postgres.Sql): Promise<string[]> {
  return readEverything(sql, TABLES.slice(0, 5))
}

/** The code with which a promise is refused; 'none' where it is not. */
export async function codeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work
    return 'none'
  } catch (error) {
    return error instanceof Error && 'code' in error ? String(error.code) : String(error)
  }
}

const BLOCKED_DEADLINE_MS = 20_000

/** Returns once so many sessions of this database wait for a lock. @throws Error if the work ends without having waited */
export async function untilBlocked(sql: postgres.Sql, work: Promise<unknown>, sessions = 1): Promise<void> {
  let ended = false
  const note = () => {
    ended = true
  }
  work.then(note, note)
  const deadline = AbortSignal.timeout(BLOCKED_DEADLINE_MS)
  for (;;) {
    const waiting = await sql`
      select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock' and state = 'active'`
    if (waiting.length >= sessions) return
    if (ended || deadline.aborted) throw new Error('the work ended without waiting for anybody')
  }
}
