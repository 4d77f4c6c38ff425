/**
 * `verify` as an operator runs it: it finds nothing where nothing is wrong, every tampering where something is, and mends it.
 *
 * One chain with traffic is indexed once; each test works on a copy of that database. The command is a process of its own but for
 * the many tamperings, where it is only called.
 */

import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, inject, test } from 'vitest'
import postgres from 'postgres'
import { compileChain } from '../../src/config/chain.ts'
import { loadConfig } from '../../src/config/env.ts'
import type { Problem } from '../../src/config/problem.ts'
import type { Chain } from '../../src/core/chain.ts'
import { runVerify } from '../../src/commands/verify.ts'
import { type Anvil, startAnvil } from '../../src/demo/anvil.ts'
import { createTraffic, type Traffic } from '../../src/demo/traffic.ts'
import { type Finished, openWorkplace, type Workplace } from '../support/command-line.ts'
import { createDatabase, type TestDatabase } from '../support/database.ts'
import { createIndexer } from '../support/indexer.ts'
import { pickActivity, pickTransaction, STRANGER, TAMPERINGS, type Target } from '../support/tamperings.ts'

const SEED = Number(process.env['SEED'] ?? 20_250_803)
const TRANSACTIONS = 150
/** What must never be seen: part of the RPC URL of every process here. */
const API_KEY = 'k3y-of-the-operator-0123456789'
const ROOT = fileURLToPath(new URL('../../', import.meta.url))

/** The rules of Sepolia, from the first block of a local chain on. */
const CHAIN_FILE = {
  ...(JSON.parse(readFileSync(new URL('../../chains/sepolia.json', import.meta.url), 'utf8')) as {
    contracts: object[]
  }),
  startBlock: 0,
  confirmations: 3,
}
const chainFile = {
  ...CHAIN_FILE,
  $schema: undefined,
  contracts: CHAIN_FILE.contracts.map(contract => ({ ...contract, startBlock: 0 })),
}

let anvil: Anvil
let traffic: Traffic
let chain: Chain
let head = 0
let original: TestDatabase
let copy: { readonly sql: postgres.Sql; readonly name: string; readonly url: string }
let workplace: Workplace

beforeAll(async () => {
  const problems: Problem[] = []
  const compiled = compileChain(chainFile, 'sepolia.json', problems)
  if (compiled === null) throw new Error(JSON.stringify(problems))
  chain = { ...compiled.chain, blockTimeSeconds: 0.2 }
  anvil = await startAnvil({ chainId: chain.id })
  traffic = await createTraffic({ anvil, chain, seed: SEED })
  original = await createDatabase()
  for (const user of traffic.users) await original.sql`insert into users (wallet_address) values (${user.spelling})`
  for (const { address } of traffic.watched)
    await original.sql`insert into indexer.watchlist (address) values (${address})`
  const indexer = createIndexer(original.url, [{ chain, url: anvil.url }])
  indexer.start()
  await traffic.step(TRANSACTIONS)
  await indexer.untilHead()
  await indexer.close()
  head = Number(await anvil.rpc('eth_blockNumber'))
  // Nobody may be connected to what is copied.
  await original.sql.end()
}, 120_000)

afterAll(async () => {
  await original?.drop()
  await anvil?.stop()
})

beforeEach(async () => {
  const url = new URL(inject('postgresUrl'))
  const name = `${original.name}_copy`
  const admin = postgres(url.href, { max: 1, onnotice: () => undefined })
  await admin.unsafe(`drop database if exists ${name} with (force)`)
  await admin.unsafe(`create database ${name} template ${original.name}`)
  await admin.end()
  url.pathname = `/${name}`
  copy = {
    name,
    url: url.href,
    sql: postgres(url.href, { max: 2, onnotice: () => undefined, connection: { TimeZone: 'UTC' } }),
  }
  workplace = await openWorkplace([chainFile], environment())
})

afterEach(async () => {
  await workplace.end()
  await copy.sql.end({ timeout: 1 })
  const admin = postgres(inject('postgresUrl'), { max: 1, onnotice: () => undefined })
  await admin.unsafe(`drop database if exists ${copy.name} with (force)`)
  await admin.end()
})

const environment = () => ({
  DATABASE_URL: copy.url,
  SEPOLIA_RPC_URL: `${anvil.url}/?key=${API_KEY}`,
  CHAINS: String(chain.id),
})

async function run(command: string, ...args: readonly string[]): Promise<Finished> {
  const finished = await workplace.run([command, ...args])
  expect(finished.stdout + finished.stderr).not.toContain(API_KEY)
  return finished
}

const verify = (...args: readonly string[]) =>
  run('verify', '--chain', String(chain.id), '--from-block', '0', '--to-block', String(head), ...args)

/** The same without a process of its own. */
async function callVerify(repair: boolean): Promise<{ readonly code: number; readonly stdout: string }> {
  const lines: string[] = []
  const code = await runVerify(
    {
      config: loadConfig({
        env: { ...environment(), CHAINS_DIR: workplace.directory, LOG_LEVEL: 'error' },
        cwd: workplace.directory,
        isTerminal: false,
      }),
      root: ROOT,
      signal: new AbortController().signal,
      print: line => lines.push(line),
      terminal: null,
    },
    { chain: String(chain.id), fromBlock: 0, toBlock: head, wallets: [], repair },
  )
  return { code, stdout: lines.join('\n') }
}

/** Every row of the daemon, ids of activities included; rows of transactions by their hash. */
async function readRows(sql: postgres.Sql = copy.sql) {
  return {
    activities: [
      ...(await sql`select (to_jsonb(a) - 'created_at')::text as row from wallet_activity a where block_hash is not null order by id`),
    ],
    transactions: [
      ...(await sql`
        select (to_jsonb(u) - 'id' - 'created_at' - 'updated_at')::text as row from user_transactions u order by tx_hash`),
    ],
  }
}

test('finds nothing where nothing is wrong, in all the traffic, and changes nothing', async () => {
  const before = await readRows()
  expect(before.activities.length).toBeGreaterThan(TRANSACTIONS)
  const { code, stdout } = await verify('--repair')
  expect(stdout).toContain(`${head + 1} blocks`)
  expect(stdout).toContain('no differences')
  expect(code).toBe(0)
  expect(await readRows()).toEqual(before)
})

describe('tampering is found, named and mended', () => {
  test.each(TAMPERINGS)('%s', async (_what, tamper) => {
    const before = await readRows()
    const words = await tamper(copy.sql)
    const tampered = await readRows()
    expect(tampered).not.toEqual(before)
    const found = await callVerify(false)
    for (const word of words) expect(found.stdout).toContain(word)
    expect(found.code).toBe(1)
    // Looking changes nothing.
    expect(await readRows()).toEqual(tampered)
    const mended = await callVerify(true)
    expect(mended.stdout).toContain('no differences')
    expect(mended.code).toBe(0)
    expect(await readRows()).toEqual(before)
  })
})

test('an operator sees what differs, line by line, with exit code 1, and 0 once it is mended', async () => {
  const before = await readRows()
  const { sql } = copy
  const row = await pickActivity(sql)
  const hash = await pickTransaction(sql)
  await sql`delete from wallet_activity where id = ${row.id}`
  await sql`update user_transactions set status = 'failed' where tx_hash = ${hash}`
  const found = await verify()
  expect(found.stdout.trim().split('\n')).toEqual([
    expect.stringMatching(
      new RegExp(
        `^block ${row.block_number}, missing: ${row.activity_type} of ${row.wallet_address} in ${row.tx_hash}`,
      ),
    ),
    `transaction ${hash}: status is "failed", should be "confirmed"`,
    `transaction ${hash}: its status is failed, its newest transition says confirmed`,
    `sepolia: ${head + 1} blocks, ${traffic.users.length + traffic.watched.length} wallets, 3 differences.`,
  ])
  expect(found.code).toBe(1)
  expect((await verify('--repair')).code).toBe(0)
  expect((await verify()).code).toBe(0)
  expect(await readRows()).toEqual(before)
})

test('rows of the application are neither differences nor touched', async () => {
  const { sql } = copy
  const [user] = traffic.users
  const hash = await pickTransaction(sql)
  await sql`
    insert into wallet_activity (wallet_address, activity_type, tx_hash, chain_id, block_number)
    values (${user?.address ?? ''}, 'NOTE', ${hash}, ${chain.id}, 5), (${STRANGER}, 'NOTE', null, null, null)`
  await sql`
    insert into user_transactions (tx_hash, event_type, amount, token) values (${`0x${'9'.repeat(64)}`}, 'LDAO_TRANSFER_SENT', 7, 'LDAO')`
  const row = await pickActivity(sql)
  const notes = () => sql`select *, xmin::text from wallet_activity where block_hash is null order by id`
  const before = [...(await notes())]
  await sql`delete from wallet_activity where id = ${row.id}`
  const { code, stdout } = await verify('--repair')
  expect(stdout).toContain('1 differences')
  expect(code).toBe(0)
  expect([...(await notes())]).toEqual(before)
})

test('blocks that are not indexed are told, and are no success', async () => {
  const beyond = head + 10
  const { code, stdout } = await run('verify', '--chain', chain.name, '--from-block', '3', '--to-block', String(beyond))
  expect(stdout).toContain(`blocks ${head + 1} to ${beyond} are not indexed`)
  expect(stdout).toContain('no differences')
  expect(code).toBe(1)
  await copy.sql`delete from indexer.coverage`
  expect((await verify()).stdout).toContain(`blocks 0 to ${head} are not indexed`)
})

describe('for one wallet', () => {
  test('finds nothing where nothing is wrong, also where others take part in its transactions', async () => {
    for (const { address } of [traffic.users[0], traffic.users[1], traffic.watched[0]].filter(
      each => each !== undefined,
    )) {
      const { code, stdout } = await verify('--wallet', address)
      expect(stdout).toContain('1 wallets, no differences')
      expect(code).toBe(0)
    }
  })

  test('finds and mends what is its own, and leaves the rest as it is', async () => {
    const { sql } = copy
    const mine = await pickActivity(sql)
    const before = await readRows()
    const [other] = await sql<Target[]>`
      select id, wallet_address from wallet_activity
      where wallet_address <> ${mine.wallet_address} and tx_hash <> ${mine.tx_hash} and block_number <> ${mine.block_number} limit 1`
    await sql`update wallet_activity set amount = 1 where id = ${other?.id ?? ''}`
    const half = await readRows()
    await sql`delete from wallet_activity where id = ${mine.id}`
    expect((await verify('--wallet', STRANGER)).code).toBe(2)
    const found = await verify('--wallet', mine.wallet_address)
    expect(found.stdout).toContain('1 wallets, 1 differences')
    expect(found.code).toBe(1)
    expect((await verify('--wallet', mine.wallet_address, '--repair')).code).toBe(0)
    expect(await readRows()).toEqual(half)
    expect((await verify('--wallet', other?.wallet_address ?? '', '--repair')).code).toBe(0)
    expect(await readRows()).toEqual(before)
  })
})

test('a user who changed wallets leaves rows behind, and they are no difference', async () => {
  const { sql } = copy
  const [user] = traffic.users
  await sql`update users set wallet_address = ${STRANGER} where lower(wallet_address) = ${user?.address ?? ''}`
  const before = await readRows()
  const { code, stdout } = await verify('--repair')
  expect(stdout).toContain('no differences')
  expect(code).toBe(0)
  expect((await readRows()).activities).toEqual(before.activities)
})

test('a column that another tool dropped: told, restored by migrate, refilled by repair', async () => {
  const before = await readRows()
  await copy.sql`alter table wallet_activity drop column block_hash`
  const refused = await verify()
  expect(refused.stdout + refused.stderr).toMatch(/block_hash.*migrate/s)
  expect(refused.code).toBe(1)
  expect((await run('migrate')).code).toBe(0)
  expect((await readRows()).activities).toEqual([])
  const mended = await verify('--repair')
  expect(mended.stdout).toContain('no differences')
  expect(mended.code).toBe(0)
  expect(await readRows()).toEqual(before)
})

test('a node that does not answer is told without its key', async () => {
  const { code, stderr } = await workplace.run(
    ['verify', '--chain', String(chain.id), '--from-block', '0', '--to-block', '5'],
    { SEPOLIA_RPC_URL: `http://127.0.0.1:9/v2/${API_KEY}` },
  )
  expect(stderr).not.toContain(API_KEY)
  expect(stderr).toContain('could not be derived')
  expect(code).toBe(75)
})
