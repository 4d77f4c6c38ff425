import { readFile, readdir } from 'node:fs/promises'
import { join } from 'node:path'

import { afterEach, beforeEach, describe, expect, test } from 'vitest'

import { migrationState } from '../../src/store/migrate.ts'
import { readSnapshot } from '../../src/store/snapshot.ts'
import { createDatabase, type TestDatabase } from '../support/database.ts'
import { createApplicationTables } from '../support/linkdao-schema.ts'
import { migrateUp, revert, runByPsql, SQL_DIRECTORY, upFiles } from '../support/migrations.ts'

let database: TestDatabase

beforeEach(async () => {
  database = await createDatabase({ migrated: false })
})

afterEach(async () => {
  await database.drop()
})

async function readDownFile(start: string): Promise<string> {
  const name = (await readdir(SQL_DIRECTORY)).find(each => each.startsWith(start) && each.endsWith('.down.sql'))
  return readFile(join(SQL_DIRECTORY, name ?? start), 'utf8')
}

describe('The way down', () => {
  test('leaves an empty database as empty as it was, and the way up is open again', async () => {
    const empty = await readSnapshot(database.sql)
    await migrateUp(database.url)
    expect(await revert(database.url)).toEqual((await upFiles()).toReversed())
    expect(await readSnapshot(database.sql)).toBe(empty)
    expect(await revert(database.url)).toEqual([])
    expect(await migrateUp(database.url)).toEqual(await upFiles())
  })

  test('stops at the number that it is given', async () => {
    await migrateUp(database.url, { to: 11 })
    const before = await readSnapshot(database.sql)
    await migrateUp(database.url)
    await revert(database.url, { to: 11 })
    expect(await readSnapshot(database.sql)).toBe(before)
    expect((await migrationState(database.sql, SQL_DIRECTORY)).applied).toEqual((await upFiles()).slice(0, 4))
  })

  test('refuses tables that hold rows, names them, and has touched nothing', async () => {
    await migrateUp(database.url)
    await database.sql`insert into users (wallet_address) values ('0x01'), ('0x02')`
    await database.sql`insert into indexer.watchlist (address) values ('0x03')`
    const before = await readSnapshot(database.sql)
    await expect(revert(database.url)).rejects.toMatchObject({
      code: 'MIGRATION_REFUSED',
      message: 'Tables hold rows that would be lost: public.users (2 rows), indexer.watchlist (1 rows).',
      hint: 'Add --drop-data to drop them too.',
    })
    expect(await readSnapshot(database.sql)).toBe(before)
    expect((await migrationState(database.sql, SQL_DIRECTORY)).pending).toEqual([])
  })

  test('drops rows for those who say so, evidence included', async () => {
    const empty = await readSnapshot(database.sql)
    await migrateUp(database.url)
    await database.sql`insert into users (wallet_address) values ('0x01')`
    await database.sql`insert into indexer.transitions (tx_hash, to_status, reason) values ('0x02', 'pending', 'included')`
    await revert(database.url, { dropData: true })
    expect(await readSnapshot(database.sql)).toBe(empty)
  })

  test('refuses while a daemon holds a lease', async () => {
    await migrateUp(database.url)
    await database.sql`
      insert into indexer.leases (name, holder, fencing, expires_at) values ('chain 1', 'a', 1, now() + interval '20 s')
    `
    await expect(revert(database.url, { dropData: true })).rejects.toMatchObject({
      code: 'MIGRATION_REFUSED',
      message: 'A daemon is at work: it holds chain 1.',
    })
  })

  test('never takes along what the application built upon our tables', async () => {
    await migrateUp(database.url)
    await database.sql`create table listings (id uuid primary key, product_id uuid references products (id))`
    await expect(revert(database.url)).rejects.toMatchObject({ code: 'MIGRATION_FAILED', facts: { sqlstate: '2BP01' } })
    expect(await database.sql`select to_regclass('public.products') is not null as there`).toEqual([{ there: true }])
  })

  test("leaves the schema where somebody else's table is in it", async () => {
    await migrateUp(database.url)
    await database.sql`create table indexer.notes (id int)`
    await revert(database.url)
    expect(await database.sql`select table_name from information_schema.tables where table_schema = 'indexer'`).toEqual(
      [{ table_name: 'notes' }],
    )
  })
})

describe('A down file that somebody runs by hand', () => {
  test("drops nothing of the application's, with a ledger or without", async () => {
    await createApplicationTables(database.sql)
    const schema = await readSnapshot(database.sql)
    await database.sql.unsafe(await readDownFile('0009')).simple()
    await database.sql.unsafe(await readDownFile('0008')).simple()
    expect(await readSnapshot(database.sql)).toBe(schema)
    await migrateUp(database.url, { to: 9 })
    await database.sql.unsafe(await readDownFile('0009')).simple()
    await database.sql.unsafe(await readDownFile('0008')).simple()
    await database.sql.unsafe('drop schema indexer cascade')
    expect(await readSnapshot(database.sql)).toBe(schema)
  })

  test('refuses to go before a later one, and to drop rows', async () => {
    await migrateUp(database.url, { to: 10 })
    await expect(database.sql.unsafe(await readDownFile('0009')).simple()).rejects.toMatchObject({ code: '55000' })
    await database.sql.unsafe(await readDownFile('0010')).simple()
    await database.sql`insert into users (wallet_address) values ('0x01')`
    await database.sql.unsafe(await readDownFile('0009')).simple()
    await expect(database.sql.unsafe(await readDownFile('0008')).simple()).rejects.toMatchObject({
      code: '55000',
      message: 'public.users holds 1 rows',
    })
  })

  test('runs by psql, and the ledger knows it', async context => {
    await migrateUp(database.url)
    const names = (await upFiles()).map(name => name.replace('.sql', '.down.sql')).toReversed()
    for (const name of names) {
      const run = runByPsql(database.url, name)
      if (run === undefined) return context.skip('there is no psql')
      expect(run, run.stderr).toMatchObject({ status: 0 })
    }
    expect((await migrationState(database.sql, SQL_DIRECTORY)).pending).toEqual(await upFiles())
  })
})
