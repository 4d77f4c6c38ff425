/**
 * Following a chain: from the start, after a restart, through reorgs, with what the application and its users do meanwhile.
 * Native transfers only: what else can happen is for traffic.test.ts and its oracle.
 */

import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type Anvil, startAnvil } from '../../src/demo/anvil.ts'
import { createDatabase, type TestDatabase } from '../support/database.ts'
import { createIndexer, type Indexer, testChain } from '../support/indexer.ts'

const ALICE = '0xa11ce00000000000000000000000000000000001'
const BOB = '0xb0b0000000000000000000000000000000000002'
const ETHER = 10n ** 18n

let database: TestDatabase
const opened: { close(): Promise<unknown> }[] = []

beforeEach(async () => {
  database = await createDatabase()
})

afterEach(async () => {
  for (const each of opened.splice(0).toReversed()) await each.close()
  await database.drop()
})

async function openChain(options: Partial<Parameters<typeof startAnvil>[0]> = {}): Promise<Anvil> {
  const anvil = await startAnvil({ chainId: 31337, args: ['--auto-impersonate'], ...options })
  opened.push({ close: () => anvil.stop() })
  for (const address of [ALICE, BOB])
    await anvil.rpc('anvil_setBalance', [address, `0x${(1000n * ETHER).toString(16)}`])
  return anvil
}

function openIndexer(anvil: Anvil, fields: Record<string, unknown> = {}): Indexer {
  const indexer = createIndexer(database.url, [{ chain: testChain(fields), url: anvil.url }])
  opened.push(indexer)
  return indexer
}

const hex = (value: bigint | number) => `0x${value.toString(16)}`

/** Puts a transfer into the pool. */
async function send(
  anvil: Anvil,
  from: string,
  to: string,
  value: bigint,
  fields: Record<string, string> = {},
): Promise<string> {
  const hash = await anvil.rpc('eth_sendTransaction', [{ from, to, value: hex(value), gas: hex(100_000), ...fields }])
  return String(hash)
}

async function addUser(wallet: string): Promise<string> {
  const [user] = await database.sql<
    { id: string }[]
  >`insert into users (wallet_address) values (${wallet}) returning id`
  return user?.id ?? ''
}

const transactions = () =>
  database.sql<
    {
      tx_hash: string
      status: string
      block_number: number | null
      amount: string | null
      event_type: string
      user_id: string | null
      chain: string
    }[]
  >`
    select tx_hash, status, block_number, trim_scale(amount)::text as amount, event_type, user_id, chain
    from user_transactions order by block_number nulls last, tx_hash`

const reasons = async (hash: string) =>
  (
    await database.sql<{ reason: string }[]>`select reason from indexer.transitions where tx_hash = ${hash} order by id`
  ).map(row => row.reason)

describe('following', () => {
  test('begins at the start block and goes on where it stopped', async () => {
    const anvil = await openChain()
    const user = await addUser(ALICE)
    const first = await send(anvil, ALICE, BOB, ETHER)
    await anvil.mine(50)
    const indexer = openIndexer(anvil)
    indexer.start()
    await indexer.untilHead()
    await indexer.stop()
    const second = await send(anvil, ALICE, BOB, 2n * ETHER)
    await anvil.mine(7)
    indexer.start()
    await indexer.untilHead()
    expect(await transactions()).toEqual([
      {
        tx_hash: first,
        status: 'confirmed',
        block_number: 1,
        amount: '1',
        event_type: 'TRANSFER',
        user_id: user,
        chain: 'local',
      },
      {
        tx_hash: second,
        status: 'confirmed',
        block_number: 51,
        amount: '2',
        event_type: 'TRANSFER',
        user_id: user,
        chain: 'local',
      },
    ])
    expect(await indexer.store.coverage(31337)).toEqual([{ from: 0, to: 57 }])
  })

  test('tracks a user who signs up while it runs from the next block, whatever the case of the address', async () => {
    const anvil = await openChain()
    const indexer = openIndexer(anvil)
    indexer.start()
    const before = await send(anvil, ALICE, BOB, ETHER)
    await anvil.mine()
    await indexer.untilHead()
    const user = await addUser(BOB.toUpperCase().replace('0X', '0x'))
    const after = await send(anvil, ALICE, BOB, ETHER)
    await anvil.mine()
    await indexer.untilHead()
    expect((await transactions()).map(row => [row.tx_hash, row.user_id])).toEqual([[after, user]])
    const coverage = await indexer.store.walletCoverage(31337, BOB)
    expect(coverage).toEqual([{ from: 2, to: 2 }])
    expect(before).not.toBe(after)
  })

  test('tracks a wallet of the watch-list without a row in user_transactions', async () => {
    const anvil = await openChain()
    const indexer = openIndexer(anvil)
    await indexer.store.addToWatchlist(ALICE, 'treasury')
    const hash = await send(anvil, ALICE, BOB, ETHER)
    await anvil.mine()
    indexer.start()
    await indexer.untilHead()
    const rows = await database.sql`select wallet_address, user_id, activity_type, tx_hash from wallet_activity`
    expect([...rows]).toEqual([{ wallet_address: ALICE, user_id: null, activity_type: 'TRANSFER_OUT', tx_hash: hash }])
    expect(await transactions()).toEqual([])
  })

  test('over a websocket, and beside an endpoint that is dead', async () => {
    const anvil = await openChain()
    await addUser(ALICE)
    const indexer = createIndexer(database.url, [{ chain: testChain(), url: ['http://127.0.0.1:9', anvil.wsUrl] }])
    opened.push(indexer)
    indexer.start()
    const hash = await send(anvil, ALICE, BOB, ETHER)
    await anvil.mine(3)
    await indexer.untilHead()
    expect(await transactions()).toMatchObject([{ tx_hash: hash, status: 'confirmed' }])
  })

  test('chains do not wait for each other', async () => {
    const anvil = await openChain()
    const dead = testChain({ id: 4242, name: 'dead', rpc: { env: 'DEAD_RPC_URL' } })
    const indexer = createIndexer(database.url, [
      { chain: testChain(), url: anvil.url },
      { chain: dead, url: 'http://127.0.0.1:9' },
    ])
    opened.push(indexer)
    const daemon = indexer.start()
    await anvil.mine(3)
    await indexer.untilHead()
    await indexer.until('the dead chain is told of', async () =>
      daemon.states().some(state => state.chainId === 4242 && state.phase === 'failing'),
    )
    await anvil.mine(2)
    await indexer.untilHead()
  })
})

describe('status', () => {
  test('is pending until the block is deep enough, then confirmed or failed', async () => {
    const anvil = await openChain()
    await addUser(ALICE)
    const indexer = openIndexer(anvil, { confirmations: 3 })
    indexer.start()
    const good = await send(anvil, ALICE, BOB, ETHER)
    // Code that always reverts: PUSH1 0 PUSH1 0 REVERT.
    await anvil.rpc('anvil_setCode', ['0x00000000000000000000000000000000000000aa', '0x60006000fd'])
    const bad = await send(anvil, ALICE, '0x00000000000000000000000000000000000000aa', 0n)
    const statuses: [string, string][] = []
    for (let depth = 1; depth <= 3; depth += 1) {
      await anvil.mine()
      await indexer.untilHead()
      const rows = await transactions()
      statuses.push([
        rows.find(row => row.tx_hash === good)?.status ?? '',
        rows.find(row => row.tx_hash === bad)?.status ?? '',
      ])
    }
    expect(statuses).toEqual([
      ['pending', 'pending'],
      ['pending', 'pending'],
      ['confirmed', 'failed'],
    ])
    expect(await reasons(good)).toEqual(['included', 'confirmed'])
    expect(await reasons(bad)).toEqual(['included', 'reverted'])
  })

  test.each(['safe', 'finalized'] as const)('follows the %s tag and nothing else', async tag => {
    const anvil = await openChain({ slotsInAnEpoch: 2 })
    await addUser(ALICE)
    const indexer = openIndexer(anvil, { confirmations: tag })
    indexer.start()
    const hash = await send(anvil, ALICE, BOB, ETHER)
    for (let block = 1; block <= 6; block += 1) {
      await anvil.mine()
      await indexer.untilHead()
      const tagged = (await anvil.rpc('eth_getBlockByNumber', [tag, false])) as { number: string }
      const [row] = await transactions()
      expect(row).toMatchObject({ tx_hash: hash, status: Number(tagged.number) >= 1 ? 'confirmed' : 'pending' })
    }
    expect((await transactions())[0]?.status).toBe('confirmed')
  })
})

describe('status of large amounts', () => {
  test('waits for the depth, or the finality, that the chain file asks for above an amount', async () => {
    const anvil = await openChain({ slotsInAnEpoch: 4 })
    await addUser(ALICE)
    const tiers = [
      { token: 'ETH', above: '5', confirmations: 5 },
      { token: 'ETH', above: '50.5', confirmations: 'finalized' },
    ]
    const indexer = openIndexer(anvil, { confirmations: 2, confirmationTiers: tiers })
    indexer.start()
    const values = [ETHER, 5n * ETHER, 5n * ETHER + 1n, 60n * ETHER]
    const hashes: string[] = []
    for (const value of values) hashes.push(await send(anvil, ALICE, BOB, value))
    const confirmedAt = new Map<string, number>()
    for (let depth = 1; depth <= 12; depth += 1) {
      await anvil.mine()
      await indexer.untilHead()
      for (const row of await transactions()) {
        if (row.status === 'confirmed' && !confirmedAt.has(row.tx_hash)) confirmedAt.set(row.tx_hash, depth)
      }
    }
    // Finalized is two epochs of four slots behind the head.
    expect(hashes.map(hash => confirmedAt.get(hash))).toEqual([2, 2, 5, 9])
  })
})

describe('reorgs', () => {
  test('the same transactions at another height, others gone, new ones instead', async () => {
    const anvil = await openChain()
    await addUser(ALICE)
    const indexer = openIndexer(anvil, { confirmations: 2 })
    indexer.start()
    await anvil.mine(3)
    const moved = await send(anvil, ALICE, BOB, ETHER)
    await anvil.mine()
    const gone = await send(anvil, ALICE, BOB, 2n * ETHER)
    await anvil.mine(2)
    await indexer.untilHead()
    expect((await transactions()).map(row => row.status)).toEqual(['confirmed', 'confirmed'])

    const raw = await anvil.rpc('eth_getTransactionByHash', [moved])
    expect(raw).not.toBeNull()
    await anvil.rpc('anvil_reorg', [
      3,
      [[{ from: ALICE, to: BOB, value: hex(ETHER), gas: hex(100_000), nonce: '0x0' }, 1]],
    ])
    await indexer.untilHead()
    const rows = await transactions()
    const orphan = rows.find(row => row.tx_hash === gone)
    expect(orphan).toMatchObject({ status: 'pending', block_number: null, amount: null, event_type: 'TRANSFER' })
    expect(await reasons(gone)).toEqual(['included', 'confirmed', 'reorged'])
    const present = await database.sql<{ block_number: number; block_hash: string }[]>`
      select distinct block_number::int, block_hash from wallet_activity`
    for (const { block_number: number, block_hash: hash } of present) {
      const block = (await anvil.rpc('eth_getBlockByNumber', [hex(number), false])) as { hash: string }
      expect(block.hash).toBe(hash)
    }
  })

  test('a chain that is rolled back is followed back, after patience', async () => {
    const anvil = await openChain()
    await addUser(ALICE)
    const indexer = openIndexer(anvil)
    indexer.start()
    await anvil.mine(3)
    const hash = await send(anvil, ALICE, BOB, ETHER)
    await anvil.mine()
    await indexer.untilHead()
    await anvil.rpc('anvil_rollback', [2])
    await indexer.untilHead()
    expect(await transactions()).toMatchObject([{ tx_hash: hash, status: 'pending', block_number: null }])
    expect(await indexer.store.coverage(31337)).toEqual([{ from: 0, to: 2 }])
  })

  test('while the daemon was down', async () => {
    const anvil = await openChain()
    await addUser(ALICE)
    const indexer = openIndexer(anvil)
    await anvil.mine(3)
    const hash = await send(anvil, ALICE, BOB, ETHER)
    await anvil.mine(10)
    indexer.start()
    await indexer.untilHead()
    await indexer.stop()
    await anvil.rpc('anvil_reorg', [11, []])
    await anvil.mine(4)
    indexer.start()
    await indexer.untilHead()
    expect(await transactions()).toMatchObject([{ tx_hash: hash, status: 'pending', block_number: null }])
    expect(await reasons(hash)).toEqual(['included', 'confirmed', 'reorged'])
  })

  test('beyond finality stop that chain alone, delete nothing, and are accepted by a person', async () => {
    const anvil = await openChain({ slotsInAnEpoch: 1 })
    const other = await openChain({ chainId: 4242 })
    await addUser(ALICE)
    const indexer = createIndexer(database.url, [
      { chain: testChain(), url: anvil.url },
      { chain: testChain({ id: 4242, name: 'other', rpc: { env: 'OTHER_RPC_URL' } }), url: other.url },
    ])
    opened.push(indexer)
    await anvil.mine(3)
    const hash = await send(anvil, ALICE, BOB, ETHER)
    await anvil.mine(8)
    const daemon = indexer.start()
    await indexer.untilHead()
    await anvil.rpc('anvil_reorg', [9, []])
    await anvil.mine()
    await indexer.until('the chain halts', async () =>
      daemon.states().some(state => state.chainId === 31337 && state.phase === 'halted'),
    )
    await other.mine(3)
    await indexer.untilHead(4242)
    expect((await transactions()).map(row => row.status)).toEqual(['confirmed'])
    expect((await indexer.store.checkpoint(31337))?.halt?.code).toBe('REORG_BEYOND_FINALITY')
    await indexer.stop()

    indexer.start({ acceptReorgs: [31337] })
    await indexer.untilHead()
    expect(await transactions()).toMatchObject([{ tx_hash: hash, status: 'pending', block_number: null }])
  })

  test('a fork of another local chain: the common blocks keep their ids', async () => {
    const anvil = await openChain()
    await addUser(ALICE)
    await anvil.mine(2)
    await send(anvil, ALICE, BOB, ETHER)
    await anvil.mine(3)
    const indexer = openIndexer(anvil)
    indexer.start()
    await indexer.untilHead()
    await indexer.stop()
    const ids = () => database.sql<{ id: string }[]>`select id from wallet_activity order by id`
    const before = await ids()

    const fork = await openChain({ forkUrl: anvil.url })
    const value = await send(fork, ALICE, BOB, 5n * ETHER)
    await fork.mine(2)
    const forked = createIndexer(database.url, [{ chain: testChain(), url: fork.url }])
    opened.push(forked)
    forked.start()
    await forked.untilHead()
    expect((await transactions()).map(row => row.tx_hash)).toContain(value)
    expect((await ids()).map(row => row.id)).toEqual(expect.arrayContaining(before.map(row => row.id)))
  })
})
