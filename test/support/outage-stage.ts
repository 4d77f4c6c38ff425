/**
 * What an outage is played on: a chain, a Postgres of the test's own behind an address that stays, and real daemon processes.
 *
 * Always holds: every transfer that was mined must be there in the end, once, with all that belongs to it; whatever was started is
 * gone after `close`.
 */
import postgres from 'postgres'
import { expect } from 'vitest'
import { type Anvil, startAnvil } from '../../src/demo/anvil.ts'
import { openWorkplace, type Running, type Workplace } from './command-line.ts'
import { type Forwarder, openForwarder } from './forwarder.ts'

export const ALICE = '0xa11ce00000000000000000000000000000000001'
export const BOB = '0xb0b0000000000000000000000000000000000002'
const CHAIN_NAME = 'local'

const WAIT_DEADLINE_MS = 30_000
const POLL_MS = 50
/** Its backoff after a short outage, one poll, and a busy machine. */
export const MAX_RECOVERY_MS = 15_000
const MAX_STOP_MS = 10_000
const NODES = 2

export type Daemon = { readonly name: string; readonly process: Running; readonly http: string }
export type Line = { readonly level: string; readonly msg: string; readonly error?: { readonly code?: string } }

export type Stage = {
  readonly anvil: Anvil
  readonly toPostgres: Forwarder
  readonly toNodes: readonly Forwarder[]
  readonly workplace: Workplace
  /** The server as it is now: straight to it, past the forwarder. */
  serverUrl: string
  /** A pool straight to the server. */
  connectTo(database: string, max: number): postgres.Sql
  /** A database's URL through the forwarder. */
  urlOf(name: string): string
  mineTransfers(count: number): Promise<void>
  startDaemon(name: string, env?: Record<string, string>): Promise<Daemon>
  /** Ends the daemons that a test has left. */
  killDaemons(): Promise<void>
  /** Whether the tables hold every transfer once, with all that belongs to it, and the checkpoint is the head. */
  isComplete(name: string): Promise<boolean>
  /** Has `verify` derive every row again by other means. */
  expectRowsOfChain(name: string): Promise<void>
  close(): Promise<void>
}

export type StageOptions = {
  readonly serverUrl: string
  /** Databases that are made, each for daemons of its own. */
  readonly names: readonly string[]
  readonly chain?: Record<string, unknown>
}

export async function openStage({ serverUrl, names, chain = {} }: StageOptions): Promise<Stage> {
  const anvil = await startAnvil({ chainId: 31337, args: ['--auto-impersonate'] })
  const toPostgres = await openForwarder(Number(new URL(serverUrl).port))
  const nodePort = Number(new URL(anvil.url).port)
  const toNodes = await Promise.all(Array.from({ length: NODES }, () => openForwarder(nodePort)))
  await anvil.rpc('anvil_setBalance', [ALICE, `0x${(10n ** 21n).toString(16)}`])
  const workplace = await openWorkplace([chainFile(chain)], {
    LOCAL_RPC_URL: toNodes.map(({ port }) => `http://127.0.0.1:${port}`).join(','),
  })
  let transfers = 0
  const started: Running[] = []
  const stage: Stage = {
    anvil,
    toPostgres,
    toNodes,
    workplace,
    serverUrl,
    connectTo: (database, max) => connectTo(stage.serverUrl, database, max),
    urlOf: name => withPlace(stage.serverUrl, name, toPostgres.port),
    async mineTransfers(count) {
      for (let index = 0; index < count; index += 1) {
        await anvil.rpc('eth_sendTransaction', [{ from: ALICE, to: BOB, value: '0x1', gas: '0x186a0' }])
        await anvil.mine()
        transfers += 1
      }
    },
    async startDaemon(name, env = {}) {
      const process = workplace.start(['run'], { DATABASE_URL: stage.urlOf(name), ...env })
      started.push(process)
      const http = (await process.until(/"http":"(http:[^"]+)"/))[1] ?? ''
      await until(`${name} is ready`, async () => (await probe(http)).status === 200).catch(async (error: unknown) => {
        throw new Error(`not ready: ${(await probe(http)).text}`, { cause: error })
      })
      return { name, process, http }
    },
    async killDaemons() {
      for (const process of started.splice(0)) {
        process.signal('SIGKILL')
        await process.finished
      }
    },
    isComplete: name => isComplete(stage, name, transfers),
    expectRowsOfChain: name => expectRowsOfChain(stage, name),
    async close() {
      await workplace.end()
      for (const forwarder of [toPostgres, ...toNodes]) await forwarder.close()
      await anvil.stop()
    },
  }
  for (const name of names) await prepareDatabase(stage, name)
  return stage
}

function chainFile(fields: Record<string, unknown>): object {
  return {
    id: 31337,
    name: CHAIN_NAME,
    rpc: { env: 'LOCAL_RPC_URL' },
    confirmations: 2,
    startBlock: 0,
    blockTimeSeconds: 0.2,
    nativeToken: { symbol: 'ETH', decimals: 18 },
    ...fields,
  }
}

function withPlace(serverUrl: string, database: string, port?: number): string {
  const url = new URL(serverUrl)
  if (port !== undefined) url.port = String(port)
  url.pathname = `/${database}`
  return url.href
}

export function connectTo(serverUrl: string, database: string, max: number): postgres.Sql {
  return postgres(withPlace(serverUrl, database), {
    max,
    onnotice: () => undefined,
    connection: { TimeZone: 'UTC' },
  })
}

async function prepareDatabase(stage: Stage, name: string): Promise<void> {
  const admin = stage.connectTo('postgres', 1)
  await admin`drop database if exists ${admin(name)} with (force)`
  await admin`create database ${admin(name)}`
  await admin.end()
  expect(await stage.workplace.run(['migrate'], { DATABASE_URL: stage.urlOf(name) })).toMatchObject({ code: 0 })
  const sql = stage.connectTo(name, 1)
  await sql`insert into users (wallet_address) values (${ALICE}), (${BOB})`
  await sql.end()
}

export async function until(what: string, condition: () => Promise<boolean>): Promise<number> {
  const started = performance.now()
  while (!(await condition())) {
    if (performance.now() - started > WAIT_DEADLINE_MS) throw new Error(`not within ${WAIT_DEADLINE_MS} ms: ${what}`)
    await pause(POLL_MS)
  }
  return Math.round(performance.now() - started)
}

export const pause = (delayMs: number) => new Promise(resolve => setTimeout(resolve, delayMs))

export async function probe(http: string): Promise<{ status: number; text: string }> {
  const response = await fetch(`${http}/readyz`, { signal: AbortSignal.timeout(WAIT_DEADLINE_MS) })
  return { status: response.status, text: await response.text() }
}

/** Waits until daemons say that they are not ready, and why. */
export function untilNoted(daemons: readonly Daemon[], reason: RegExp): Promise<number> {
  return until(`they say that they are not ready: ${reason}`, async () => {
    const answers = await Promise.all(daemons.map(({ http }) => probe(http)))
    return answers.every(({ status, text }) => status === 503 && reason.test(text))
  })
}

/** Asks a daemon to end; it does so in time and in order. @returns how long it took */
export async function stopDaemon({ process }: Daemon): Promise<number> {
  const stopping = performance.now()
  process.signal('SIGTERM')
  expect((await process.finished).code).toBe(0)
  const tookMs = Math.round(performance.now() - stopping)
  expect(tookMs).toBeLessThan(MAX_STOP_MS)
  return tookMs
}

/** What a daemon said in its log about trouble. */
export const troublesOf = ({ process }: Daemon): Line[] =>
  process
    .output()
    .split('\n')
    .filter(line => line.startsWith('{'))
    .map(line => JSON.parse(line) as Line)
    .filter(({ level }) => level === 'error' || level === 'warn')

/** That something was said, each thing once, and nothing of it as a stack. */
export function expectSaidOnce(said: readonly Line[]): void {
  expect(said.map(({ msg }) => msg).toSorted()).toEqual([...new Set(said.map(({ msg }) => msg))].toSorted())
  expect(said.length).toBeGreaterThan(0)
  expect(JSON.stringify(said)).not.toMatch(/"stack"|\bat \S+:\d+:\d+/)
}

async function isComplete(stage: Stage, name: string, transfers: number): Promise<boolean> {
  const sql = stage.connectTo(name, 1)
  try {
    const head = Number(await stage.anvil.rpc('eth_blockNumber'))
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

async function expectRowsOfChain(stage: Stage, name: string): Promise<void> {
  const head = String(Number(await stage.anvil.rpc('eth_blockNumber')))
  const { code, stdout, stderr } = await stage.workplace.run(
    ['verify', '--chain', CHAIN_NAME, '--from-block', '0', '--to-block', head],
    { DATABASE_URL: stage.urlOf(name) },
  )
  expect(stdout + stderr).toContain('no differences')
  expect(code).toBe(0)
}

/** Who follows the chain, by the database. */
export async function leaseOf(stage: Stage, name: string): Promise<{ holder: string; fencing: number }> {
  const sql = stage.connectTo(name, 1)
  try {
    const [row] = await sql<{ holder: string; fencing: number }[]>`
      select holder, fencing::int as fencing from indexer.leases where name = 'chain:31337'`
    return row ?? { holder: 'nobody', fencing: 0 }
  } finally {
    await sql.end({ timeout: 1 })
  }
}
