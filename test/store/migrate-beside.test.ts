import { afterEach, beforeEach, describe, expect, test } from 'vitest'

import { migrate } from '../../src/store/migrate.ts'
import { readSnapshot } from '../../src/store/snapshot.ts'
import { createDatabase, type TestDatabase } from '../support/database.ts'
import { createApplicationTables, readApplicationRows } from '../support/linkdao-schema.ts'
import { migrateUp, optionsFor, readSqlFile, revert } from '../support/migrations.ts'

let database: TestDatabase

beforeEach(async () => {
  database = await createDatabase({ migrated: false })
})

afterEach(async () => {
  await database.drop()
})

describe("Beside the application's own tables", () => {
  test('0008 and 0009 change nothing at all', async () => {
    await createApplicationTables(database.sql)
    const schema = await readSnapshot(database.sql)
    await database.sql.unsafe(await readSqlFile('0008')).simple()
    await database.sql.unsafe(await readSqlFile('0009')).simple()
    expect(await readSnapshot(database.sql)).toBe(schema)
  })

  test('all migrations leave every row as it was, and name nothing of the application as ours', async () => {
    await createApplicationTables(database.sql)
    const rows = await readApplicationRows(database.sql)
    await migrateUp(database.url)
    expect(await readApplicationRows(database.sql)).toEqual(rows)
    const ledger = await database.sql<{ number: number; created: string[] }[]>`
      select number, created from indexer.migrations where number in (8, 9, 11) order by number
    `
    expect(ledger[0]?.created).toEqual([])
    expect(ledger[1]?.created).toEqual([])
    expect(ledger[2]?.created.filter(identity => !identity.startsWith('column '))).toEqual([
      'constraint public.risk_flags.risk_flags_user_id_fkey on delete cascade',
      'constraint public.wallet_activity.wallet_activity_user_id_fkey on delete set null',
    ])
  })

  test('the keys that stopped a user from being deleted act instead, and are valid', async () => {
    await createApplicationTables(database.sql)
    await migrateUp(database.url)
    const keys = await database.sql`
      select conrelid::regclass::text as owner, confdeltype as action, convalidated as valid
      from pg_constraint
      where contype = 'f' and conname in ('wallet_activity_user_id_fkey', 'risk_flags_user_id_fkey') order by 1
    `
    expect(keys).toEqual([
      { owner: 'risk_flags', action: 'c', valid: true },
      { owner: 'wallet_activity', action: 'n', valid: true },
    ])
  })

  test('a key that the schema tool took back is put right again', async () => {
    await createApplicationTables(database.sql)
    await migrateUp(database.url)
    await database.sql`alter table wallet_activity drop constraint wallet_activity_user_id_fkey`
    await database.sql`
      alter table wallet_activity add constraint wallet_activity_user_id_users_id_fk foreign key (user_id) references users (id)
    `
    expect(await migrateUp(database.url)).toEqual([])
    const [key] = await database.sql`
      select confdeltype as action, convalidated as valid from pg_constraint
      where conname = 'wallet_activity_user_id_users_id_fk'
    `
    expect(key).toEqual({ action: 'n', valid: true })
    // And it is nothing to be done again: the ledger knows the new name.
    const options = optionsFor(database.url)
    await migrate(options)
    expect(options.lines).toEqual([])
  })

  test('only the tables that the application has not are made', async () => {
    await createApplicationTables(database.sql)
    await database.sql`drop table risk_flags`
    await migrateUp(database.url)
    const [row] = await database.sql<{ created: string[] }[]>`select created from indexer.migrations where number = 9`
    expect(row?.created).toEqual([
      'function public.indexer_set_updated_at()',
      'index public.risk_flags_created_at_idx',
      'index public.risk_flags_severity_idx',
      'index public.risk_flags_status_idx',
      'index public.risk_flags_user_id_idx',
      'table public.risk_flags',
      'trigger public.risk_flags.risk_flags_set_updated_at',
    ])
  })

  test('the way down leaves its schema and its rows exactly as they were', async () => {
    await createApplicationTables(database.sql)
    const schema = await readSnapshot(database.sql)
    const rows = await readApplicationRows(database.sql)
    await migrateUp(database.url)
    await revert(database.url)
    expect(await readSnapshot(database.sql)).toBe(schema)
    expect(await readApplicationRows(database.sql)).toEqual(rows)
  })

  test("the daemon's rows go with --drop-data alone, the application's stay", async () => {
    await createApplicationTables(database.sql)
    const rows = await readApplicationRows(database.sql)
    await migrateUp(database.url)
    await database.sql`
      insert into wallet_activity (wallet_address, activity_type, block_hash) values ('0x01', 'TRANSFER_IN', '0xb1')
    `
    await database.sql`insert into user_transactions (tx_hash, event_type) values ('0x02', 'TRANSFER')`
    await database.sql`insert into indexer.transactions (tx_hash, row_id, status) select tx_hash, id, 'pending' from user_transactions where tx_hash = '0x02'`
    await database.sql`
      insert into indexer.transactions (tx_hash, row_id, application_hash, status)
      select lower(tx_hash), id, tx_hash, 'pending' from user_transactions where tx_hash <> '0x02'
    `
    await expect(revert(database.url)).rejects.toMatchObject({
      code: 'MIGRATION_REFUSED',
      message:
        'Tables hold rows that would be lost: indexer.transactions (2 rows), public.wallet_activity (1 rows of the daemon).',
    })
    await revert(database.url, { dropData: true })
    expect(await readApplicationRows(database.sql)).toEqual(rows)
  })
})
