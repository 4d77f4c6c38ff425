/**
 * The database is played back from an older dump, whole or in part, and the daemon finds out what that means for its rows.
 *
 * A dump is a copy of the tables in a schema of its own, or of the whole database. Rows are compared with the chain by `verify`.
 */

import type postgres from 'postgres'
import { afterAll, afterEach, beforeAll, describe, expect, inject, test } from 'vitest'
import {
  ALICE,
  BOB,
  type Daemon,
  expectSaidOnce,
  openStage,
  probe,
  type Stage,
  stopDaemon,
  troublesOf,
  until,
  untilNoted,
} from '../support/outage-stage.ts'

const CAROL = '0xca20100000000000000000000000000000000003'
const NAMES = ['restored', 'restored_part', 'restored_activity', 'restored_rows', 'restored_schema', 'erased'] as const
const APPLICATION = ['public.users', 'public.user_transactions', 'public.wallet_activity'] as const
/** A few tries of a chain that stands still. */
const STANDSTILL_MS = 2_000

let stage: Stage
let sql: postgres.Sql

beforeAll(async () => {
  stage = await openStage({ serverUrl: inject('postgresUrl'), names: NAMES })
})

afterEach(async () => {
  await stage?.killDaemons()
  await sql?.end({ timeout: 1 })
})

afterAll(async () => {
  await stage?.close()
})

async function send(to: string, from = ALICE): Promise<string> {
  const hash = await stage.anvil.rpc('eth_sendTransaction', [{ from, to, value: '0x1', gas: '0x186a0' }])
  await stage.anvil.mine()
  return String(hash)
}

async function checkpoint(): Promise<number> {
  const [row] = await sql<{ at: number }[]>`select max(block_number)::int as at from indexer.checkpoints`
  return row?.at ?? -1
}

async function untilHead(): Promise<void> {
  const head = Number(await stage.anvil.rpc('eth_blockNumber'))
  await until(`block ${head} is there`, async () => (await checkpoint()) === head)
}

const signUp = (wallet: string) => sql`insert into users (wallet_address) values (${wallet})`

/** Starts the daemon, mines some blocks and waits until it has them. */
async function follow(name: string, blocks: number): Promise<Daemon> {
  const daemon = await stage.startDaemon(name)
  await stage.mineTransfers(blocks)
  await untilHead()
  return daemon
}

// ── Dumps ────────────────────────────────────────────────────────────────────────────────────────────────────────────────

async function dump(tables: readonly string[]): Promise<void> {
  await sql`create schema dump`
  for (const table of tables) await sql.unsafe(`create table dump.${table.replace('.', '_')} as table ${table}`)
}

/** As a restore does it: no trigger fires and no key is checked meanwhile. */
async function restore(tables: readonly string[]): Promise<void> {
  await sql.begin(async tx => {
    await tx`set local session_replication_role = replica`
    for (const table of tables) {
      await tx.unsafe(`delete from ${table}`)
      await tx.unsafe(`insert into ${table} overriding system value table dump.${table.replace('.', '_')}`)
    }
    if (tables.includes('public.users'))
      await tx`update wallet_activity set user_id = null where user_id not in (select id from users)`
  })
}

/** The tables of the schema `indexer`, but for what is about processes. */
async function indexerTables(): Promise<string[]> {
  const rows = await sql<{ name: string }[]>`
    select 'indexer.' || tablename as name from pg_tables
    where schemaname = 'indexer' and tablename not in ('leases', 'migrations') order by 1`
  return rows.map(({ name }) => name)
}

// ── What becomes of it ───────────────────────────────────────────────────────────────────────────────────────────────────

/** Everything that the daemon writes about the chain. */
async function countRows(): Promise<unknown> {
  const [row] = await sql`
    select (select count(*) from wallet_activity) as activities, (select count(*) from user_transactions) as transactions,
      (select count(*) from indexer.inclusions) as inclusions, (select count(*) from indexer.transitions) as transitions`
  return row
}

/** It stands still, says why, and what it says to do mends it. */
async function expectHaltAndWayOut(name: string): Promise<void> {
  const before = [await checkpoint(), await countRows()]
  const process = stage.workplace.start(['run'], { DATABASE_URL: stage.urlOf(name) })
  const http = (await process.until(/"http":"(http:[^"]+)"/))[1] ?? ''
  const daemon = { name, process, http }
  await untilNoted([daemon], /Rows are missing below the checkpoint/)
  await stage.mineTransfers(2)
  await new Promise(resolve => setTimeout(resolve, STANDSTILL_MS))
  expect([await checkpoint(), await countRows()]).toEqual(before)
  const said = troublesOf(daemon)
  expectSaidOnce(said)
  expect(said).toMatchObject([{ msg: 'Halted', error: { code: 'CHECKPOINT_AHEAD_OF_ROWS' } }])

  const { text } = await probe(http)
  const [command] = /verify --chain \S+ --from-block \d+ --to-block \d+ --repair/.exec(text) ?? []
  const repaired = await stage.workplace.run(String(command).split(' '), { DATABASE_URL: stage.urlOf(name) })
  expect(repaired.stdout).toContain('no differences')
  expect(repaired.code).toBe(0)
  await until('it is ready again', async () => (await probe(http)).status === 200)
  await untilHead()
  await stage.expectRowsOfChain(name)
  await stopDaemon(daemon)
}

describe('a whole restore', () => {
  test('under a running daemon: it goes on from there, and every row is right', async () => {
    sql = stage.connectTo('restored', 1)
    await stopDaemon(await follow('restored', 3))
    await sql.end()
    const admin = stage.connectTo('postgres', 1)
    await admin`drop database if exists restored_dump with (force)`
    await admin`create database restored_dump template restored`
    sql = stage.connectTo('restored', 1)
    const daemon = await follow('restored', 3)
    await signUp(CAROL)
    await send(CAROL)
    await untilHead()
    await sql.end()
    await admin`drop database restored with (force)`
    await admin`create database restored template restored_dump`
    await admin`drop database restored_dump`
    await admin.end()
    sql = stage.connectTo('restored', 1)
    await stage.mineTransfers(1)
    await untilHead()
    await until('it is ready', async () => (await probe(daemon.http)).status === 200)
    await stage.expectRowsOfChain('restored')
    expect(await sql`select 1 from wallet_activity where wallet_address = ${CAROL}`).toHaveLength(0)
    await stopDaemon(daemon)
  })
})

describe('a restore of the application’s tables alone', () => {
  test('halts the chain before anything more is written; what it says to do mends it', async () => {
    sql = stage.connectTo('restored_part', 1)
    const daemon = await follow('restored_part', 3)
    await dump(APPLICATION)
    await signUp(CAROL)
    await until('her wallet is tracked', async () => {
      return (await sql`select 1 from indexer.wallets where address = ${CAROL} and tracked`).length > 0
    })
    await send(CAROL)
    await stage.mineTransfers(2)
    await untilHead()
    await stopDaemon(daemon)
    await restore(APPLICATION)
    await expectHaltAndWayOut('restored_part')
  })

  test('and so where it is wallet_activity alone', async () => {
    sql = stage.connectTo('restored_activity', 1)
    const daemon = await follow('restored_activity', 1)
    await dump(['public.wallet_activity'])
    await stage.mineTransfers(1)
    await untilHead()
    await stopDaemon(daemon)
    await restore(['public.wallet_activity'])
    await expectHaltAndWayOut('restored_activity')
  })

  test('where it is user_transactions alone, its rows are made again from the activities', async () => {
    sql = stage.connectTo('restored_rows', 1)
    const daemon = await follow('restored_rows', 1)
    await dump(['public.user_transactions'])
    await stage.mineTransfers(2)
    await untilHead()
    await stopDaemon(daemon)
    const before = await countRows()
    await restore(['public.user_transactions'])
    expect(await countRows()).not.toEqual(before)
    const again = await stage.startDaemon('restored_rows')
    await until('the rows are there again', async () => {
      return JSON.stringify(await countRows()) === JSON.stringify(before)
    })
    await stage.expectRowsOfChain('restored_rows')
    expect(troublesOf(again)).toEqual([])
    await stopDaemon(again)
  })
})

describe('a restore of the schema indexer alone', () => {
  test('is caught up with: rows, statuses and evidence are right', async () => {
    sql = stage.connectTo('restored_schema', 1)
    const daemon = await follow('restored_schema', 3)
    const tables = await indexerTables()
    await dump(tables)
    const kept = await checkpoint()
    await stage.mineTransfers(3)
    await untilHead()
    await stopDaemon(daemon)
    const before = await sql`select id, tx_hash from wallet_activity order by id`
    await restore(tables)
    expect(await checkpoint()).toBe(kept)
    const again = await stage.startDaemon('restored_schema')
    await stage.mineTransfers(2)
    await untilHead()
    await stage.expectRowsOfChain('restored_schema')
    const after = await sql`select id, tx_hash from wallet_activity where block_number <= ${kept + 3} order by id`
    expect([...after]).toEqual([...before])
    await until('the row of each settled block has its evidence', async () => {
      const [row] = await sql<{ open: number }[]>`
        select count(*)::int as open from user_transactions u
        where block_number < (select block_number from indexer.checkpoints) and not exists (
          select 1 from indexer.transitions t where t.tx_hash = u.tx_hash and t.to_status = 'confirmed'
        )`
      return row?.open === 0
    })
    await stopDaemon(again)
  })
})

describe('rows that are gone and are no reason to halt', () => {
  test('a user who was erased with all rows, one whose rows are another’s now, and a row that the application inserted and took back', async () => {
    sql = stage.connectTo('erased', 1)
    const daemon = await follow('erased', 2)
    await signUp(CAROL)
    await until('her wallet is tracked', async () => {
      return (await sql`select 1 from indexer.wallets where address = ${CAROL} and tracked`).length > 0
    })
    // From a stranger, so that hers are the only rows.
    await stage.anvil.rpc('anvil_setBalance', [
      '0x57a0000000000000000000000000000000000005',
      `0x${(10n ** 18n).toString(16)}`,
    ])
    const hash = await send(CAROL, '0x57a0000000000000000000000000000000000005')
    const noted = await send(BOB)
    await untilHead()
    // As if the application had inserted it.
    await sql`update indexer.transactions set application_hash = tx_hash where tx_hash = ${noted}`
    await stopDaemon(daemon)
    expect(await sql`select 1 from wallet_activity where tx_hash = ${hash}`).toHaveLength(1)
    await sql`delete from wallet_activity where wallet_address = ${CAROL}`
    await sql`delete from users where wallet_address = ${CAROL}`
    await sql`delete from user_transactions where tx_hash = ${noted}`
    // Rows of the sender go with the sender, and are the recipient's as soon as the daemon runs.
    await sql`delete from users where wallet_address = ${ALICE}`
    const again = await follow('erased', 1)
    await until('they are the recipient’s', async () => {
      const rows = await sql`
        select 1 from user_transactions u join users o on o.id = u.user_id where o.wallet_address = ${BOB}`
      return rows.length >= 2
    })
    expect(troublesOf(again)).toEqual([])
    await stopDaemon(again)
  })
})
