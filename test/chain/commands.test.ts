/**
 * The commands as a user types them, as processes of their own. The chain is none of the shipped ones: it is added by its file.
 */

import { createServer } from 'node:net'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type Anvil, startAnvil } from '../../src/demo/anvil.ts'
import { openWorkplace, type Workplace } from '../support/command-line.ts'
import { createDatabase, type TestDatabase } from '../support/database.ts'

const ALICE = '0xa11ce00000000000000000000000000000000001'
const BOB = '0xb0b0000000000000000000000000000000000002'
const ETHER = 10n ** 18n
/** What must never be seen: part of the RPC URL of every process here. */
const API_KEY = 'k3y-of-the-operator-0123456789'

const CHAIN_FILE = {
  id: 31337,
  name: 'local',
  rpc: { env: 'LOCAL_RPC_URL' },
  confirmations: 3,
  startBlock: 0,
  blockTimeSeconds: 0.2,
  nativeToken: { symbol: 'ETH', decimals: 18 },
}

let database: TestDatabase
let anvil: Anvil
let workplace: Workplace

beforeEach(async () => {
  database = await createDatabase({ migrated: false })
  anvil = await startAnvil({ chainId: 31337, args: ['--auto-impersonate'] })
  await anvil.rpc('anvil_setBalance', [ALICE, `0x${(1000n * ETHER).toString(16)}`])
  workplace = await openWorkplace([CHAIN_FILE], {
    DATABASE_URL: database.url,
    LOCAL_RPC_URL: `${anvil.url}/?key=${API_KEY}`,
  })
})

afterEach(async () => {
  await workplace.end()
  await anvil.stop()
  await database.drop()
})

const send = (value = ETHER) =>
  anvil.rpc('eth_sendTransaction', [{ from: ALICE, to: BOB, value: `0x${value.toString(16)}`, gas: '0x186a0' }])

async function mineTransfers(count: number): Promise<void> {
  for (let index = 0; index < count; index += 1) {
    await send()
    await anvil.mine()
  }
}

const activityCount = async () =>
  Number((await database.sql`select count(*)::int as count from wallet_activity`)[0]?.['count'])
const checkpoint = async () =>
  Number((await database.sql`select block_number from indexer.checkpoints`)[0]?.['block_number'] ?? -1)

describe('run', () => {
  test('migrates, follows, answers over HTTP, and ends with 0 within ten seconds of SIGTERM', async () => {
    const daemon = workplace.start(['run', '--migrate'], { LOG_LEVEL: 'debug' })
    const url = (await daemon.until(/"http":"(http:[^"]+)"/))[1]
    await daemon.until(/"block":0/)
    await database.sql`insert into users (wallet_address) values (${ALICE})`
    await mineTransfers(3)
    await daemon.until(/"block":3,/)
    expect((await fetch(`${url}/healthz`)).status).toBe(200)
    expect((await fetch(`${url}/readyz`)).status).toBe(200)
    const status = (await (await fetch(`${url}/status`)).json()) as {
      chains: { indexed: number; endpoints: { name: string }[] }[]
    }
    expect(status.chains[0]).toMatchObject({ indexed: 3, lagBlocks: 0, phase: 'following', followed: true })
    const started = performance.now()
    daemon.signal('SIGTERM')
    const { code } = await daemon.finished
    expect(code).toBe(0)
    expect(performance.now() - started).toBeLessThan(10_000)
    expect(daemon.output()).not.toContain(API_KEY)
    expect(JSON.stringify(status)).not.toContain(API_KEY)
  })

  test('two interrupts within a second are one', async () => {
    const daemon = workplace.start(['run', '--migrate'], { LOG_LEVEL: 'debug' })
    await daemon.until(/"block":0/)
    daemon.signal('SIGINT')
    daemon.signal('SIGINT')
    expect((await daemon.finished).code).toBe(0)
    expect(daemon.output()).toContain('Stopped')
  })

  test('killed at any moment, a restart loses nothing and doubles nothing', async () => {
    await workplace.run(['migrate'])
    await database.sql`insert into users (wallet_address) values (${ALICE}), (${BOB})`
    await mineTransfers(300)
    for (let kills = 0; kills < 3; kills += 1) {
      const before = await checkpoint()
      const daemon = workplace.start(['run'], { LOG_LEVEL: 'debug' })
      await daemon.until(/"msg":"(?:Catching up|Caught up|Block)"/)
      if (kills % 2 === 1) await anvil.mine()
      daemon.signal('SIGKILL')
      await daemon.finished
      expect(await checkpoint()).toBeGreaterThanOrEqual(before)
    }
    const daemon = workplace.start(['run'])
    const head = Number(await anvil.rpc('eth_blockNumber'))
    for (let tries = 0; (await checkpoint()) < head && tries < 600; tries += 1)
      await new Promise(resolve => setTimeout(resolve, 50))
    daemon.signal('SIGTERM')
    await daemon.finished
    expect(await activityCount()).toBe(600)
    const [sums] = await database.sql`
      select count(*)::int as rows, count(distinct tx_hash)::int as hashes, count(*) filter (where status = 'confirmed')::int as confirmed from user_transactions`
    expect(sums).toMatchObject({ rows: 300, hashes: 300 })
    const [doubled] = await database.sql`
      select count(*)::int as count from (select 1 from indexer.transitions group by tx_hash, reason having count(*) > 1) twice`
    expect(doubled).toEqual({ count: 0 })
  })

  test('a port that was chosen and is taken ends it with 2; without a database it says so and waits', async () => {
    const blocker = createServer()
    const port = await new Promise<number>(resolve => {
      blocker.listen(0, '127.0.0.1', () => resolve((blocker.address() as { port: number }).port))
    })
    const { code, stderr } = await workplace.run(['run', '--migrate'], { HTTP_PORT: String(port) })
    blocker.close()
    expect(code).toBe(2)
    expect(stderr).toContain(`127.0.0.1:${port}`)

    const daemon = workplace.start(['run'], { DATABASE_URL: 'postgres://indexer:hunter2-secret@127.0.0.1:9/none' })
    await daemon.until(/DB_UNAVAILABLE/)
    daemon.signal('SIGTERM')
    expect((await daemon.finished).code).toBe(0)
    expect(daemon.output()).not.toContain('hunter2-secret')
  })
})

describe('backfill', () => {
  test('takes what is final, follows the rest where no daemon does, and does nothing twice', async () => {
    await workplace.run(['migrate'])
    await database.sql`insert into users (wallet_address) values (${ALICE})`
    await mineTransfers(10)
    await anvil.mine(90)
    const first = await workplace.run(['backfill', '--chain', 'local', '--from-block', '0', '--to-block', 'finalized'])
    expect(first).toMatchObject({ code: 0 })
    expect(first.stdout).toMatch(/local: 37 blocks, 10 new activities/)
    const again = await workplace.run(['backfill', '--chain', '31337', '--from-block', '0', '--to-block', 'finalized'])
    expect(again.stdout).toContain('complete already')
    const rest = await workplace.run(['backfill', '--chain', 'local', '--from-block', '0', '--to-block', 'latest'])
    expect(rest.stdout).toContain('followed up to block 100')
    expect(await checkpoint()).toBe(100)
    expect(first.stdout + first.stderr + rest.stderr).not.toContain(API_KEY)
  })

  test('beside a daemon it leaves what is not final to it, and says so', async () => {
    await workplace.run(['migrate'])
    await anvil.mine(100)
    const daemon = workplace.start(['run'])
    await daemon.until(/"block":100/)
    await database.sql`delete from indexer.coverage`
    const { code, stdout } = await workplace.run([
      'backfill',
      '--chain',
      'local',
      '--from-block',
      '0',
      '--to-block',
      'latest',
    ])
    expect(code).toBe(0)
    expect(stdout).toMatch(/37 blocks/)
    expect(stdout).toContain('the daemon that follows this chain takes them')
    daemon.signal('SIGTERM')
    await daemon.finished
  })

  test('of one wallet takes that wallet alone, and only if it is tracked', async () => {
    await workplace.run(['migrate'])
    await mineTransfers(5)
    await anvil.mine(90)
    const args = ['backfill', '--chain', 'local', '--from-block', '0', '--to-block', 'finalized', '--wallet', BOB]
    const refused = await workplace.run(args)
    expect(refused).toMatchObject({ code: 2 })
    expect(refused.stderr).toContain('wallets add')
    await database.sql`insert into users (wallet_address) values (${ALICE}), (${BOB})`
    expect(await workplace.run(args)).toMatchObject({ code: 0 })
    const rows = await database.sql`select distinct wallet_address, activity_type from wallet_activity`
    expect([...rows]).toEqual([{ wallet_address: BOB, activity_type: 'TRANSFER_IN' }])
    expect((await workplace.run(args)).stdout).toContain('complete already')
    expect((await workplace.run(args.slice(0, -2))).stdout).toContain('5 new activities')
  })

  test('killed in the middle, the same command does only what is missing', async () => {
    await workplace.run(['migrate'])
    await database.sql`insert into users (wallet_address) values (${ALICE})`
    await mineTransfers(20)
    await anvil.mine(1000)
    const killed = workplace.start(['backfill', '--chain', 'local', '--from-block', '0', '--to-block', 'finalized'], {
      LOG_LEVEL: 'debug',
    })
    const covered = async () =>
      (
        await database.sql`select coalesce(sum(to_block - from_block + 1), 0)::int as blocks from indexer.coverage`
      )[0]?.['blocks'] as number
    for (let tries = 0; (await covered()) === 0 && tries < 1_000; tries += 1)
      await new Promise(resolve => setTimeout(resolve, 5))
    killed.signal('SIGKILL')
    await killed.finished
    const done = await covered()
    expect(done).toBeGreaterThan(0)
    expect(done).toBeLessThan(957)
    const { stdout } = await workplace.run([
      'backfill',
      '--chain',
      'local',
      '--from-block',
      '0',
      '--to-block',
      'finalized',
    ])
    expect(stdout).toContain(`${957 - done} blocks`)
    expect(await activityCount()).toBe(20)
  })
})

describe('other commands', () => {
  test('usage errors end with 2 and say what there is', async () => {
    for (const args of [
      ['nope'],
      ['backfill'],
      ['run', '--what'],
      ['backfill', '--chain', 'local', '--from-block', 'x', '--to-block', '1'],
    ]) {
      const { code, stderr } = await workplace.run(args)
      expect(code).toBe(2)
      expect(stderr).toContain('--help')
    }
    expect((await workplace.run(['status', '--help'])).code).toBe(0)
    expect(await workplace.run(['backfill', '--chain', 'moon', '--from-block', '0', '--to-block', '1'])).toMatchObject({
      code: 2,
    })
  })

  test('status --tx tells the story of a transaction', async () => {
    await workplace.run(['migrate'])
    await database.sql`insert into users (wallet_address) values (${ALICE})`
    const hash = String(await send())
    await anvil.mine(5)
    await workplace.run(['backfill', '--chain', 'local', '--from-block', '0', '--to-block', 'latest'])
    const { stdout } = await workplace.run(['status', '--tx', hash.toUpperCase().replace('0X', '0x')])
    expect(stdout).toContain('confirmed: TRANSFER of 1 ETH on local')
    expect(stdout).toContain('it was seen in block 1 of local')
    expect(stdout).toContain('block 1 became deep enough, and it had succeeded: confirmed')
    const story = JSON.parse((await workplace.run(['status', '--tx', hash, '--json'])).stdout) as {
      transitions: object[]
    }
    expect(story.transitions).toMatchObject([{ reason: 'included' }, { reason: 'confirmed' }])
    expect((await workplace.run(['status', '--tx', `0x${'00'.repeat(32)}`])).stdout).toContain('is not known here')
  })

  test('wallets, status, doctor and migrate --down', async () => {
    expect((await workplace.run(['doctor'])).stdout).toContain('npm run migrate')
    expect((await workplace.run(['migrate'])).code).toBe(0)
    const added = await workplace.run([
      'wallets',
      'add',
      '0xF39Fd6e51aad88F6F4ce6aB8827279cffFb92266'.toLowerCase(),
      '--label',
      'treasury',
    ])
    expect(added.stdout).toContain('is watched')
    expect((await workplace.run(['wallets', 'list'])).stdout).toContain('treasury')
    await anvil.mine(2)
    const doctor = await workplace.run(['doctor'])
    expect(doctor.stdout).toContain('schema is up to date')
    expect(doctor.stdout + doctor.stderr).not.toContain(API_KEY)
    const status = JSON.parse((await workplace.run(['status', '--json'])).stdout) as { chains: { head: number }[] }
    expect(status.chains[0]?.head).toBe(2)
    expect(await workplace.run(['migrate', '--down'])).toMatchObject({ code: 1 })
    expect(await workplace.run(['migrate', '--down', '--drop-data'])).toMatchObject({ code: 0 })
  })
})
