/**
 * Postgres goes away and comes back, in each of the ways that it goes.
 *
 * For every outage two daemons run, each on a database of its own. One lives through it: it says so once, is not ready while it
 * lasts, and afterwards goes on by itself until every row is there. The other is told to end in the middle of it, and does.
 */

import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type postgres from 'postgres'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { type EmbeddedServer, removeEmbedded, startEmbedded } from '../../src/store/embedded.ts'
import { endOutage, NAMES, type Outage, playOutage } from '../support/outage.ts'
import { MAX_RECOVERY_MS, openStage, type Stage, stopDaemon, troublesOf, until } from '../support/outage-stage.ts'

const MAX_CONNECTIONS = 30
/** In a row, a look apart: then no place is about to become free. */
const REFUSALS = 5
const TERMINATION_ROUNDS = 8

let directory: string
let server: EmbeddedServer
let stage: Stage
/** On the server itself, past the forwarder. */
let admin: postgres.Sql

const startServer = () =>
  startEmbedded({
    directory: join(directory, 'data'),
    log: () => undefined,
    settings: { fsync: 'off', shared_buffers: '32MB', max_connections: String(MAX_CONNECTIONS) },
  })

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'linkdao-outage-'))
  // As root the server has another user, who only has to pass through.
  await chmod(directory, 0o711)
  server = await startServer()
  stage = await openStage({ serverUrl: server.url, names: NAMES })
  admin = stage.connectTo('postgres', 1)
})

afterEach(async () => {
  await endOutage()
  await stage?.killDaemons()
})

afterAll(async () => {
  await admin?.end({ timeout: 1 })
  await stage?.close()
  await server?.stop()
  await removeEmbedded(join(directory, 'data'))
  await rm(directory, { recursive: true, force: true })
})

let held: postgres.Sql[] = []

const terminate = async () =>
  admin`select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'linkdao-indexer'`

async function isRefused(): Promise<boolean> {
  const sql = stage.connectTo('postgres', 1)
  try {
    await sql`select 1`
    held.push(sql)
    return false
  } catch {
    await sql.end({ timeout: 0 })
    return true
  }
}

/** Takes every connection that the server has to give, also those it keeps for superusers. */
async function fillConnections(): Promise<void> {
  let refusals = 0
  await until('the server refuses', async () => {
    await terminate()
    while (held.length < MAX_CONNECTIONS && !(await isRefused())) refusals = 0
    const [ours] = await admin`
      select count(*)::int as count from pg_stat_activity where application_name = 'linkdao-indexer'`
    // Several times: those that were terminated, or refused, hold their places until they have ended.
    refusals = ours?.['count'] === 0 && (await isRefused()) ? refusals + 1 : 0
    return refusals === REFUSALS
  })
}

async function setReadOnly(value: 'on' | 'off'): Promise<void> {
  await admin.unsafe(`alter system set default_transaction_read_only = ${value}`)
  await admin`select pg_reload_conf()`
}

const OUTAGES: readonly Outage[] = [
  {
    what: 'Postgres is stopped, and started again',
    reason: /Postgres/,
    async begin() {
      await admin.end({ timeout: 1 })
      await server.stop()
    },
    async end() {
      server = await startServer()
      stage.serverUrl = server.url
      stage.toPostgres.target = server.port
      admin = stage.connectTo('postgres', 1)
    },
  },
  {
    what: 'nobody listens where Postgres was',
    reason: /Postgres/,
    begin: () => stage.toPostgres.refuse(),
    end: () => stage.toPostgres.heal(),
  },
  {
    what: 'Postgres takes no more connections',
    reason: /Postgres.*too many/,
    code: 'DB_UNAVAILABLE',
    begin: fillConnections,
    async end() {
      for (const sql of held) await sql.end({ timeout: 1 })
      held = []
    },
  },
  {
    what: 'Postgres is read-only',
    reason: /25006/,
    code: 'DB_UNAVAILABLE',
    begin: () => setReadOnly('on'),
    end: () => setReadOnly('off'),
  },
  {
    what: 'Postgres lets nobody in',
    reason: /lets nobody in/,
    code: 'DB_REJECTED',
    endsSessions: true,
    async begin() {
      await admin`alter role current_user nologin`
      await terminate()
    },
    end: async () => void (await admin`alter role current_user login`),
  },
  {
    what: 'Postgres is silent',
    reason: /Postgres did not answer/,
    begin: async () => stage.toPostgres.stall(),
    end: () => stage.toPostgres.heal(),
  },
  {
    what: 'whatever is in front of Postgres hangs up',
    reason: /Postgres/,
    begin: async () => stage.toPostgres.hangUp(),
    end: () => stage.toPostgres.heal(),
  },
]

describe('an outage is said once, lived through, and no reason to stay when asked to end', () => {
  test.each(OUTAGES)('$what', outage => playOutage(stage, outage))
})

/** Ends the session of a commit that is under way, which is held until it is seen. */
async function terminateCommit(sql: postgres.Sql): Promise<void> {
  await sql.begin(async tx => {
    await tx`select 1 from indexer.registry for update`
    await stage.mineTransfers(1)
    await until('a commit is ended', async () => {
      const ended = await sql`
        select pg_terminate_backend(pid) from pg_stat_activity
        where datname = current_database() and wait_event_type = 'Lock' and pid in (
          select pid from pg_locks where relation = 'indexer.leases'::regclass and mode = 'RowShareLock'
        )`
      return ended.length > 0
    })
  })
}

test('its sessions are terminated in the middle of commits, again and again', async () => {
  const daemon = await stage.startDaemon('ends')
  const sql = stage.connectTo('ends', 2)
  try {
    for (let round = 0; round < TERMINATION_ROUNDS; round += 1) {
      await terminateCommit(sql)
      expect(await until('every row is there', () => stage.isComplete('ends'))).toBeLessThan(MAX_RECOVERY_MS)
    }
  } finally {
    await sql.end({ timeout: 1 })
  }
  expect(troublesOf(daemon).map(({ msg }) => msg)).toEqual(['The step failed; trying again'])
  await stopDaemon(daemon)
})
