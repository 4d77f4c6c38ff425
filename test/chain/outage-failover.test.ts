/**
 * Another Postgres becomes the primary: a real standby, first read-only and then promoted, with all or with less than the old one.
 *
 * The address of the database stays and leads to the standby from some moment on. Two daemons are on one database, so that leases
 * and fencing are at stake too; another one is told to end in the middle.
 */

import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { removeEmbedded } from '../../src/store/embedded.ts'
import {
  ALICE,
  type Daemon,
  expectSaidOnce,
  MAX_RECOVERY_MS,
  openStage,
  probe,
  type Stage,
  stopDaemon,
  troublesOf,
  until,
  untilNoted,
  leaseOf,
} from '../support/outage-stage.ts'
import { type Cluster, type Pair, startCluster, startPair } from '../support/replication.ts'

const CAROL = '0xca20100000000000000000000000000000000003'
const DAVE = '0xda7e000000000000000000000000000000000004'

let directory: string
let stage: Stage
/** Who is the primary now. */
let cluster: Cluster
const opened: { end(): Promise<unknown> }[] = []

const dataOf = (index: number) => join(directory, `data-${index}`)

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'linkdao-failover-'))
  // As root the servers have another user, who only has to pass through.
  await chmod(directory, 0o711)
  cluster = await startCluster(dataOf(0))
  opened.push({ end: () => cluster.server.stop() })
  stage = await openStage({ serverUrl: cluster.server.url, names: ['lives', 'ends'] })
  opened.push({ end: () => stage.close() })
})

afterEach(() => stage?.killDaemons())

afterAll(async () => {
  for (const each of opened.toReversed()) await each.end()
  for (const index of [0, 1, 2]) await removeEmbedded(dataOf(index))
  await rm(directory, { recursive: true, force: true })
})

/** The address leads to a primary that has a standby. */
async function openPair(index: number): Promise<Pair> {
  const pair = await startPair(cluster, dataOf(index))
  cluster = pair.standby
  opened.push(
    { end: () => pair.primary.server.stop() },
    { end: () => pair.standby.server.stop() },
    { end: () => pair.stream.close() },
  )
  turnTo(pair.primary)
  return pair
}

function turnTo({ server }: Cluster): void {
  stage.serverUrl = server.url
  stage.toPostgres.target = server.port
}

async function phaseOf({ http }: Daemon): Promise<string> {
  const response = await fetch(`${http}/status`)
  const status = (await response.json()) as { chains?: { phase: string }[] }
  return status.chains?.[0]?.phase ?? 'unknown'
}

/** One follows and the other stands by, whoever it is. */
function untilOneFollows(daemons: readonly Daemon[]): Promise<number> {
  return until('one follows, the others stand by', async () => {
    const phases = await Promise.all(daemons.map(phaseOf))
    return phases.toSorted().join(' ') === ['following', ...daemons.slice(1).map(() => 'standby')].join(' ')
  })
}

test('one that is still read-only is waited for; once it is promoted, everything goes on by itself', async () => {
  const pair = await openPair(1)
  const lives = await stage.startDaemon('lives')
  await stage.mineTransfers(2)
  await until('every row is there', () => stage.isComplete('lives'))
  const [second, ends] = await Promise.all([stage.startDaemon('lives'), stage.startDaemon('ends')])
  await untilOneFollows([lives, second])
  const before = await leaseOf(stage, 'lives')
  await pair.untilReplayed()

  // Who is connected loses the old one in the middle of whatever it does; who comes next meets the standby.
  turnTo(pair.standby)
  await pair.primary.server.stop()
  await stage.mineTransfers(3)
  await untilNoted([lives, ends], /25006/)
  await stopDaemon(ends)
  await stage.mineTransfers(2)
  expect((await probe(lives.http)).status).toBe(503)
  const said = troublesOf(lives)
  expectSaidOnce(said)
  expect(said.map(({ error }) => error?.code)).toEqual(['DB_UNAVAILABLE'])

  await pair.promote()
  expect(await until('every row is there', () => stage.isComplete('lives'))).toBeLessThan(MAX_RECOVERY_MS)
  await untilOneFollows([lives, second])
  expect((await leaseOf(stage, 'lives')).fencing).toBeGreaterThanOrEqual(before.fencing)
  await stage.expectRowsOfChain('lives')
  await Promise.all([stopDaemon(lives), stopDaemon(second)])
})

/** A user signs up, on whatever server is the primary now. */
async function signUp(wallet: string): Promise<void> {
  const sql = stage.connectTo('lives', 1)
  await sql`insert into users (wallet_address) values (${wallet})`
  await sql.end()
}

async function isTracked(wallet: string): Promise<boolean> {
  const sql = stage.connectTo('lives', 1)
  try {
    return (await sql`select 1 from indexer.wallets where address = ${wallet} and tracked`).length > 0
  } finally {
    await sql.end()
  }
}

async function send(to: string): Promise<void> {
  await stage.anvil.rpc('eth_sendTransaction', [{ from: ALICE, to, value: '0x1', gas: '0x186a0' }])
  await stage.anvil.mine()
}

async function checkpointOf(name: string): Promise<number> {
  const sql = stage.connectTo(name, 1)
  const [row] = await sql<{ at: number }[]>`select max(block_number)::int as at from indexer.checkpoints`
  await sql.end()
  return row?.at ?? -1
}

test('one that lacks the last commits: blocks, a lease and a user are lost, and every row is right in the end', async () => {
  const pair = await openPair(2)
  const first = await stage.startDaemon('lives')
  const second = await stage.startDaemon('lives')
  await untilOneFollows([first, second])
  await pair.untilReplayed()
  const kept = await checkpointOf('lives')

  // From here on the standby hears nothing: another daemon takes the chain, a user signs up, blocks are committed.
  await pair.stream.refuse()
  first.process.signal('SIGKILL')
  await until('the second one follows', async () => (await phaseOf(second)) === 'following')
  await signUp(CAROL)
  await until('her wallet is tracked', () => isTracked(CAROL))
  await stage.mineTransfers(3)
  await until('every row is there', () => stage.isComplete('lives'))
  const lost = await leaseOf(stage, 'lives')

  await stage.toPostgres.refuse()
  await pair.promote()
  turnTo(pair.standby)
  expect(await checkpointOf('lives')).toBe(kept)
  expect(await isTracked(CAROL)).toBe(false)
  // Before the daemon sees the new primary, the set of wallets changes there too: it has the lost one's version, and other wallets.
  await signUp(DAVE)
  await stage.toPostgres.heal()
  await pair.primary.server.stop()
  const third = await stage.startDaemon('lives')
  await until('what was lost is there again', () => stage.isComplete('lives'))
  await untilOneFollows([second, third])
  await send(DAVE)
  await send(CAROL)
  const head = Number(await stage.anvil.rpc('eth_blockNumber'))
  await until('the last block is there', async () => (await checkpointOf('lives')) === head)
  await stage.expectRowsOfChain('lives')
  const sql = stage.connectTo('lives', 1)
  const rows = await sql`select wallet_address from wallet_activity where wallet_address in (${DAVE}, ${CAROL})`
  await sql.end()
  expect(rows.map(row => row['wallet_address'] as string)).toEqual([DAVE])
  expect((await leaseOf(stage, 'lives')).fencing).toBeGreaterThanOrEqual(lost.fencing)
  await Promise.all([stopDaemon(second), stopDaemon(third)])
})
