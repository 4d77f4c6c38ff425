/**
 * A status that is settled while another transaction derives the same row again: neither may undo the other.
 */

import { afterEach, beforeEach, expect, test } from 'vitest'
import { createStore } from '../../src/store/store.ts'
import { createDatabase, type TestDatabase } from '../support/database.ts'
import { testChain } from '../support/indexer.ts'
import {
  ALICE,
  addUser,
  buildBlock,
  followByHand,
  hashOf,
  headerOf,
  loadOwners,
  matchRows,
  untilBlocked,
} from '../support/rows.ts'

const chain = testChain()

let database: TestDatabase
let store: ReturnType<typeof createStore>

beforeEach(async () => {
  database = await createDatabase()
  store = createStore(database.url)
})

afterEach(async () => {
  await store.close()
  await database.drop()
})

test('a row that is derived again waits for the settling of its block, and keeps what that decided', async () => {
  const { sql } = database
  const hash = hashOf('one')
  await addUser(sql, ALICE)
  const followed = await followByHand(store, chain)
  await followed.advance([buildBlock(0), buildBlock(1, [{ name: 'one' }])], { settledHeight: -1 })
  expect(await sql`select status, block_number from user_transactions`).toMatchObject([
    { status: 'pending', block_number: 1 },
  ])

  const settling = await sql.reserve()
  let derived: Promise<void> = Promise.resolve()
  try {
    // What settling does, in its order, by hand: so that it can be held in the middle.
    await settling`begin`
    await settling`update indexer.inclusions set settled = true where tx_hash = ${hash}`
    await settling`update indexer.transactions set status = 'confirmed' where tx_hash = ${hash}`
    await settling`update user_transactions set status = 'confirmed' where tx_hash = ${hash}`
    await settling`
      insert into indexer.transitions (tx_hash, chain_id, from_status, to_status, reason)
      values (${hash}, ${chain.id}, 'pending', 'confirmed', 'confirmed')`
    derived = store.rederive([hash], new Map([[chain.id, chain]]))
    await untilBlocked(sql, derived)
    await settling`commit`
  } finally {
    settling.release()
  }
  await derived
  expect(await sql`select status from user_transactions`).toMatchObject([{ status: 'confirmed' }])
  const transitions = await sql`select to_status from indexer.transitions where tx_hash = ${hash} order by id`
  expect(transitions.map(row => String(row['to_status']))).toEqual(['pending', 'confirmed'])
})

test('what two find at the same moment is recorded once', async () => {
  const { sql } = database
  const hash = hashOf('one')
  // Nobody who is tracked takes part: there are no activities that one would have to wait for.
  await sql`insert into user_transactions (tx_hash, event_type) values (${hash}, 'X')`
  await store.enrollApplicationRows('pending')
  const followed = await followByHand(store, chain)
  await followed.advance([buildBlock(0), buildBlock(1), buildBlock(2), buildBlock(3)], { settledHeight: 1 })
  const { owners, version } = await loadOwners(store)
  const block = buildBlock(1, [{ name: 'one' }])
  const found = {
    chain,
    registryVersion: version,
    block: headerOf(buildBlock(1)),
    ...matchRows(chain, [block], owners, { sought: [hash] }),
  }
  const other = createStore(database.url)
  let both: Promise<boolean[]> = Promise.resolve([])
  try {
    await sql
      .begin(async application => {
        await application`select 1 from user_transactions for update`
        both = Promise.all([store.commitFound(found), other.commitFound(found)])
        await untilBlocked(sql, both, 2)
        throw new Error('taken back')
      })
      .catch(() => undefined)
    expect(await both).toEqual([true, true])
  } finally {
    await other.close()
  }
  const transitions = await sql`select to_status, reason from indexer.transitions where tx_hash = ${hash} order by id`
  expect(transitions.map(row => Object.values(row).join(' '))).toEqual(['pending included', 'confirmed confirmed'])
})
