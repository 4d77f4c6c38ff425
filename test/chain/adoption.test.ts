/**
 * Beside the application: its own tables and rows, what it inserts and overwrites, users that come and go.
 */

import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type Anvil, startAnvil } from '../../src/demo/anvil.ts'
import { createDatabase, type TestDatabase } from '../support/database.ts'
import { createIndexer, type Indexer, testChain } from '../support/indexer.ts'
import { createApplicationTables, readApplicationRows } from '../support/linkdao-schema.ts'
import { migrateUp } from '../support/migrations.ts'

const ALICE = '0xa11ce00000000000000000000000000000000001'
const BOB = '0xb0b0000000000000000000000000000000000002'
const ETHER = 10n ** 18n

let database: TestDatabase
let anvil: Anvil
const opened: { close(): Promise<unknown> }[] = []

beforeEach(async () => {
  database = await createDatabase({ migrated: false })
  anvil = await openChain(31337)
})

afterEach(async () => {
  for (const each of opened.splice(0).toReversed()) await each.close()
  await database.drop()
})

async function openChain(chainId: number, args: string[] = []): Promise<Anvil> {
  const opening = await startAnvil({ chainId, args: ['--auto-impersonate', ...args] })
  opened.push({ close: () => opening.stop() })
  for (const address of [ALICE, BOB])
    await opening.rpc('anvil_setBalance', [address, `0x${(1000n * ETHER).toString(16)}`])
  return opening
}

function openIndexer(nodes = [{ chain: testChain(), url: anvil.url }]): Indexer {
  const indexer = createIndexer(database.url, nodes)
  opened.push(indexer)
  return indexer
}

async function send(value: bigint, from = ALICE, to = BOB): Promise<string> {
  return String(
    await anvil.rpc('eth_sendTransaction', [{ from, to, value: `0x${value.toString(16)}`, gas: '0x186a0' }]),
  )
}

async function addUser(wallet: string): Promise<string> {
  const [user] = await database.sql<
    { id: string }[]
  >`insert into users (wallet_address) values (${wallet}) returning id`
  return user?.id ?? ''
}

/** As the application tracks a transaction: insert, or overwrite the status of what is there. */
async function track(hash: string, userId: string | null, status = 'pending'): Promise<void> {
  await database.sql`
    insert into user_transactions (user_id, tx_hash, chain, event_type, token, amount, status, timestamp)
    values (${userId}, ${hash}, 'ethereum', 'LDAO_TRANSFER_SENT', 'LDAO', 100.5, ${status}, now())
    on conflict (tx_hash) do update set status = excluded.status, block_number = excluded.block_number, updated_at = now()`
}

const rowsOf = (hash: string) =>
  database.sql<Record<string, unknown>[]>`
    select tx_hash, user_id, chain, event_type, token, trim_scale(amount)::text as amount, status, block_number
    from user_transactions where lower(tx_hash) = lower(${hash}) order by tx_hash`

const statusIs = (hash: string, status: string) => async () =>
  (await rowsOf(hash)).every(row => row['status'] === status)

describe('on the tables of the application', () => {
  beforeEach(async () => {
    await createApplicationTables(database.sql)
    await migrateUp(database.url)
  })

  test('nothing that was there changes, text metadata is written as JSON, mixed-case wallets are found', async () => {
    const before = await readApplicationRows(database.sql)
    const user = await addUser('0xA11cE00000000000000000000000000000000001')
    const indexer = openIndexer()
    indexer.start()
    const hash = await send(ETHER)
    await anvil.mine(3)
    await indexer.untilHead()
    const [activity] = await database.sql<{ metadata: string; user_id: string }[]>`
      select metadata, user_id, pg_typeof(metadata)::text as type from wallet_activity where tx_hash = ${hash}`
    expect(activity).toMatchObject({ user_id: user, type: 'text' })
    expect(JSON.parse(activity?.metadata ?? '')).toEqual({ counterparty: BOB })
    expect(await rowsOf(hash)).toMatchObject([
      { user_id: user, chain: 'local', event_type: 'TRANSFER', amount: '1', status: 'confirmed' },
    ])
    const after = await readApplicationRows(database.sql)
    expect(after).toEqual(expect.arrayContaining(before))
  })

  test('a user can be deleted, and the next participant gets the transaction', async () => {
    const alice = await addUser(ALICE)
    const bob = await addUser(BOB)
    const indexer = openIndexer()
    indexer.start({ jobs: true })
    const hash = await send(ETHER)
    await anvil.mine(3)
    await indexer.untilHead()
    expect(await rowsOf(hash)).toMatchObject([{ user_id: alice, event_type: 'TRANSFER' }])
    await database.sql`delete from users where id = ${alice}`
    expect(await rowsOf(hash)).toEqual([])
    await anvil.mine()
    await indexer.until('the row comes back for Bob', async () => (await rowsOf(hash)).length > 0)
    expect(await rowsOf(hash)).toMatchObject([
      { user_id: bob, event_type: 'TRANSFER', amount: '1', status: 'confirmed' },
    ])
    const owners =
      await database.sql`select wallet_address, user_id from wallet_activity where tx_hash = ${hash} order by wallet_address`
    expect([...owners]).toEqual([
      { wallet_address: ALICE, user_id: null },
      { wallet_address: BOB, user_id: bob },
    ])
  })

  test('a watched wallet whose owner signs up later gets its rows', async () => {
    const indexer = openIndexer()
    await indexer.store.addToWatchlist(BOB, null)
    indexer.start({ jobs: true })
    const hash = await send(ETHER)
    await anvil.mine(3)
    await indexer.untilHead()
    expect(await rowsOf(hash)).toEqual([])
    const bob = await addUser(BOB)
    await anvil.mine()
    await indexer.until('the row appears', async () => (await rowsOf(hash)).length > 0)
    expect(await rowsOf(hash)).toMatchObject([{ user_id: bob, status: 'confirmed', amount: '1' }])
    const [activity] = await database.sql`select user_id from wallet_activity where tx_hash = ${hash}`
    expect(activity).toEqual({ user_id: bob })
  })
})

describe('rows that the application inserts', () => {
  beforeEach(async () => {
    await migrateUp(database.url)
  })

  test('before the block: adopted with its user and event type, facts from the chain', async () => {
    const alice = await addUser(ALICE)
    const bob = await addUser(BOB)
    const indexer = openIndexer()
    indexer.start({ jobs: true })
    const hash = await send(ETHER)
    await track(hash.toUpperCase().replace('0X', '0x'), bob)
    await anvil.mine(3)
    await indexer.untilHead()
    await indexer.until('it is confirmed', statusIs(hash, 'confirmed'))
    expect(await rowsOf(hash)).toEqual([
      {
        tx_hash: hash.toUpperCase().replace('0X', '0x'),
        user_id: bob,
        chain: 'local',
        event_type: 'LDAO_TRANSFER_SENT',
        token: 'ETH',
        amount: '1',
        status: 'confirmed',
        block_number: 1,
      },
    ])
    expect(alice).not.toBe(bob)
    const ledger =
      await database.sql`select application_hash, keeps_user, keeps_event_type from indexer.transactions where tx_hash = ${hash}`
    expect([...ledger]).toEqual([
      { application_hash: hash.toUpperCase().replace('0X', '0x'), keeps_user: true, keeps_event_type: true },
    ])
  })

  test('long after the block, by somebody who was not tracked then; and with any status', async () => {
    const first = await send(ETHER)
    const second = await send(ETHER)
    await anvil.mine(10)
    const indexer = openIndexer()
    indexer.start({ jobs: true })
    await indexer.untilHead()
    const carol = await addUser('0xca501000000000000000000000000000000000003')
    await track(first, carol)
    await track(second, carol, 'failed')
    await indexer.until('the pending one is confirmed', statusIs(first, 'confirmed'))
    // Nothing happened to Carol in it: what the application claimed of an amount is not a fact.
    expect(await rowsOf(first)).toMatchObject([
      { user_id: carol, chain: 'local', event_type: 'LDAO_TRANSFER_SENT', token: null, amount: null, block_number: 1 },
    ])
    const { sweep } = await import('../../src/steps/sweep.ts')
    await sweep(indexer.store, [indexer.context(31337)], 'all', AbortSignal.timeout(30_000))
    expect(await rowsOf(second)).toMatchObject([{ status: 'confirmed', block_number: 1 }])
  })

  test('of a database that does not notify: long mined, overwritten, and before the block', async () => {
    const alice = await addUser(ALICE)
    const stranger = await addUser('0xca501000000000000000000000000000000000003')
    await database.sql`drop trigger indexer_notify_transactions on user_transactions`
    const indexer = openIndexer()
    const [old, own] = [await send(ETHER), await send(2n * ETHER)]
    await anvil.mine(5)
    indexer.start({ jobs: true })
    await indexer.untilHead()
    // Nobody who is tracked by the row takes part, so that no block would bring it.
    await database.sql`delete from users where id = ${alice}`
    await track(old, stranger)
    await track(own, stranger)
    await indexer.until('the long mined are confirmed', statusIs(old, 'confirmed'))
    await indexer.until('the long mined are confirmed', statusIs(own, 'confirmed'))
    await track(own, stranger)
    expect(await rowsOf(own)).toMatchObject([{ status: 'pending' }])
    await indexer.until('what was overwritten is set right', statusIs(own, 'confirmed'))
    const next = await send(3n * ETHER)
    await track(next, stranger)
    await anvil.mine(3)
    await indexer.until('the new one is confirmed', statusIs(next, 'confirmed'))
  })

  test('overwriting a confirmed row with pending is set right', async () => {
    const alice = await addUser(ALICE)
    const indexer = openIndexer()
    indexer.start({ jobs: true })
    const hash = await send(ETHER)
    await anvil.mine(3)
    await indexer.untilHead()
    await indexer.until('it is confirmed', statusIs(hash, 'confirmed'))
    await track(hash, alice)
    expect(await rowsOf(hash)).toMatchObject([{ status: 'pending', block_number: null }])
    await indexer.until('it is confirmed again', statusIs(hash, 'confirmed'))
    expect(await rowsOf(hash)).toMatchObject([{ block_number: 1, event_type: 'TRANSFER', amount: '1' }])
  })

  test('a malformed hash is noted once and never asked for', async () => {
    const indexer = openIndexer()
    await track('0xnot-a-hash', null)
    indexer.start({ jobs: true })
    await indexer.until('it is noted', async () => {
      const [row] = await database.sql`select malformed from indexer.transactions where tx_hash = '0xnot-a-hash'`
      return row?.['malformed'] === true
    })
    expect((await indexer.store.sought()).size).toBe(0)
    expect(await rowsOf('0xnot-a-hash')).toMatchObject([{ status: 'pending' }])
  })

  test('a transaction that two chains have belongs to the lower id, in whatever order, and to the other one after a reorg', async () => {
    const bob = await addUser(BOB)
    // An unprotected transaction (before EIP-155), signed by the first of the well-known development keys.
    const { privateKeyToAccount } = await import('viem/accounts')
    const account = privateKeyToAccount('0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80')
    const raw = await account.signTransaction({
      type: 'legacy',
      to: BOB,
      value: ETHER,
      gas: 21_000n,
      gasPrice: 10n ** 10n,
      nonce: 0,
    })
    const other = await openChain(4242)
    for (const node of [anvil, other])
      await node.rpc('anvil_setBalance', [account.address, `0x${(10n * ETHER).toString(16)}`])
    const high = testChain()
    const low = testChain({ id: 4242, name: 'low', rpc: { env: 'LOW_RPC_URL' } })
    const indexer = openIndexer([
      { chain: high, url: anvil.url },
      { chain: low, url: other.url },
    ])
    indexer.start()
    const hash = String(await anvil.rpc('eth_sendRawTransaction', [raw]))
    await anvil.mine(3)
    await indexer.untilHead()
    expect(await rowsOf(hash)).toMatchObject([{ chain: 'local', status: 'confirmed', user_id: bob }])

    await other.mine(2)
    await other.rpc('eth_sendRawTransaction', [raw])
    await other.mine()
    await indexer.untilHead(4242)
    expect(await rowsOf(hash)).toMatchObject([{ chain: 'low', status: 'pending', block_number: 3 }])
    const chains = await database.sql<
      { chain_id: number }[]
    >`select chain_id from wallet_activity where tx_hash = ${hash} order by 1`
    expect(chains.map(row => row.chain_id)).toEqual([4242, 31337])

    await other.rpc('anvil_reorg', [1, []])
    await other.mine(2)
    await indexer.untilHead(4242)
    expect(await rowsOf(hash)).toMatchObject([{ chain: 'local', status: 'confirmed', block_number: 1, amount: '1' }])
    const [newest] =
      await database.sql`select to_status from indexer.transitions where tx_hash = ${hash} order by id desc limit 1`
    expect(newest).toEqual({ to_status: 'confirmed' })
  })
})
