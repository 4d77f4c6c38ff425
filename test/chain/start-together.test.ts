/**
 * Instances that start while the database is being migrated: some of them migrate it themselves, one relies on the others.
 */

import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { ALICE, BOB, type Daemon, openStage, probe, type Stage, stopDaemon, until } from '../support/outage-stage.ts'

const DATABASE = 'started_together'

let stage: Stage

beforeAll(async () => {
  stage = await openStage({ serverUrl: inject('postgresUrl'), names: [] })
  const admin = stage.connectTo('postgres', 1)
  await admin`drop database if exists ${admin(DATABASE)} with (force)`
  await admin`create database ${admin(DATABASE)}`
  await admin.end()
})

afterAll(async () => {
  await stage?.close()
})

async function start(args: readonly string[]): Promise<Daemon> {
  const process = stage.workplace.start(['run', ...args], { DATABASE_URL: stage.urlOf(DATABASE) })
  const http = (await process.until(/"http":"(http:[^"]+)"/))[1] ?? ''
  return { name: DATABASE, process, http }
}

test('two that migrate and one that does not, at once on an empty database: all come up, and one follows', async () => {
  const daemons = await Promise.all([start(['--migrate']), start([]), start(['--migrate'])])
  await until('all are ready', async () => {
    const answers = await Promise.all(daemons.map(({ http }) => probe(http)))
    return answers.every(({ status }) => status === 200)
  })
  const sql = stage.connectTo(DATABASE, 1)
  await sql`insert into users (wallet_address) values (${ALICE}), (${BOB})`
  await until('they are tracked', async () => (await sql`select 1 from indexer.wallets where tracked`).length === 2)
  await stage.mineTransfers(3)
  await until('every row is there', () => stage.isComplete(DATABASE))
  expect(await sql`select number from indexer.migrations group by number having count(*) > 1`).toHaveLength(0)
  await sql.end()
  await stage.expectRowsOfChain(DATABASE)
  for (const daemon of daemons) await stopDaemon(daemon)
})
