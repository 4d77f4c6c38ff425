import { appendFile, readFile } from 'node:fs/promises'
import { join } from 'node:path'

import postgres from 'postgres'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'

import { describeError } from '../../src/errors.ts'
import { migrate, migrationState } from '../../src/store/migrate.ts'
import { readSnapshot } from '../../src/store/snapshot.ts'
import { createDatabase, type TestDatabase } from '../support/database.ts'
import {
  migrateUp,
  optionsFor,
  readSqlFile,
  runByPsql,
  SNAPSHOT_FILE,
  SQL_DIRECTORY,
  upFiles,
  withCopiedFiles,
} from '../support/migrations.ts'

let database: TestDatabase

beforeEach(async () => {
  database = await createDatabase({ migrated: false })
})

afterEach(async () => {
  await database.drop()
})

function sortLines(text: string): string[] {
  return text.split('\n').sort()
}

describe('On an empty database', () => {
  test('all files are applied in order, and come to the schema of the snapshot', async () => {
    expect(await migrateUp(database.url)).toEqual(await upFiles())
    const snapshot = await readFile(SNAPSHOT_FILE, 'utf8')
    expect(
      snapshot.endsWith(await readSnapshot(database.sql)),
      'run `npm run generate` and review the difference',
    ).toBe(true)
  })

  test('a second run applies nothing', async () => {
    await migrateUp(database.url)
    expect(await migrateUp(database.url)).toEqual([])
  })

  test('the state says what is pending and what is applied', async () => {
    const files = await upFiles()
    expect(await migrationState(database.sql, SQL_DIRECTORY)).toMatchObject({ applied: [], pending: files })
    await migrateUp(database.url, { to: 9 })
    expect(await migrationState(database.sql, SQL_DIRECTORY)).toEqual({
      applied: files.slice(0, 2),
      pending: files.slice(2),
      changed: [],
      unknown: [],
      missing: [],
    })
  })

  test('the snapshot is SQL that can be run', async () => {
    await database.sql.unsafe(await readFile(SNAPSHOT_FILE, 'utf8')).simple()
    expect(await database.sql`select number from indexer.migrations`).toEqual([])
  })
})

describe('0009 by itself', () => {
  test('runs twice as one simple query, with 24 indexes, 3 triggers and 5 named checks', async () => {
    await database.sql.unsafe(await readSqlFile('0008')).simple()
    await database.sql.unsafe(await readSqlFile('0009')).simple()
    const once = await readSnapshot(database.sql)
    await database.sql.unsafe(await readSqlFile('0009')).simple()
    expect(await readSnapshot(database.sql)).toBe(once)

    expect(once.match(/^CREATE INDEX/gm)).toHaveLength(24)
    expect(once.match(/^CREATE TRIGGER/gm)).toHaveLength(3)
    expect([...once.matchAll(/constraint (\w+) CHECK/g)].map(([, name]) => name)).toEqual([
      'purchase_price_positive',
      'purchase_status',
      'risk_severity',
      'risk_status',
      'transaction_status',
    ])
  })

  test('runs by psql -f, twice', async context => {
    const [prerequisites = '', monitoring = ''] = await upFiles()
    for (const name of [prerequisites, monitoring, prerequisites, monitoring]) {
      const run = runByPsql(database.url, name)
      if (run === undefined) context.skip('there is no psql')
      else expect(run, run.stderr).toMatchObject({ status: 0 })
    }
  })
})

describe('A file that cannot be applied', () => {
  test('is named with the SQLSTATE and the message of the server, and leaves nothing', async () => {
    await withCopiedFiles(async directory => {
      await appendFile(
        join(directory, (await upFiles())[1] ?? ''),
        '\nalter table public.users\n  add column handle text;\n',
      )
      const failure = await migrate(optionsFor(database.url, { directory })).catch((error: unknown) => error)
      expect(failure).toMatchObject({
        code: 'MIGRATION_FAILED',
        message: '0009_create_user_monitoring_system.sql failed: column "handle" of relation "users" already exists.',
        facts: { file: '0009_create_user_monitoring_system.sql', sqlstate: '42701' },
      })
      expect(describeError(failure)).not.toContain(new URL(database.url).password)
      expect((await migrationState(database.sql, directory)).applied).toEqual(['0008_standalone_prerequisites.sql'])
      const [table] = await database.sql`select to_regclass('public.purchases') as name`
      expect(table).toEqual({ name: null })
    })
  })

  test('that was changed after it was applied is refused by name', async () => {
    await migrateUp(database.url)
    await withCopiedFiles(async directory => {
      await appendFile(join(directory, (await upFiles())[2] ?? ''), '\n-- a late thought\n')
      await expect(migrate(optionsFor(database.url, { directory }))).rejects.toMatchObject({
        code: 'MIGRATION_REFUSED',
        message: 'Applied migrations were changed afterwards: 0010_indexer_schema.sql.',
      })
    })
  })

  test('of a newer program stops an older one', async () => {
    await migrateUp(database.url)
    await database.sql`
      insert into indexer.migrations (number, name, checksum, created) values (9999, '9999_future.sql', '', '{}')
    `
    await expect(migrate(optionsFor(database.url))).rejects.toMatchObject({
      code: 'MIGRATION_REFUSED',
      message: 'The database is newer than this program: it has 9999_future.sql.',
    })
  })

  test('for want of a server or a readable URL says so without the URL', async () => {
    const unreachable = 'postgres://somebody:hunter2@127.0.0.1:1/nowhere'
    const unreadable = 'postgres://somebody:hunter%2@127.0.0.1/nowhere'
    for (const [url, code] of [
      [unreachable, 'DB_UNAVAILABLE'],
      [unreadable, 'CONFIG_INVALID'],
    ] as const) {
      const failure = await migrate(optionsFor(url)).catch((error: unknown) => error)
      expect(failure).toMatchObject({ code })
      expect(describeError(failure)).not.toMatch(/hunter/)
    }
  })
})

describe('What the application dropped of ours', () => {
  test('is restored: columns, indexes that build upon them, triggers', async () => {
    await migrateUp(database.url)
    const before = await readSnapshot(database.sql)
    await database.sql`alter table wallet_activity drop column token_address`
    await database.sql`alter table wallet_activity drop column block_hash cascade`
    await database.sql`alter table wallet_activity drop column raw_amount`
    await database.sql`drop trigger transitions_append_only on indexer.transitions`
    expect((await migrationState(database.sql, SQL_DIRECTORY)).missing).toContain(
      'index public.wallet_activity_indexer_block',
    )

    const options = optionsFor(database.url)
    expect(await migrate(options)).toEqual({ applied: [] })
    const restored = options.lines.find(line => line.message.includes('restored'))
    expect(restored?.facts['restored']).toEqual(
      expect.arrayContaining([
        'column public.wallet_activity.block_hash',
        'index public.wallet_activity_indexer_tx_hash',
      ]),
    )
    expect((await migrationState(database.sql, SQL_DIRECTORY)).missing).toEqual([])
    // A column that comes back comes back last: only the order may differ.
    expect(sortLines(await readSnapshot(database.sql))).toEqual(sortLines(before))
  })

  test('is restored where it is an index that somebody left invalid', async () => {
    await migrateUp(database.url)
    await database.sql`
      update pg_index set indisvalid = false where indexrelid = 'user_transactions_indexer_pending'::regclass
    `
    expect((await migrationState(database.sql, SQL_DIRECTORY)).missing).toEqual([
      'index public.user_transactions_indexer_pending',
    ])
    await migrateUp(database.url)
    expect((await migrationState(database.sql, SQL_DIRECTORY)).missing).toEqual([])
  })

  test('is not made up for where it was a table', async () => {
    await migrateUp(database.url)
    await database.sql`drop table indexer.transitions`
    await expect(migrate(optionsFor(database.url))).rejects.toMatchObject({
      code: 'MIGRATION_FAILED',
      message: 'Tables that a migration made are gone: table indexer.transitions.',
    })
  })
})

describe('The tables that we make', () => {
  test('hold UTC whatever the time zone of the server, the database and the session', async () => {
    await migrateUp(database.url)
    await database.sql.unsafe(`alter database ${database.name} set timezone = 'Asia/Tokyo'`)
    const elsewhere = postgres(database.url, { max: 1, onnotice: () => undefined })
    try {
      expect(await elsewhere`show timezone`).toMatchObject([{ TimeZone: 'Asia/Tokyo' }])
      await elsewhere`insert into users (wallet_address) values ('0x01')`
      await elsewhere`insert into user_transactions (tx_hash, event_type) values ('0x02', 'TRANSFER')`
      await elsewhere`update user_transactions set status = 'confirmed'`
      const rows = await elsewhere`
        select abs(extract(epoch from t.at - (clock_timestamp() at time zone 'utc'))) < 60 as is_utc
        from (
          select created_at from users union all select timestamp from user_transactions
          union all select created_at from user_transactions union all select updated_at from user_transactions
        ) as t(at)
      `
      expect(rows.map(row => row['is_utc'])).toEqual([true, true, true, true])
    } finally {
      await elsewhere.end()
    }
  })

  test('let a user be deleted: what the wallet did stays without the link, flags go', async () => {
    await migrateUp(database.url)
    const [user] = await database.sql<{ id: string }[]>`insert into users (wallet_address) values ('0x01') returning id`
    const id = user?.id ?? ''
    await database.sql`
      insert into wallet_activity (wallet_address, user_id, activity_type, block_hash) values ('0x01', ${id}, 'TRANSFER_IN', '0xb1')
    `
    await database.sql`insert into risk_flags (user_id, flag_type, severity) values (${id}, 'Blacklisted Address', 'high')`
    await database.sql`delete from users`
    expect(await database.sql`select wallet_address, user_id from wallet_activity`).toEqual([
      { wallet_address: '0x01', user_id: null },
    ])
    expect(await database.sql`select 1 from risk_flags`).toHaveLength(0)
  })

  test('of evidence refuse update, delete and truncate, also of no rows', async () => {
    await migrateUp(database.url)
    await database.sql`insert into indexer.transitions (tx_hash, to_status, reason) values ('0x02', 'pending', 'included')`
    for (const statement of [
      "update indexer.transitions set to_status = 'failed'",
      'delete from indexer.transitions where false',
      'truncate indexer.transitions',
    ]) {
      await expect(database.sql.unsafe(statement)).rejects.toMatchObject({ code: '23001' })
    }
    expect(await database.sql`select to_status from indexer.transitions`).toEqual([{ to_status: 'pending' }])
  })
})
