/**
 * The oracle's rows survive the way through a real database, and a difference reads as one.
 */
import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startAnvil } from '../../src/demo/anvil.ts'
import { createTraffic } from '../../src/demo/traffic.ts'
import { readChain } from '../support/chain-file.ts'
import { createDatabase, type TestDatabase } from '../support/database.ts'
import { deriveRows } from '../../src/verify/derive.ts'
import { readRows } from '../../src/verify/read.ts'
import { diffRows, type Rows } from '../../src/verify/rows.ts'

const chain = readChain('sepolia')
let database: TestDatabase
let rows: Rows

beforeAll(async () => {
  database = await createDatabase()
  const anvil = await startAnvil({ chainId: chain.id })
  try {
    const traffic = await createTraffic({ anvil, chain, seed: 5 })
    await traffic.step(100)
    const headNumber = Number(await anvil.rpc('eth_blockNumber'))
    const owners = new Map(traffic.users.map(({ address }) => [address as string, randomUUID() as string]))
    for (const [address, id] of owners) {
      await database.sql`insert into users (id, wallet_address) values (${id}, ${address})`
    }
    rows = await deriveRows({ urls: [anvil.url], chain, fromBlock: 1, toBlock: headNumber, owners, headNumber })
  } finally {
    await anvil.stop()
  }
})

afterAll(async () => {
  await database?.drop()
})

test('rows that are written as the oracle says are read back as they are, and one wrong column is one line', async () => {
  const { sql } = database
  for (const { timestamp, metadata, ...row } of rows.activities) {
    await sql`insert into wallet_activity ${sql(row)}`
    await sql`
      update wallet_activity set timestamp = to_timestamp(${timestamp}) at time zone 'utc',
        metadata = ${JSON.stringify(metadata)}::text::jsonb
      where metadata is null`
  }
  for (const { timestamp, ...row } of rows.transactions) {
    await sql`insert into user_transactions ${sql(row)}`
    await sql`
      update user_transactions set timestamp = to_timestamp(${timestamp}) at time zone 'utc' where tx_hash = ${row.tx_hash}`
  }
  expect(rows.activities.length).toBeGreaterThan(100)
  expect(diffRows(rows, await readRows(sql, chain))).toEqual([])

  const victim = rows.transactions[3]?.tx_hash ?? ''
  await sql`update user_transactions set event_type = 'WRONG' where tx_hash = ${victim}`
  await sql`delete from wallet_activity where log_index = (select max(log_index) from wallet_activity)`
  const differences = diffRows(rows, await readRows(sql, chain))
  expect(differences.find(line => line.startsWith('user_transactions'))).toMatch(/: event_type "\w+", found "WRONG"$/)
  expect(differences.find(line => line.startsWith('wallet_activity'))).toMatch(/^wallet_activity: missing /)
})
