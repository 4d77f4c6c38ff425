import { afterEach, expect, inject, test } from 'vitest'
import { createDatabase, type TestDatabase } from '../support/database.ts'

const made: TestDatabase[] = []
afterEach(async () => {
  for (const database of made.splice(0)) await database.drop()
})

async function make(options?: { migrated?: boolean }): Promise<TestDatabase> {
  const database = await createDatabase(options)
  made.push(database)
  return database
}

test('databases made at the same time are migrated, apart from each other, and in UTC', async () => {
  const [{ sql: one }, { sql: two }] = await Promise.all([make(), make(), make()])
  await one`create table only_here (id int)`
  const [row] = await two`
    select current_setting('TimeZone') as zone, to_regclass('user_transactions') is not null as migrated,
      to_regclass('only_here') is null as apart`
  expect(row).toEqual({ zone: 'UTC', migrated: true, apart: true })
})

test('an empty database has no table', async () => {
  const { sql } = await make({ migrated: false })
  expect(await sql`select 1 from pg_class where relnamespace = 'public'::regnamespace`).toHaveLength(0)
})

test('a database that was dropped is gone, with whoever was connected', async () => {
  const database = await make({ migrated: false })
  await database.drop()
  const { sql } = await make({ migrated: false })
  expect(await sql`select 1 from pg_database where datname = ${database.name}`).toHaveLength(0)
  expect(inject('postgresUrl')).not.toContain(database.name)
})
