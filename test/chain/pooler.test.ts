/**
 * The commands with a PgBouncer in transaction mode between them and the database: no session belongs to anybody for longer than a
 * transaction, so nothing that the program does may rely on one.
 */

import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type Anvil, startAnvil } from '../../src/demo/anvil.ts'
import { openWorkplace, type Running, type Workplace } from '../support/command-line.ts'
import { createDatabase, type TestDatabase } from '../support/database.ts'
import { findPgBouncer, HOW_TO_INSTALL, type PgBouncer, startPgBouncer } from '../support/pgbouncer.ts'

const ALICE = '0xa11ce00000000000000000000000000000000001'
const BOB = '0xb0b0000000000000000000000000000000000002'
const MAX_TAKEOVER_MS = 10_000
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

async function until(what: string, condition: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + WAIT_DEADLINE_MS
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`within ${WAIT_DEADLINE_MS} ms it did not happen: ${what}`)
    await new Promise(resolve => setTimeout(resolve, POLL_MS))
  }
}

async function stop(daemon: Running): Promise<void> {
  daemon.signal('SIGTERM')
  expect((await daemon.finished).code).toBe(0)
}

const program = await findPgBouncer()
if (program === null) process.stderr.write(`test/chain/pooler.test.ts is skipped: ${HOW_TO_INSTALL}\n`)

describe.skipIf(program === null)(program === null ? HOW_TO_INSTALL : 'behind PgBouncer in transaction mode', () => {
  let database: TestDatabase
  let pooler: PgBouncer
  let anvil: Anvil
  let workplace: Workplace

  beforeEach(async () => {
    database = await createDatabase({ migrated: false })
    pooler = await startPgBouncer(program ?? '', database.url)
    anvil = await startAnvil({ chainId: 31337, args: ['--auto-impersonate'] })
    await anvil.rpc('anvil_setBalance', [ALICE, `0x${(10n ** 21n).toString(16)}`])
    workplace = await openWorkplace([CHAIN_FILE], {
      DATABASE_URL: pooler.urlOf(database.url),
      LOCAL_RPC_URL: anvil.url,
    })
    expect(await workplace.run(['migrate'])).toMatchObject({ code: 0, stderr: expect.not.stringContaining('rror') })
    await database.sql`insert into users (wallet_address) values (${ALICE})`
  })

  afterEach(async () => {
    await workplace.end()
    await anvil.stop()
    await pooler.stop()
    await database.drop()
  })

  const send = async (): Promise<string> =>
    String(await anvil.rpc('eth_sendTransaction', [{ from: ALICE, to: BOB, value: '0x1', gas: '0x186a0' }]))

  const mineTransfers = async (count: number) => {
    const hashes: string[] = []
    for (let index = 0; index < count; index += 1) {
      hashes.push(await send())
      await anvil.mine()
    }
    return hashes
  }

  const untilHead = () =>
    until('the checkpoint is the head', async () => {
      const [row] = await database.sql`select block_number::int as number from indexer.checkpoints`
      return row?.['number'] === Number(await anvil.rpc('eth_blockNumber'))
    })

  test('migrate, backfill, verify, status, wallets and doctor', async () => {
    await mineTransfers(12)
    await anvil.mine(90)
    const range = ['--chain', 'local', '--from-block', '0', '--to-block']
    const filled = await workplace.run(['backfill', ...range, 'latest'])
    expect(filled).toMatchObject({ code: 0 })
    expect(await workplace.run(['verify', ...range, '102'])).toMatchObject({ code: 0 })
    const [gone] = await database.sql`delete from wallet_activity where block_number = 5 returning id`
    expect(await workplace.run(['verify', ...range, '102'])).toMatchObject({ code: 1 })
    await workplace.run(['verify', ...range, '102', '--repair'])
    expect(await database.sql`select id from wallet_activity where block_number = 5`).toEqual([gone])
    const status = JSON.parse((await workplace.run(['status', '--json'])).stdout) as { chains: { indexed: number }[] }
    expect(status.chains[0]?.indexed).toBe(102)
    expect((await workplace.run(['wallets', 'add', BOB])).stdout).toContain('is watched')
    expect((await workplace.run(['doctor'])).stdout).toContain('schema is up to date')
    expect(await workplace.run(['migrate'])).toMatchObject({ code: 0 })
  })

  test('run: rows of the application are confirmed, users come and go', async () => {
    const daemon = workplace.start(['run'])
    await untilHead()
    // Mined before the application tells of it, and while it does.
    const [early] = await mineTransfers(3)
    await untilHead()
    const late = await send()
    const [carol] = await database.sql<{ id: string }[]>`
      insert into users (wallet_address) values ('0xca01000000000000000000000000000000000003') returning id`
    for (const hash of [early, late])
      await database.sql`
        insert into user_transactions (tx_hash, user_id, event_type) values (${hash ?? ''}, ${carol?.id ?? ''}, 'TIP')
        on conflict (tx_hash) do update set user_id = excluded.user_id, event_type = excluded.event_type, status = 'pending'`
    await anvil.mine(3)
    await until('both are confirmed', async () => {
      const rows = await database.sql`
        select status, chain, event_type from user_transactions where tx_hash in (${early ?? ''}, ${late})`
      return rows.length === 2 && rows.every(row => row['status'] === 'confirmed' && row['chain'] === 'local')
    })

    await database.sql`delete from users where wallet_address = ${ALICE}`
    await until('the wallet is forgotten', async () => {
      const rows = await database.sql`select 1 from indexer.wallets where address = ${ALICE} and tracked`
      return rows.length === 0
    })
    const [left] = await database.sql`
      select count(*)::int as rows, count(user_id)::int as owned from wallet_activity where wallet_address = ${ALICE}`
    expect(left).toEqual({ rows: 4, owned: 0 })
    expect(daemon.output()).not.toContain('"level":"error"')
    await stop(daemon)
  })

  test('a daemon that stands by takes over from one that is frozen inside a commit', async () => {
    const first = workplace.start(['run'])
    await untilHead()
    const second = workplace.start(['run'])
    await second.until(/standing by/)
    const gate = Promise.withResolvers<void>()
    const locked = Promise.withResolvers<void>()
    const holding = database.sql.begin(async tx => {
      await tx`select 1 from indexer.registry for update`
      locked.resolve()
      await gate.promise
    })
    await locked.promise
    await mineTransfers(1)
    await until('the first waits inside its commit', async () => {
      const rows = await database.sql`
        select 1 from pg_stat_activity a join pg_locks l using (pid)
        where a.datname = current_database() and a.wait_event_type = 'Lock'
          and l.relation = 'indexer.leases'::regclass and l.mode = 'RowShareLock'`
      return rows.length > 0
    })
    first.signal('SIGSTOP')
    gate.resolve()
    await holding
    const started = performance.now()
    await mineTransfers(1)
    await untilHead()
    const tookMs = Math.round(performance.now() - started)
    process.stdout.write(`SIGSTOP inside a commit, behind PgBouncer: the next block was written after ${tookMs} ms\n`)
    expect(tookMs).toBeLessThan(MAX_TAKEOVER_MS)
    first.signal('SIGCONT')
    await first.until(/standing by/)
    await stop(first)
    await mineTransfers(2)
    await untilHead()
    const [rows] = await database.sql`
      select count(*)::int as activities, count(distinct tx_hash)::int as transactions from wallet_activity`
    expect(rows).toEqual({ activities: 4, transactions: 4 })
    await stop(second)
  })
})
