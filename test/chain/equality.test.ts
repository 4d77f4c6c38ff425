/**
 * The main promise: whatever happens on chain, the database equals what an oracle derives from the chain by other means. By the
 * daemon and by backfill, after reorgs, and however often it is indexed.
 */

import { afterEach, describe, expect, test } from 'vitest'
import type { Chain } from '../../src/core/chain.ts'
import { type Anvil, startAnvil } from '../../src/demo/anvil.ts'
import { createTraffic, type Traffic } from '../../src/demo/traffic.ts'
import { readChain } from '../support/chain-file.ts'
import { createDatabase, type TestDatabase } from '../support/database.ts'
import { createIndexer, type Indexer } from '../support/indexer.ts'
import { deriveRows } from '../../src/verify/derive.ts'
import { readRows } from '../../src/verify/read.ts'
import { diffRows } from '../../src/verify/rows.ts'

const FIRST_SEED = Number(process.env['SEED'] ?? 1)
const SEEDS = Number(process.env['SEEDS'] ?? 20)
const TRANSACTIONS = 220
/** More than the blocks that are not final, so that a backfill reaches everything. */
const BLOCKS_TO_FINALITY = 70

const opened: (() => Promise<unknown>)[] = []

afterEach(async () => {
  for (const close of opened.splice(0).toReversed()) await close()
})

type World = { readonly chain: Chain; readonly anvil: Anvil; readonly traffic: Traffic }

/** Every fifth chain is verified in full: header, roots and senders. */
const isProved = (seed: number) => seed % 5 === 0

async function openWorld(
  seed: number,
  name: 'mainnet' | 'sepolia',
  options: { slotsInAnEpoch?: number } = {},
): Promise<World> {
  const chain: Chain = {
    ...readChain(name),
    startBlock: name === 'sepolia' ? 9_442_913 : 0,
    blockTimeSeconds: 0.2,
    verification: isProved(seed) ? 'full' : 'basic',
  }
  const anvil = await startAnvil({
    chainId: chain.id,
    ...(typeof chain.startBlock === 'number' ? { number: chain.startBlock } : {}),
    ...options,
  })
  opened.push(() => anvil.stop())
  return { chain, anvil, traffic: await createTraffic({ anvil, chain, seed }) }
}

type Database = TestDatabase & { readonly owners: ReadonlyMap<string, string | null> }

/** A database whose users have ids that are the same in each, and addresses in the case in which they were typed. */
async function openDatabase({ traffic }: World): Promise<Database> {
  const database = await createDatabase()
  opened.push(() => database.drop())
  const owners = new Map<string, string | null>()
  for (const [index, user] of traffic.users.entries()) {
    const id = `00000000-0000-4000-8000-${String(index).padStart(12, '0')}`
    await database.sql`insert into users (id, wallet_address) values (${id}, ${user.spelling})`
    owners.set(user.address, id)
  }
  for (const { address } of traffic.watched) {
    await database.sql`insert into indexer.watchlist (address) values (${address})`
    owners.set(address, null)
  }
  return { ...database, owners }
}

function openIndexer({ chain, anvil }: World, database: Database): Indexer {
  const indexer = createIndexer(database.url, [{ chain, url: anvil.url }])
  opened.push(() => indexer.close())
  return indexer
}

async function expectEqual({ chain, anvil }: World, database: Database, message: string): Promise<void> {
  const headNumber = Number(await anvil.rpc('eth_blockNumber'))
  const fromBlock = typeof chain.startBlock === 'number' ? chain.startBlock : 0
  const expected = await deriveRows({
    urls: [anvil.url],
    chain,
    fromBlock,
    toBlock: headNumber,
    owners: database.owners,
    headNumber,
  })
  const actual = await readRows(database.sql, chain)
  // What a reorg orphaned is on no chain: pending, without a block. It is looked at by itself.
  const included = actual.transactions.filter(row => row.block_number !== null)
  expect(diffRows(expected, { activities: actual.activities, transactions: included }), message).toEqual([])
  const orphans = actual.transactions.filter(row => row.block_number === null)
  expect(
    orphans.filter(
      row => row.status !== 'pending' || row.amount !== null || row.raw_amount !== null || row.token !== null,
    ),
    message,
  ).toEqual([])
  expect(await disagreements(database), message).toEqual([])
}

/** Rows whose newest transition says another status. */
async function disagreements({ sql }: Database) {
  return [
    ...(await sql`
      select u.tx_hash, u.status, t.to_status from user_transactions u
      left join lateral (select to_status from indexer.transitions where tx_hash = lower(u.tx_hash) order by id desc limit 1) t on true
      where t.to_status is distinct from u.status`),
  ]
}

const idsOf = (rows: { activities: { id?: unknown }[] }) => rows.activities.map(row => row.id)

/** Everything of every row, the row's version included: equal only if nothing was written. */
async function snapshot({ sql }: Database) {
  return {
    activities: [...(await sql`select *, xmin::text from wallet_activity order by id`)],
    transactions: [...(await sql`select *, xmin::text from user_transactions order by id`)],
    transitions: [...(await sql`select * from indexer.transitions order by id`)],
  }
}

describe('daemon, backfill and oracle agree', () => {
  for (let seed = FIRST_SEED; seed < FIRST_SEED + SEEDS; seed += 1) {
    test(`seed ${seed}${isProved(seed) ? ', verified in full' : ''}`, async () => {
      const world = await openWorld(seed, seed % 2 === 0 ? 'mainnet' : 'sepolia')
      const followed = await openDatabase(world)
      const daemon = openIndexer(world, followed)
      daemon.start()
      for (let part = 0; part < 4; part += 1) await world.traffic.step(TRANSACTIONS / 4)
      await daemon.untilHead()
      await expectEqual(world, followed, 'followed')

      await world.anvil.mine(BLOCKS_TO_FINALITY)
      await daemon.untilHead()
      await daemon.stop()
      await expectEqual(world, followed, 'followed to finality')

      const filled = await openDatabase(world)
      const backfill = openIndexer(world, filled)
      const head = Number(await world.anvil.rpc('eth_blockNumber'))
      const from = typeof world.chain.startBlock === 'number' ? world.chain.startBlock : 0
      await backfill.backfill({ from, to: head })
      await expectEqual(world, filled, 'filled')
      for (const indexer of [daemon, backfill])
        expect(indexer.context(world.chain.id).source.health()).toMatchObject([{ lies: 0, healthy: true }])
      const first = await snapshot(filled)
      expect(idsOf(await snapshot(followed))).toEqual(idsOf(first))

      await filled.sql`delete from indexer.coverage`
      await backfill.backfill({ from, to: head })
      expect(await snapshot(filled)).toEqual(first)
    })
  }
})

describe('after reorgs of every depth up to finality', () => {
  const REORG_SEEDS = [101, 102, 103, 104]
  for (const seed of REORG_SEEDS) {
    test(`seed ${seed}: the same transactions at other heights, with the daemon running and stopped`, async () => {
      const world = await openWorld(seed, seed % 2 === 0 ? 'mainnet' : 'sepolia')
      const database = await openDatabase(world)
      const indexer = openIndexer(world, database)
      indexer.start()
      const { traffic } = world
      const depths = [1, 2, 3 + (seed % 5), 14, 40, 63]
      // Nothing below the finality of the highest head is ever touched: enough blocks come first.
      for (const [index, depth] of depths.entries()) {
        const target = depth + 2
        for (let blocks = 0; blocks < target; blocks += 1) {
          await traffic.send(1 + ((seed + blocks) % 3))
          await traffic.mine()
        }
        await indexer.untilHead()
        const isDown = index % 2 === 1
        if (isDown) await indexer.stop()
        await traffic.reorganise(depth, (seed + index) % 3)
        if (isDown) indexer.start()
        await indexer.untilHead()
        await expectEqual(world, database, `depth ${depth}${isDown ? ', while stopped' : ''}`)
      }
    })

    test(`seed ${seed}: transactions that are gone, others instead`, async () => {
      const world = await openWorld(seed, seed % 2 === 0 ? 'sepolia' : 'mainnet')
      const database = await openDatabase(world)
      const indexer = openIndexer(world, database)
      indexer.start()
      const { traffic, anvil } = world
      for (let blocks = 0; blocks < 30; blocks += 1) {
        await traffic.send(2)
        await traffic.mine()
      }
      await indexer.untilHead()
      const before = await readRows(database.sql, world.chain)
      const depth = 5 + (seed % 20)
      const [from, to] = [traffic.users[0]?.address, traffic.users[1]?.address]
      await anvil.rpc('anvil_impersonateAccount', [from])
      const head = Number(await anvil.rpc('eth_blockNumber'))
      const nonce = await anvil.rpc('eth_getTransactionCount', [from, `0x${(head - depth).toString(16)}`])
      await anvil.rpc('anvil_reorg', [depth, [[{ from, to, value: '0x2a', nonce, gas: '0x5208' }, 0]]])
      await anvil.mine()
      await indexer.untilHead()
      await expectEqual(world, database, `depth ${depth}`)
      const after = await readRows(database.sql, world.chain)
      const orphans = after.transactions.filter(row => row.block_number === null)
      const lost = before.transactions.filter(row => (row.block_number ?? 0) > head - depth)
      expect(orphans.map(row => row.tx_hash).toSorted()).toEqual(lost.map(row => row.tx_hash).toSorted())
      // Their time, type and user stay.
      const kept = (rows: typeof lost) =>
        rows.map(row => [row.tx_hash, row.event_type, row.user_id, row.timestamp].join(' ')).toSorted()
      expect(kept(orphans)).toEqual(kept(lost))
    })
  }
})
