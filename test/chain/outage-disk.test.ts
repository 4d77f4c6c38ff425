/**
 * The disk of Postgres is full: first where its tables lie, then where its log of writes does, which ends the server itself.
 *
 * The cluster lies on a small disk of its own. Where none can be mounted these tests are skipped, and say why.
 */

import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { type EmbeddedServer, startEmbedded } from '../../src/store/embedded.ts'
import { endOutage, NAMES, playOutage } from '../support/outage.ts'
import { openStage, probe, type Stage, until } from '../support/outage-stage.ts'
import { openSmallDisk } from '../support/small-disk.ts'

const DISK_MEGABYTES = 160
/** One statement of this size soon needs another file for the log of writes. */
const MESSAGE_BYTES = 1_000_000

const disk = await openSmallDisk(DISK_MEGABYTES)
const reason = 'reason' in disk ? disk.reason : null
if (reason !== null) process.stdout.write(`A full disk is not tested: ${reason}\n`)

let server: EmbeddedServer
let stage: Stage

function smallDisk() {
  if ('reason' in disk) throw new Error(disk.reason)
  return disk
}

const startServer = () =>
  startEmbedded({
    directory: join(smallDisk().directory, 'data'),
    log: () => undefined,
    settings: { fsync: 'off', shared_buffers: '32MB', min_wal_size: '32MB', max_wal_size: '48MB' },
  })

beforeAll(async () => {
  if (reason !== null) return
  server = await startServer()
  stage = await openStage({ serverUrl: server.url, names: NAMES })
})

afterEach(async () => {
  await endOutage()
  await stage?.killDaemons()
})

afterAll(async () => {
  if ('reason' in disk) return
  disk.free()
  await stage?.close()
  await server?.stop().catch(() => undefined)
  await disk.remove()
})

/** Rows come until a table has to grow. */
async function untilNoRowFits(): Promise<void> {
  await until('no row fits any more', async () => {
    await stage.mineTransfers(10)
    const sql = stage.connectTo('lives', 1)
    try {
      await sql`create table filler as select repeat('x', 8000) from generate_series(1, 100)`
      await sql`drop table filler`
      return false
    } catch (error) {
      expect(error).toMatchObject({ code: '53100' })
      return true
    } finally {
      await sql.end({ timeout: 1 })
    }
  })
}

test.skipIf(reason !== null)('the disk is full, and has room again', async () => {
  await playOutage(stage, {
    what: 'the disk is full',
    reason: /No space left on device/,
    code: 'DB_UNAVAILABLE',
    async begin() {
      smallDisk().fill()
      await untilNoRowFits()
      await stage.mineTransfers(200)
    },
    end: async () => smallDisk().free(),
  })
  await stage.expectRowsOfChain('lives')
})

/** Writes to the log of writes alone, until the server ends by it. */
async function breakServer(): Promise<void> {
  const sql = stage.connectTo('postgres', 1)
  try {
    await until('the server has given up', async () => {
      try {
        await sql`select pg_logical_emit_message(false, 'filler', repeat('x', ${MESSAGE_BYTES}::int))`
        return false
      } catch {
        return true
      }
    })
  } finally {
    await sql.end({ timeout: 0 })
  }
}

test.skipIf(reason !== null)('the log of writes is full and the server ends by it; it is started again', async () => {
  await playOutage(stage, {
    what: 'the log of writes is full',
    reason: /Postgres/,
    code: 'DB_UNAVAILABLE',
    async begin() {
      smallDisk().fill()
      await breakServer()
    },
    async end() {
      smallDisk().free()
      await server.stop().catch(() => undefined)
      server = await startServer()
      stage.serverUrl = server.url
      stage.toPostgres.target = server.port
    },
  })
  await stage.expectRowsOfChain('lives')
  expect(await probe((await stage.startDaemon('ends')).http)).toMatchObject({ status: 200 })
  await until('every row is there', () => stage.isComplete('ends'))
})
