/**
 * Transactions that no chain has: replaced by a speed-up or a cancellation, dropped, found again; and all that must not be taken
 * for it.
 */

import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createIndexer, type Indexer, testChain } from '../support/indexer.ts'
import { ALICE, ETHER, openSendingUser, type SendingUser, signTransfer as sign } from '../support/sending-user.ts'

let stage: SendingUser
let database: SendingUser['database']
let anvil: SendingUser['anvil']
let user: string

beforeEach(async () => {
  stage = await openSendingUser()
  ;({ database, anvil, user } = stage)
})

afterEach(async () => {
  await stage.close()
})

function openIndexer(fields: Record<string, unknown> = {}, urls: readonly string[] = [anvil.url]): Indexer {
  const indexer = createIndexer(database.url, [{ chain: testChain(fields), url: urls }])
  stage.opened.push(indexer)
  return indexer
}

const submit = async (raw: string) => String(await anvil.rpc('eth_sendRawTransaction', [raw]))

/** As the application notes a transaction that its user has just sent. */
async function note(hash: string): Promise<void> {
  await database.sql`
    insert into user_transactions (user_id, tx_hash, event_type, timestamp) values (${user}, ${hash}, 'LDAO_TRANSFER_SENT', now())`
}

async function statusOf(hash: string): Promise<string> {
  const [row] = await database.sql<{ status: string }[]>`select status from user_transactions where tx_hash = ${hash}`
  return row?.status ?? 'none'
}

const story = async (hash: string) =>
  (
    await database.sql<
      { from_status: string | null; to_status: string; reason: string; replacing_hash: string | null }[]
    >`
      select from_status, to_status, reason, replacing_hash from indexer.transitions where tx_hash = ${hash} order by id`
  ).map(row => [row.from_status, row.to_status, row.reason, row.replacing_hash].filter(Boolean).join(' '))

async function isKnown(hash: string): Promise<boolean> {
  const [row] =
    await database.sql`select sender from indexer.transactions where tx_hash = ${hash} and sender is not null`
  return row !== undefined
}

describe('the mempool', () => {
  test('shows what a user sends before a block holds it, over a websocket', async () => {
    const indexer = openIndexer({}, [anvil.wsUrl])
    indexer.start({ jobs: true })
    await indexer.untilHead()
    await indexer.registry.refresh('now')
    // The subscription is there a moment after the start: the first transaction that is told of is enough.
    const sent: string[] = []
    let hash: string | undefined
    await indexer.until('a pending row', async () => {
      const rows = await database.sql<
        { tx_hash: string }[]
      >`select tx_hash from user_transactions where status = 'pending'`
      hash = rows[0]?.tx_hash
      if (hash === undefined) sent.push(await submit(await sign(sent.length, ETHER)))
      return hash !== undefined
    })
    const known = hash ?? ''
    const [row] = await database.sql`
      select u.user_id, u.chain, u.event_type, u.block_number, u.amount, k.sender, k.nonce::int
      from user_transactions u join indexer.transactions k using (tx_hash) where tx_hash = ${known}`
    expect(row).toEqual({
      user_id: user,
      chain: 'local',
      event_type: 'TRANSFER',
      block_number: null,
      amount: null,
      sender: ALICE,
      nonce: sent.indexOf(known),
    })
    await anvil.mine(3)
    await indexer.untilHead()
    expect(await statusOf(known)).toBe('confirmed')
    expect(await story(known)).toEqual(['pending pending included', 'pending confirmed confirmed'])
  })
})

describe('replaced', () => {
  test('by a speed-up, once that is deep enough, and open again when a reorg takes that away', async () => {
    const indexer = openIndexer({ confirmations: 3 })
    indexer.start({ jobs: true })
    const slow = await submit(await sign(0, ETHER))
    await note(slow)
    await indexer.until('the mempool has shown it', () => isKnown(slow))
    const fast = await submit(await sign(0, ETHER, 100n))
    await anvil.mine(2)
    await indexer.untilHead()
    expect(await statusOf(slow)).toBe('pending')
    await anvil.mine()
    await indexer.until('it is replaced', async () => (await statusOf(slow)) === 'failed')
    expect(await story(slow)).toEqual([`pending failed replaced ${fast}`])
    expect(await statusOf(fast)).toBe('confirmed')

    await anvil.rpc('anvil_reorg', [3, []])
    await anvil.mine()
    await indexer.untilHead()
    expect(await statusOf(slow)).toBe('pending')
    expect(await story(slow)).toEqual([`pending failed replaced ${fast}`, 'failed pending reorged'])
    const reason = await story(fast)
    expect(reason.at(-1)).toBe('confirmed pending reorged')
  })

  test('long ago, found by the history of the nonce', async () => {
    const indexer = openIndexer()
    const slow = await submit(await sign(0, ETHER))
    await note(slow)
    indexer.start({ jobs: true })
    await indexer.until('the mempool has shown it', () => isKnown(slow))
    await indexer.stop()
    await anvil.mine(5)
    // The pool gives it back, so that something else can take the nonce.
    await anvil.rpc('anvil_reorg', [5, []])
    await anvil.rpc('anvil_dropTransaction', [slow])
    await anvil.mine(20)
    const other = await submit(await sign(0, 0n, 20n))
    await anvil.mine(137)
    indexer.start({ jobs: true })
    await indexer.untilHead()
    await indexer.until('it is replaced', async () => (await statusOf(slow)) === 'failed')
    expect((await story(slow)).at(-1)).toBe(`pending failed replaced ${other}`)
  })
})

/** A transaction of before: what an endpoint has to remember for its "not found" to count. */
async function mineControl(): Promise<void> {
  await submit(await sign(0, 1n))
  await anvil.mine(5)
}

/** Sweeps some times, each as if hours had passed since the one before. @returns how many were dropped */
async function sweepLater(indexer: Indexer, times: number): Promise<number> {
  const { sweep } = await import('../../src/steps/sweep.ts')
  let dropped = 0
  for (let left = times; left > 0; left -= 1) {
    await database.sql`update indexer.transactions set sought_at = null, surveyed_at = now() - interval '5 hours'`
    const result = await sweep(indexer.store, [indexer.context(31337)], 'pending', AbortSignal.timeout(60_000))
    dropped += result.dropped
  }
  return dropped
}

describe('dropped', () => {
  test('when no endpoint knows it for long enough; found when it turns up all the same', async () => {
    await mineControl()
    const indexer = openIndexer({ droppedAfterSeconds: 1 })
    indexer.start({ jobs: true })
    await indexer.untilHead()
    const raw = await sign(1, ETHER)
    const hash = await submit(raw)
    await note(hash)
    await indexer.until('the mempool has shown it', () => isKnown(hash))
    await anvil.rpc('anvil_dropTransaction', [hash])
    await indexer.until('it is dropped', async () => {
      // Time passes on the chain too: the database's clock alone proves nothing.
      await anvil.mine()
      return (await statusOf(hash)) === 'failed'
    })
    expect(await story(hash)).toEqual(['pending failed dropped'])

    await submit(raw)
    await anvil.mine(3)
    await indexer.untilHead()
    expect(await statusOf(hash)).toBe('confirmed')
    expect(await story(hash)).toEqual(['pending failed dropped', 'failed pending found', 'pending confirmed confirmed'])
  })

  test.each([
    ['an endpoint is silent', (): readonly string[] => [anvil.url, 'http://127.0.0.1:9'], true],
    ['an endpoint remembers nothing that old', (): readonly string[] => [anvil.url], false],
  ])('not while %s', async (_name, urls, hasControl) => {
    if (hasControl) await mineControl()
    const indexer = openIndexer({ droppedAfterSeconds: 1 }, urls())
    indexer.start()
    await indexer.untilHead()
    const unknown = `0x${'ab'.repeat(32)}`
    await note(unknown)
    await sweepLater(indexer, 1)
    // Long ago, as far as the database can tell.
    await database.sql`update indexer.transactions set created_at = now() - interval '1 hour' where tx_hash = ${unknown}`
    if (hasControl) await database.sql`update indexer.inclusions set block_timestamp = 1`
    expect(await sweepLater(indexer, 7)).toBe(0)
    expect(await statusOf(unknown)).toBe('pending')
  })

  test('what the application calls decided is pending, if nobody has it; again and again', async () => {
    await mineControl()
    const indexer = openIndexer()
    indexer.start({ jobs: true })
    await indexer.untilHead()
    const unknown = `0x${'ab'.repeat(32)}`
    await database.sql`insert into user_transactions (tx_hash, event_type, status) values (${unknown}, 'SALE', 'confirmed')`
    // The control has to be at least as old as the row, to the second.
    await database.sql`update indexer.inclusions set block_timestamp = 1`
    const { sweep } = await import('../../src/steps/sweep.ts')
    const sweepAll = () => sweep(indexer.store, [indexer.context(31337)], 'all', AbortSignal.timeout(60_000))
    expect(await sweepAll()).toMatchObject({ unseen: 1 })
    expect(await statusOf(unknown)).toBe('pending')
    expect(await story(unknown)).toEqual(['confirmed pending unseen'])
    await database.sql`update user_transactions set status = 'failed' where tx_hash = ${unknown}`
    await sweepAll()
    expect(await statusOf(unknown)).toBe('pending')
    expect(await story(unknown)).toHaveLength(1)
  })

  test('by the fifth survey in a row and no earlier, however much time has passed', async () => {
    await mineControl()
    const indexer = openIndexer({ droppedAfterSeconds: 1 })
    indexer.start()
    await indexer.untilHead()
    const unknown = `0x${'ab'.repeat(32)}`
    await note(unknown)
    await sweepLater(indexer, 1)
    await database.sql`
      update indexer.transactions set created_at = now() - interval '1 hour', surveys = 0 where tx_hash = ${unknown}`
    await database.sql`update indexer.inclusions set block_timestamp = 1`
    expect(await sweepLater(indexer, 4)).toBe(0)
    expect(await sweepLater(indexer, 1)).toBe(1)
  })

  test('not because the clock of the database was set forward by days', async () => {
    await mineControl()
    const indexer = openIndexer({ droppedAfterSeconds: 3_600 })
    indexer.start()
    await indexer.untilHead()
    const unknown = `0x${'ab'.repeat(32)}`
    await note(unknown)
    await sweepLater(indexer, 1)
    // As that clock tells it: all that it has stamped, and the chain with it, is days old.
    await database.sql`update indexer.transactions set created_at = now() - interval '3 days'`
    await database.sql`update indexer.checkpoints set block_timestamp = extract(epoch from now() - interval '3 days')::bigint`
    await database.sql`update indexer.inclusions set block_timestamp = 1`
    expect(await sweepLater(indexer, 7)).toBe(0)
    // The chain says the same: now it is long enough.
    await database.sql`update indexer.checkpoints set block_timestamp = extract(epoch from now())::bigint`
    expect(await sweepLater(indexer, 1)).toBe(1)
  })
})
