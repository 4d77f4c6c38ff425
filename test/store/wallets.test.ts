/**
 * The set of tracked wallets, and giving rows to their owners: also when the two happen at the same instant as a commit.
 */

import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createStore } from '../../src/store/store.ts'
import { createDatabase, type TestDatabase } from '../support/database.ts'
import { testChain } from '../support/indexer.ts'
import {
  ALICE,
  addUser,
  BOB,
  buildBlock,
  CAROL,
  codeOf,
  type Followed,
  followByHand,
  hashOf,
  loadOwners,
  matchRows,
  planBackfill,
  readRowTables,
  untilBlocked,
} from '../support/rows.ts'

const MIXED = '0xA11cE00000000000000000000000000000000001'

let database: TestDatabase
let store: ReturnType<typeof createStore>
let followed: Followed
const chain = testChain({ confirmations: 2 })
const chains = new Map([[chain.id, chain]])

beforeEach(async () => {
  database = await createDatabase()
  store = createStore(database.url)
  followed = await followByHand(store, chain)
})

afterEach(async () => {
  await store.close()
  await database.drop()
})

const owners = async () => Object.fromEntries((await loadOwners(store)).owners)

async function attributeAll(): Promise<void> {
  while (await store.attributeNextWallet(chains));
}

const usersOf = async (name: string) => ({
  row: (
    await database.sql<
      { user_id: string | null }[]
    >`select user_id from user_transactions where tx_hash = ${hashOf(name)}`
  ).map(row => row.user_id),
  activities: Object.fromEntries(
    (
      await database.sql<{ wallet: string; user_id: string | null }[]>`
        select wallet_address as wallet, user_id from wallet_activity where tx_hash = ${hashOf(name)}`
    ).map(row => [row.wallet, row.user_id]),
  ),
})

describe('the set', () => {
  test('is every wallet of a user and of the watch-list, in lower case, and nothing that is no address', async () => {
    const alice = await addUser(database.sql, MIXED)
    for (const wallet of [
      '',
      'alice.eth',
      BOB.slice(0, 41),
      `${BOB}0`,
      `${BOB.slice(0, 41)}g`,
      BOB.slice(2),
      `${BOB}\n`,
    ])
      await addUser(database.sql, wallet)
    await addUser(database.sql, `0x${'0'.repeat(40)}`)
    await store.addToWatchlist(CAROL, 'treasury')
    expect(await owners()).toEqual({ [ALICE]: alice, [CAROL]: null })
  })

  test('gives an address that two users have to the older one, and to the other when that one is gone', async () => {
    const younger = await addUser(database.sql, ALICE)
    const older = await addUser(database.sql, MIXED)
    await database.sql`update users set created_at = '2020-01-01' where id = ${older}`
    expect(await owners()).toEqual({ [ALICE]: older })
    await database.sql`delete from users where id = ${older}`
    expect(await owners()).toEqual({ [ALICE]: younger })
  })

  test('prefers a user to the watch-list, and keeps a watched wallet whose user goes', async () => {
    await store.addToWatchlist(ALICE, null)
    const alice = await addUser(database.sql, MIXED)
    expect(await owners()).toEqual({ [ALICE]: alice })
    await database.sql`delete from users`
    expect(await owners()).toEqual({ [ALICE]: null })
    await store.removeFromWatchlist(ALICE)
    expect(await owners()).toEqual({})
  })

  test('has a version that rises with each change and with nothing else, and tells what changed since', async () => {
    const changesSince = async (version: number) => {
      const batches = []
      for await (const batch of store.loadWallets(version)) batches.push(...batch)
      return batches
    }
    const empty = await store.syncWallets()
    const alice = await addUser(database.sql, ALICE)
    const one = await store.syncWallets()
    expect(one).toBe(empty + 1)
    expect(await store.syncWallets()).toBe(one)
    await database.sql`update users set handle = 'alice', wallet_address = ${MIXED}`
    expect(await store.syncWallets()).toBe(one)
    await store.addToWatchlist(BOB, null)
    await database.sql`delete from users`
    const two = await store.syncWallets()
    expect(two).toBe(one + 1)
    expect(await changesSince(empty)).toHaveLength(2)
    expect((await changesSince(one)).toSorted((a, b) => (a.address < b.address ? -1 : 1))).toEqual([
      { address: ALICE, userId: null, tracked: false },
      { address: BOB, userId: null, tracked: true },
    ])
    expect(await changesSince(two)).toEqual([])
    expect(alice).not.toBe('')
  })

  test('is compared by many at once, and raised once', async () => {
    const before = await store.syncWallets()
    for (const wallet of [ALICE, BOB, CAROL]) await addUser(database.sql, wallet)
    const other = createStore(database.url)
    try {
      await Promise.all([store, other, store, other].map(each => each.syncWallets()))
      // Who waited for the first one compares again and may find nothing: the version rises without harm.
      expect(Object.keys(await owners()).toSorted()).toEqual([ALICE, BOB, CAROL].toSorted())
      expect(await store.syncWallets()).toBeLessThanOrEqual(before + 4)
    } finally {
      await other.close()
    }
  })
})

describe('a wallet that is linked later', () => {
  test('lacks what came before, has what comes after, and all of it after its backfill', async () => {
    await followed.advance([buildBlock(0), buildBlock(1), buildBlock(2)])
    await addUser(database.sql, MIXED)
    await followed.advance([buildBlock(3), buildBlock(4)])
    expect(await store.coverage(chain.id)).toEqual([{ from: 0, to: 4 }])
    expect(await store.walletCoverage(chain.id, ALICE)).toEqual([{ from: 3, to: 4 }])
    expect([...(await store.differingCoverage(chain.id)).keys()]).toEqual([ALICE])
    await followed.backfill([buildBlock(0), buildBlock(1)], [ALICE])
    expect(await store.walletCoverage(chain.id, ALICE)).toEqual([
      { from: 0, to: 1 },
      { from: 3, to: 4 },
    ])
    await followed.backfill([buildBlock(2)], [ALICE])
    expect(await store.walletCoverage(chain.id, ALICE)).toEqual([{ from: 0, to: 4 }])
  })

  test('and removed and added again lacks what came meanwhile', async () => {
    await store.addToWatchlist(ALICE, null)
    await followed.advance([buildBlock(0), buildBlock(1)])
    await store.removeFromWatchlist(ALICE)
    await followed.advance([buildBlock(2), buildBlock(3)])
    await store.addToWatchlist(ALICE, null)
    await followed.advance([buildBlock(4)])
    const covered = await store.walletCoverage(chain.id, ALICE)
    expect(covered).toContainEqual({ from: 4, to: 4 })
    for (const lacking of [2, 3]) expect(covered.some(({ from, to }) => from <= lacking && lacking <= to)).toBe(false)
  })

  test('at the instant of a commit that is under way: the commit is before it, and the wallet lacks the block', async () => {
    await addUser(database.sql, BOB)
    const step = await followed.plan([buildBlock(0, [{ name: 'one' }])])
    let committed: Promise<unknown> = Promise.resolve()
    let linked: Promise<number> = Promise.resolve(0)
    await database.sql
      .begin(async application => {
        await application`insert into user_transactions (tx_hash, event_type) values (${hashOf('one')}, 'X')`
        committed = store.commitAdvance(step)
        await untilBlocked(database.sql, committed)
        await addUser(database.sql, ALICE)
        linked = store.syncWallets()
        await untilBlocked(database.sql, linked, 2)
        throw new Error('taken back')
      })
      .catch(() => undefined)
    await Promise.all([committed, linked])
    expect(await linked).toBe(step.registryVersion + 1)
    expect(await store.coverage(chain.id)).toEqual([{ from: 0, to: 0 }])
    expect(await store.walletCoverage(chain.id, ALICE)).toEqual([])
    expect(await store.walletCoverage(chain.id, BOB)).toEqual([{ from: 0, to: 0 }])
  })

  test('at the instant before a commit: the commit waits, is refused, and matched again covers the wallet', async () => {
    await addUser(database.sql, BOB)
    const block = buildBlock(0, [{ name: 'one' }])
    const step = await followed.plan([block])
    let committed: Promise<string> = Promise.resolve('')
    await addUser(database.sql, ALICE)
    let linked: Promise<number> = Promise.resolve(0)
    await database.sql.begin(async tx => {
      // The comparison has raised the version and waits for its last table.
      await tx`lock table indexer.attribution_queue in share mode`
      linked = store.syncWallets()
      await untilBlocked(database.sql, linked)
      committed = codeOf(store.commitAdvance(step))
      await untilBlocked(database.sql, committed, 2)
    })
    await linked
    expect(await committed).toBe('REGISTRY_STALE')
    expect(await store.coverage(chain.id)).toEqual([])
    await followed.advance([block])
    expect(await store.walletCoverage(chain.id, ALICE)).toEqual([{ from: 0, to: 0 }])
    expect(await database.sql`select 1 from wallet_activity where wallet_address = ${ALICE}`).toHaveLength(1)
  })
})

describe('a backfill of one wallet', () => {
  test('leaves a transaction the user whose it is: the sender, though only the recipient was asked for', async () => {
    const alice = await addUser(database.sql, ALICE)
    const block = buildBlock(0, [{ name: 'one' }])
    await followed.advance([block])
    const bob = await addUser(database.sql, BOB)
    await followed.backfill([block], [BOB])
    expect(await usersOf('one')).toEqual({ row: [alice], activities: { [ALICE]: alice, [BOB]: bob } })
    const before = await readRowTables(database.sql)
    await followed.backfill([block], [BOB])
    expect(await readRowTables(database.sql)).toEqual(before)
  })

  test('gives the transaction to the sender as soon as the sender is there too', async () => {
    const bob = await addUser(database.sql, BOB)
    const block = buildBlock(0, [{ name: 'one' }])
    await followed.backfill([block], [BOB])
    expect((await usersOf('one')).row).toEqual([bob])
    const alice = await addUser(database.sql, ALICE)
    await followed.backfill([block], [ALICE])
    expect(await usersOf('one')).toEqual({ row: [alice], activities: { [ALICE]: alice, [BOB]: bob } })
  })
})

describe('giving rows to their owners', () => {
  const block = buildBlock(0, [{ name: 'one' }, { name: 'back', from: BOB, to: ALICE }])

  test('when a watched wallet becomes a user’s: its activities and its transactions', async () => {
    await store.addToWatchlist(ALICE, null)
    await followed.advance([block])
    expect(await usersOf('one')).toEqual({ row: [], activities: { [ALICE]: null } })
    const alice = await addUser(database.sql, MIXED)
    await store.syncWallets()
    expect(await store.totals()).toMatchObject({ wallets: { waitingForAttribution: 1 } })
    await attributeAll()
    expect(await usersOf('one')).toEqual({ row: [alice], activities: { [ALICE]: alice } })
    expect(await store.totals()).toMatchObject({ wallets: { waitingForAttribution: 0 } })
  })

  test('when a user changes wallets: old activities stay, transactions go to who takes part now', async () => {
    const alice = await addUser(database.sql, ALICE)
    const bob = await addUser(database.sql, BOB)
    await followed.advance([block])
    expect((await usersOf('one')).row).toEqual([alice])
    await database.sql`update users set wallet_address = ${CAROL} where id = ${alice}`
    await store.syncWallets()
    await attributeAll()
    expect(await usersOf('one')).toEqual({ row: [bob], activities: { [ALICE]: alice, [BOB]: bob } })
  })

  test('when a user changes wallets and nobody is left: the row stays as it was, amount and all', async () => {
    const alice = await addUser(database.sql, ALICE)
    await followed.advance([block])
    const before = await readRowTables(database.sql)
    await database.sql`update users set wallet_address = ${CAROL} where id = ${alice}`
    await store.syncWallets()
    expect(await store.totals()).toMatchObject({ wallets: { waitingForAttribution: 1 } })
    await attributeAll()
    expect(await readRowTables(database.sql)).toEqual(before)
    // Nor does it lose anything when its block is repaired.
    const { owners: present, version } = await loadOwners(store)
    const hashes = block.transactions.map(({ hash }) => hash)
    const rows = matchRows(chain, [block], present, { sought: hashes })
    const repair = { chain, registryVersion: version, block, wallets: [...present.keys()], ...rows }
    expect(rows.transactions).toHaveLength(2)
    expect(await store.commitRepair(repair)).toBe(true)
    expect(await readRowTables(database.sql)).toEqual(before)
  })

  test('when a user is deleted: never stopped by our rows, and the next participant gets the transaction', async () => {
    await addUser(database.sql, ALICE)
    const bob = await addUser(database.sql, BOB)
    await followed.advance([block])
    await database.sql`delete from users where wallet_address = ${ALICE}`
    await store.syncWallets()
    await attributeAll()
    expect(await usersOf('one')).toEqual({ row: [bob], activities: { [ALICE]: null, [BOB]: bob } })
    await database.sql`delete from users`
    await store.syncWallets()
    await attributeAll()
    expect(await usersOf('one')).toEqual({ row: [], activities: { [ALICE]: null, [BOB]: null } })
    const alice = await addUser(database.sql, ALICE)
    await store.syncWallets()
    await attributeAll()
    expect(await usersOf('one')).toEqual({ row: [alice], activities: { [ALICE]: alice, [BOB]: null } })
  })

  test('when a former owner is deleted: the activities that named them get the present one', async () => {
    const alice = await addUser(database.sql, ALICE)
    await followed.advance([block])
    await database.sql`update users set wallet_address = ${CAROL} where id = ${alice}`
    const heir = await addUser(database.sql, ALICE)
    await store.syncWallets()
    await attributeAll()
    expect(await usersOf('one')).toEqual({ row: [heir], activities: { [ALICE]: alice } })
    expect(await store.queueOwnerless()).toBe(0)
    await database.sql`delete from users where id = ${alice}`
    // Nothing of that user is in the set any more: the comparison has nothing to queue.
    await store.syncWallets()
    expect(await store.totals()).toMatchObject({ wallets: { waitingForAttribution: 0 } })
    expect((await usersOf('one')).activities).toEqual({ [ALICE]: null })
    expect(await store.queueOwnerless()).toBe(1)
    await attributeAll()
    expect(await usersOf('one')).toEqual({ row: [heir], activities: { [ALICE]: heir } })
    expect(await store.queueOwnerless()).toBe(0)
  })

  test('which nobody owns or the application wrote are not queued for being without an owner', async () => {
    await store.addToWatchlist(ALICE, null)
    await followed.advance([block])
    const bob = await addUser(database.sql, BOB)
    await database.sql`insert into wallet_activity (wallet_address, activity_type, chain_id) values (${BOB}, 'LOGIN', 1)`
    await store.syncWallets()
    expect(await store.queueOwnerless()).toBe(0)
    expect(bob).not.toBeNull()
  })

  test('that changed again while they were attributed: the newest owner counts', async () => {
    await store.addToWatchlist(ALICE, null)
    await followed.advance([block])
    const first = await addUser(database.sql, ALICE)
    await store.syncWallets()
    let attributed: Promise<unknown> = Promise.resolve()
    let linked: Promise<unknown> = Promise.resolve()
    await database.sql.begin(async tx => {
      // Everything is attributed to the first owner; what is left is to take the wallet out of the queue.
      await tx`select 1 from indexer.attribution_queue for update`
      attributed = store.attributeNextWallet(chains)
      await untilBlocked(database.sql, attributed)
      await database.sql`delete from users where id = ${first}`
      await addUser(database.sql, MIXED)
      linked = store.syncWallets()
      // It waits for the same row, or is done: then its note must survive the other's end.
      await untilBlocked(database.sql, linked, 2).catch(() => undefined)
    })
    await Promise.all([attributed, linked])
    await attributeAll()
    const [second] = await database.sql<{ id: string }[]>`select id from users`
    expect(await usersOf('one')).toEqual({ row: [second?.id], activities: { [ALICE]: second?.id } })
  })

  test('after a crash in the middle is done by the next one, and twice at once is as once', async () => {
    await store.addToWatchlist(ALICE, null)
    await store.addToWatchlist(BOB, null)
    await followed.advance([block])
    const alice = await addUser(database.sql, ALICE)
    const bob = await addUser(database.sql, BOB)
    await store.syncWallets()
    // As if a process had been killed after it filled the activities of one wallet.
    await database.sql`update wallet_activity set user_id = ${alice} where wallet_address = ${ALICE}`
    const other = createStore(database.url)
    try {
      await Promise.all([store, other, store].map(each => each.attributeNextWallet(chains)))
    } finally {
      await other.close()
    }
    await attributeAll()
    expect(await usersOf('one')).toEqual({ row: [alice], activities: { [ALICE]: alice, [BOB]: bob } })
    expect(await usersOf('back')).toEqual({ row: [bob], activities: { [ALICE]: alice, [BOB]: bob } })
    const before = await readRowTables(database.sql)
    await database.sql`insert into indexer.attribution_queue (address) values (${ALICE}), (${BOB})`
    await attributeAll()
    expect(await readRowTables(database.sql)).toEqual(before)
  })

  test('touches neither rows of the application nor what it set', async () => {
    const alice = await addUser(database.sql, ALICE)
    await database.sql`insert into wallet_activity (wallet_address, activity_type) values (${ALICE}, 'NOTE')`
    const carol = await addUser(database.sql, CAROL)
    await database.sql`
      insert into user_transactions (user_id, tx_hash, event_type) values (${carol}, ${hashOf('one')}, 'LDAO_TRANSFER_SENT')`
    await followed.advance([block])
    await database.sql`insert into indexer.attribution_queue (address) values (${ALICE})`
    await attributeAll()
    expect((await usersOf('one')).row).toEqual([carol])
    const [note] = await database.sql`select user_id from wallet_activity where activity_type = 'NOTE'`
    expect(note).toEqual({ user_id: null })
    expect(alice).not.toBe(carol)
  })
})

test('a piece of history that was matched with an older set is refused', async () => {
  const piece = await planBackfill(store, chain, [buildBlock(0)])
  await addUser(database.sql, ALICE)
  await store.syncWallets()
  expect(await codeOf(store.commitBackfill(piece))).toBe('REGISTRY_STALE')
  expect(await store.coverage(chain.id)).toEqual([])
})
