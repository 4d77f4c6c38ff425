/**
 * Two daemons on one database: one writes, the other takes over when the first is killed, frozen or stopped; and a first that
 * comes back to life writes nothing.
 */

import { afterEach, beforeEach, expect, test } from 'vitest'
import { type Anvil, startAnvil } from '../../src/demo/anvil.ts'
import { openWorkplace, type Running, type Workplace } from '../support/command-line.ts'
import { createDatabase, type TestDatabase } from '../support/database.ts'

const ALICE = '0xa11ce00000000000000000000000000000000001'
const BOB = '0xb0b0000000000000000000000000000000000002'
const ETHER = 10n ** 18n
const LEASE = 'chain:31337'

/** What the specification allows. */
const MAX_TAKEOVER_MS = 10_000
/** A lease that was given back waits for nobody but the poll of the one that stands by. */
const MAX_HANDOVER_MS = 2_500
const WAIT_DEADLINE_MS = 30_000
const POLL_MS = 20

const CHAIN_FILE = {
  id: 31337,
  name: 'local',
  rpc: { env: 'LOCAL_RPC_URL' },
  confirmations: 2,
  startBlock: 0,
  blockTimeSeconds: 0.2,
  nativeToken: { symbol: 'ETH', decimals: 18 },
}

let database: TestDatabase
let anvil: Anvil
let workplace: Workplace
let transfers = 0

beforeEach(async () => {
  transfers = 0
  database = await createDatabase()
  anvil = await startAnvil({ chainId: 31337, args: ['--auto-impersonate'] })
  await anvil.rpc('anvil_setBalance', [ALICE, `0x${(1000n * ETHER).toString(16)}`])
  await database.sql`insert into users (wallet_address) values (${ALICE}), (${BOB})`
  workplace = await openWorkplace([CHAIN_FILE], { DATABASE_URL: database.url, LOCAL_RPC_URL: anvil.url })
})

afterEach(async () => {
  await workplace.end()
  await anvil.stop()
  await database.drop()
})

async function mineTransfer(): Promise<void> {
  await anvil.rpc('eth_sendTransaction', [{ from: ALICE, to: BOB, value: '0x1', gas: '0x186a0' }])
  await anvil.mine()
  transfers += 1
}

async function until(what: string, condition: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + WAIT_DEADLINE_MS
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`within ${WAIT_DEADLINE_MS} ms it did not happen: ${what}`)
    await new Promise(resolve => setTimeout(resolve, POLL_MS))
  }
}

type Held = { readonly holder: string; readonly fencing: number }

async function held(): Promise<Held> {
  const [row] = await database.sql<Held[]>`
    select holder, fencing::int as fencing from indexer.leases where name = ${LEASE}`
  return row ?? { holder: '', fencing: 0 }
}

async function checkpoint(): Promise<number> {
  const [row] = await database.sql<{ number: number }[]>`select block_number::int as number from indexer.checkpoints`
  return row?.number ?? -1
}

const indexed = () => until('the checkpoint is the head', async () => (await checkpoint()) === transfers)

/** A daemon that writes, and one that stands by. */
async function startPair(): Promise<{ first: Running; second: Running }> {
  const first = workplace.start(['run'])
  await until('the first follows', async () => (await checkpoint()) === 0)
  const second = workplace.start(['run'])
  await second.until(/standing by/)
  await mineTransfer()
  await indexed()
  return { first, second }
}

/** How long it takes until the next block is written by a holder that was not there before. */
async function measureTakeover(what: string, before: Held): Promise<number> {
  const started = performance.now()
  await mineTransfer()
  await indexed()
  const tookMs = Math.round(performance.now() - started)
  const now = await held()
  expect(now.fencing).toBeGreaterThan(before.fencing)
  expect(now.holder).not.toBe(before.holder)
  process.stdout.write(`${what}: the next block was written after ${tookMs} ms\n`)
  return tookMs
}

/** Every transfer has its two activities, its transaction and its transitions, once. */
async function expectComplete(): Promise<void> {
  await anvil.mine(2)
  await until('all is confirmed', async () => (await checkpoint()) === transfers + 2)
  const [rows] = await database.sql`
    select (select count(*)::int from wallet_activity) as activities,
      (select count(distinct (tx_hash, activity_type))::int from wallet_activity) as kinds,
      (select count(*)::int from user_transactions where status = 'confirmed') as confirmed,
      (select count(*)::int from user_transactions) as transactions,
      (select count(*)::int from indexer.transitions where reason = 'confirmed') as confirmations,
      (select count(*)::int from (
        select 1 from indexer.transitions group by tx_hash, reason having count(*) > 1) twice) as doubled,
      (select count(*)::int from user_transactions t where status is distinct from (
        select to_status from indexer.transitions n where n.tx_hash = t.tx_hash order by id desc limit 1)) as disagreeing`
  expect(rows).toEqual({
    activities: 2 * transfers,
    kinds: 2 * transfers,
    confirmed: transfers,
    transactions: transfers,
    confirmations: transfers,
    doubled: 0,
    disagreeing: 0,
  })
}

/** Holds what every commit needs, until the function that is returned is called. */
async function holdCommits(): Promise<() => Promise<void>> {
  const gate = Promise.withResolvers<void>()
  const locked = Promise.withResolvers<void>()
  const transaction = database.sql.begin(async tx => {
    await tx`select 1 from indexer.registry for update`
    locked.resolve()
    await gate.promise
  })
  await Promise.race([locked.promise, transaction])
  return async () => {
    gate.resolve()
    await transaction
  }
}

/** The backends that wait for a lock, or for their client, inside a transaction that holds the lease. */
const insideCommit = async (state: string) =>
  (
    await database.sql<{ pid: number }[]>`
      select a.pid from pg_stat_activity a join pg_locks l using (pid)
      where a.datname = current_database() and a.state = ${state} and (a.wait_event_type in ('Lock', 'Client'))
        and l.relation = 'indexer.leases'::regclass and l.mode = 'RowShareLock' and a.pid <> pg_backend_pid()`
  ).map(row => row.pid)

test('after SIGKILL of the first the second writes within ten seconds; SIGTERM hands over at once', async () => {
  const { first, second } = await startPair()
  const before = await held()
  first.signal('SIGKILL')
  await first.finished
  expect(await measureTakeover('SIGKILL', before)).toBeLessThan(MAX_TAKEOVER_MS)

  const third = workplace.start(['run'])
  await third.until(/standing by/)
  const handed = await held()
  second.signal('SIGTERM')
  expect(await measureTakeover('SIGTERM', handed)).toBeLessThan(MAX_HANDOVER_MS)
  expect((await second.finished).code).toBe(0)
  await expectComplete()
})

test('frozen in the middle of a commit, the first is overtaken within ten seconds and writes nothing when it wakes', async () => {
  const { first, second } = await startPair()
  const before = await held()
  const release = await holdCommits()
  await mineTransfer()
  await until('the first waits inside its commit', async () => (await insideCommit('active')).length === 1)
  const [frozen] = await insideCommit('active')
  first.signal('SIGSTOP')
  await release()
  await until('its transaction is open and idle', async () =>
    (await insideCommit('idle in transaction')).includes(frozen ?? 0),
  )
  expect(await measureTakeover('SIGSTOP inside a commit', before)).toBeLessThan(MAX_TAKEOVER_MS)

  const taken = await held()
  first.signal('SIGCONT')
  await first.until(/Another process (?:took over|follows) this chain/)
  await first.until(/standing by/)
  for (let count = 0; count < 5; count += 1) {
    await mineTransfer()
    await indexed()
  }
  expect(await held()).toEqual(taken)
  expect(second.output()).not.toContain('"level":"error"')
  await expectComplete()
  for (const daemon of [first, second]) {
    daemon.signal('SIGTERM')
    expect((await daemon.finished).code).toBe(0)
  }
})
