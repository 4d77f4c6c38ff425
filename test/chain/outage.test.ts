/**
 * Everything that a daemon needs goes away and comes back: Postgres and the nodes, in each of the ways that they go.
 *
 * For every outage two daemons run, each on a database of its own. One lives through it: it says so once, is not ready while it
 * lasts, and afterwards goes on by itself until every row is there. The other is told to end in the middle of it, and does.
 *
 * Both sides are reached through forwarders of this test, so that an address stays the same while what is behind it does not.
 */

import { once } from 'node:events'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import postgres from 'postgres'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { type Anvil, startAnvil } from '../../src/demo/anvil.ts'
import { type EmbeddedServer, removeEmbedded, startEmbedded } from '../../src/store/embedded.ts'
import { openWorkplace, type Running, type Workplace } from '../support/command-line.ts'

const ALICE = '0xa11ce00000000000000000000000000000000001'
const BOB = '0xb0b0000000000000000000000000000000000002'
const NAMES = ['lives', 'ends'] as const
const MAX_CONNECTIONS = 30

const WAIT_DEADLINE_MS = 30_000
const POLL_MS = 50
/** How long an outage lasts after it was noticed: long enough for several tries. */
const OUTAGE_MS = 2_500
/** Its backoff after so short an outage, one poll, and a busy machine. */
const MAX_RECOVERY_MS = 15_000
const MAX_STOP_MS = 10_000
const TERMINATION_ROUNDS = 8

type Name = (typeof NAMES)[number]

// ── Addresses that stay ──────────────────────────────────────────────────────────────────────────────────────────────────

type Forwarder = {
  readonly port: number
  /** Where new connections go. */
  target: number
  /** Nobody listens, and who was connected is cut off. */
  refuse(): Promise<void>
  /** Connections are taken, and closed at once: so do balancers that have nobody behind them. */
  hangUp(): void
  /** Connections are taken and stay, and nothing passes, in either direction. */
  stall(): void
  /** As it was before; what was held passes now. */
  heal(): Promise<void>
  close(): Promise<void>
}

async function openForwarder(target: number): Promise<Forwarder> {
  const sockets = new Set<Socket>()
  let mode: 'open' | 'hang-up' | 'stalled' = 'open'
  const server: Server = createServer(incoming => {
    if (mode === 'hang-up') {
      incoming.destroy()
      return
    }
    const outgoing = connect(self.target, '127.0.0.1')
    for (const [from, to] of [
      [incoming, outgoing],
      [outgoing, incoming],
    ] as const) {
      sockets.add(from)
      from.on('data', chunk => void to.write(chunk))
      from.on('error', () => to.destroy())
      from.on('close', () => {
        sockets.delete(from)
        to.destroy()
      })
      if (mode === 'stalled') from.pause()
    }
  })
  const listen = async (port: number) => {
    server.listen(port, '127.0.0.1')
    await once(server, 'listening')
  }
  const cut = () => {
    for (const socket of sockets) socket.destroy()
  }
  await listen(0)
  const { port } = server.address() as { port: number }
  const stopListening = async () => {
    if (!server.listening) return
    const closed = once(server, 'close')
    server.close()
    cut()
    await closed
  }
  const self: Forwarder = {
    port,
    target,
    refuse: stopListening,
    hangUp() {
      mode = 'hang-up'
      cut()
    },
    stall() {
      mode = 'stalled'
      for (const socket of sockets) socket.pause()
    },
    async heal() {
      mode = 'open'
      for (const socket of sockets) socket.resume()
      if (!server.listening) await listen(port)
    },
    close: stopListening,
  }
  return self
}

// ── What runs ────────────────────────────────────────────────────────────────────────────────────────────────────────────

let directory: string
let server: EmbeddedServer
let toPostgres: Forwarder
let anvil: Anvil
let toNodes: Forwarder[]
let workplace: Workplace
/** On the server itself, past the forwarder. */
let admin: postgres.Sql
let transfers = 0

const startServer = () =>
  startEmbedded({
    directory: join(directory, 'data'),
    log: () => undefined,
    settings: { fsync: 'off', shared_buffers: '32MB', max_connections: String(MAX_CONNECTIONS) },
  })

function connectTo(database: string, max: number): postgres.Sql {
  const url = new URL(server.url)
  url.pathname = `/${database}`
  return postgres(url.href, { max, onnotice: () => undefined, connection: { TimeZone: 'UTC' } })
}

function urlOf(name: Name): string {
  const url = new URL(server.url)
  url.port = String(toPostgres.port)
  url.pathname = `/${name}`
  return url.href
}

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'linkdao-outage-'))
  // As root the server has another user, who only has to pass through.
  await chmod(directory, 0o711)
  ;[server, anvil] = await Promise.all([startServer(), startAnvil({ chainId: 31337, args: ['--auto-impersonate'] })])
  admin = connectTo('postgres', 1)
  toPostgres = await openForwarder(server.port)
  const nodePort = Number(new URL(anvil.url).port)
  toNodes = [await openForwarder(nodePort), await openForwarder(nodePort)]
  await anvil.rpc('anvil_setBalance', [ALICE, `0x${(10n ** 21n).toString(16)}`])
  const chain = {
    id: 31337,
    name: 'local',
    rpc: { env: 'LOCAL_RPC_URL' },
    confirmations: 2,
    startBlock: 0,
    blockTimeSeconds: 0.2,
    nativeToken: { symbol: 'ETH', decimals: 18 },
  }
  workplace = await openWorkplace([chain], {
    LOCAL_RPC_URL: toNodes.map(({ port }) => `http://127.0.0.1:${port}`).join(','),
  })
  for (const name of NAMES) {
    await admin`create database ${admin(name)}`
    expect(await workplace.run(['migrate'], { DATABASE_URL: urlOf(name) })).toMatchObject({ code: 0 })
    const sql = connectTo(name, 1)
    await sql`insert into users (wallet_address) values (${ALICE}), (${BOB})`
    await sql.end()
  }
})

const nothing = () => Promise.resolve()
/** Ends the outage that a test has left. */
let undo = nothing

afterEach(async () => {
  await undo()
  undo = nothing
})

afterAll(async () => {
  await workplace?.end()
  await admin?.end({ timeout: 1 })
  for (const forwarder of [toPostgres, ...(toNodes ?? [])]) await forwarder?.close()
  await anvil?.stop()
  await server?.stop()
  await removeEmbedded(join(directory, 'data'))
  await rm(directory, { recursive: true, force: true })
})

async function until(what: string, condition: () => Promise<boolean>): Promise<number> {
  const started = performance.now()
  while (!(await condition())) {
    if (performance.now() - started > WAIT_DEADLINE_MS) throw new Error(`not within ${WAIT_DEADLINE_MS} ms: ${what}`)
    await pause(POLL_MS)
  }
  return Math.round(performance.now() - started)
}

const pause = (delayMs: number) => new Promise(resolve => setTimeout(resolve, delayMs))

async function mineTransfers(count: number): Promise<void> {
  for (let index = 0; index < count; index += 1) {
    await anvil.rpc('eth_sendTransaction', [{ from: ALICE, to: BOB, value: '0x1', gas: '0x186a0' }])
    await anvil.mine()
    transfers += 1
  }
}

type Daemon = { readonly name: Name; readonly process: Running; readonly http: string }

async function startDaemon(name: Name): Promise<Daemon> {
  const process = workplace.start(['run'], { DATABASE_URL: urlOf(name) })
  const http = (await process.until(/"http":"(http:[^"]+)"/))[1] ?? ''
  await until(`${name} is ready`, async () => (await probe(http)).status === 200)
  return { name, process, http }
}

async function probe(http: string): Promise<{ status: number; text: string }> {
  const response = await fetch(`${http}/readyz`, { signal: AbortSignal.timeout(WAIT_DEADLINE_MS) })
  return { status: response.status, text: await response.text() }
}

/** Whether the tables hold every transfer once, with all that belongs to it, and the checkpoint is the head. */
async function isComplete(name: Name): Promise<boolean> {
  const sql = connectTo(name, 1)
  try {
    const head = Number(await anvil.rpc('eth_blockNumber'))
    const [row] = await sql<Record<string, number>[]>`
      select (select max(block_number)::int from indexer.checkpoints) as checkpoint,
        (select count(*)::int from wallet_activity) as activities,
        (select count(*)::int from user_transactions) as transactions,
        (select count(*)::int from (
          select 1 from indexer.transitions group by tx_hash, reason having count(*) > 1) twice) as doubled`
    expect(row?.['activities']).toBeLessThanOrEqual(2 * transfers)
    expect(row?.['doubled']).toBe(0)
    return row?.['checkpoint'] === head && row['activities'] === 2 * transfers && row['transactions'] === transfers
  } finally {
    await sql.end({ timeout: 1 })
  }
}

type Line = { readonly level: string; readonly msg: string }

const troublesOf = ({ process }: Daemon): Line[] =>
  process
    .output()
    .split('\n')
    .filter(line => line.startsWith('{'))
    .map(line => JSON.parse(line) as Line)
    .filter(({ level }) => level === 'error' || level === 'warn')

// ── The outages ──────────────────────────────────────────────────────────────────────────────────────────────────────────

type Outage = {
  readonly what: string
  /** What /readyz says. */
  readonly reason: RegExp
  readonly begin: () => Promise<void>
  readonly end: () => Promise<void>
}

let held: postgres.Sql[] = []

const terminate = async () =>
  admin`select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'linkdao-indexer'`

async function isRefused(): Promise<boolean> {
  const sql = connectTo('postgres', 1)
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
  await until('the server refuses', async () => {
    await terminate()
    while (held.length < MAX_CONNECTIONS && !(await isRefused()));
    const [ours] = await admin`
      select count(*)::int as count from pg_stat_activity where application_name = 'linkdao-indexer'`
    // Once more: those that were terminated held their places until they had ended.
    return ours?.['count'] === 0 && (await isRefused())
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
      toPostgres.target = server.port
      admin = connectTo('postgres', 1)
    },
  },
  {
    what: 'nobody listens where Postgres was',
    reason: /Postgres/,
    begin: () => toPostgres.refuse(),
    end: () => toPostgres.heal(),
  },
  {
    what: 'Postgres takes no more connections',
    reason: /Postgres.*too many/,
    begin: fillConnections,
    async end() {
      for (const sql of held) await sql.end({ timeout: 1 })
      held = []
    },
  },
  {
    what: 'Postgres is read-only',
    reason: /25006/,
    begin: () => setReadOnly('on'),
    end: () => setReadOnly('off'),
  },
  {
    what: 'Postgres is silent',
    reason: /Postgres did not answer/,
    begin: async () => toPostgres.stall(),
    end: () => toPostgres.heal(),
  },
  {
    what: 'whatever is in front of Postgres hangs up',
    reason: /Postgres/,
    begin: async () => toPostgres.hangUp(),
    end: () => toPostgres.heal(),
  },
  {
    what: 'every node is gone',
    reason: /ECONNREFUSED|No endpoint|no step/,
    async begin() {
      for (const node of toNodes) await node.refuse()
    },
    async end() {
      for (const node of toNodes) await node.heal()
    },
  },
  {
    what: 'every node is silent',
    reason: /no step has ended/,
    async begin() {
      for (const node of toNodes) node.stall()
    },
    async end() {
      for (const node of toNodes) await node.heal()
    },
  },
]

describe('an outage is said once, lived through, and no reason to stay when asked to end', () => {
  test.each(OUTAGES)('$what', async ({ what, reason, begin, end }) => {
    const [lives, ends] = await Promise.all([startDaemon('lives'), startDaemon('ends')])
    undo = end
    await begin()
    await mineTransfers(3)
    const notedMs = await until('both say that they are not ready, and why', async () => {
      const answers = await Promise.all([probe(lives.http), probe(ends.http)])
      return answers.every(({ status, text }) => status === 503 && reason.test(text))
    })
    const stopping = performance.now()
    ends.process.signal('SIGTERM')
    const { code } = await ends.process.finished
    const stoppedMs = Math.round(performance.now() - stopping)
    expect(code).toBe(0)
    expect(stoppedMs).toBeLessThan(MAX_STOP_MS)

    await mineTransfers(2)
    await pause(Math.max(OUTAGE_MS - stoppedMs, 0))
    expect((await probe(lives.http)).status).toBe(503)
    const said = troublesOf(lives)
    undo = nothing
    await end()
    const recoveredMs = await until('every row is there', () => isComplete('lives'))
    expect(recoveredMs).toBeLessThan(MAX_RECOVERY_MS)
    await until('it is ready again', async () => (await probe(lives.http)).status === 200)
    process.stdout.write(
      `${what}: noted after ${notedMs} ms, ended in ${stoppedMs} ms, complete ${recoveredMs} ms after it\n`,
    )
    expect(said.map(({ msg }) => msg).toSorted()).toEqual([...new Set(said.map(({ msg }) => msg))].toSorted())
    expect(said.length).toBeGreaterThan(0)
    const last = performance.now()
    lives.process.signal('SIGTERM')
    expect((await lives.process.finished).code).toBe(0)
    expect(performance.now() - last).toBeLessThan(MAX_STOP_MS)
  })
})

/** Ends the session of a commit that is under way, which is held until it is seen. */
async function terminateCommit(sql: postgres.Sql): Promise<void> {
  await sql.begin(async tx => {
    await tx`select 1 from indexer.registry for update`
    await mineTransfers(1)
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
  const daemon = await startDaemon('ends')
  const sql = connectTo('ends', 2)
  try {
    for (let round = 0; round < TERMINATION_ROUNDS; round += 1) {
      await terminateCommit(sql)
      expect(await until('every row is there', () => isComplete('ends'))).toBeLessThan(MAX_RECOVERY_MS)
    }
  } finally {
    await sql.end({ timeout: 1 })
  }
  expect(troublesOf(daemon).map(({ msg }) => msg)).toEqual(['The step failed; trying again'])
  daemon.process.signal('SIGTERM')
  expect((await daemon.process.finished).code).toBe(0)
})
