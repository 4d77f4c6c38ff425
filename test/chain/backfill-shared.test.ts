/**
 * One backfill, many processes: real ones, that are killed, frozen, interrupted and cut off from Postgres in the middle of it. What is
 * there in the end is what a single process leaves, row for row, and no block was done by two but where a claim ran out.
 */

import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import type postgres from 'postgres'
import { openWorkplace, type Running, type Workplace } from '../support/command-line.ts'
import { createDatabase, type TestDatabase } from '../support/database.ts'
import { openForwarder } from '../support/forwarder.ts'
import { prepareChain } from '../support/replay-chain.ts'
import { type Hook, type ReplayNode, startReplayNode } from '../support/replay-node.ts'
import { accountOf, smallBlocks } from '../support/small-chain.ts'

const CHAIN_ID = 31_337
/** Far more than three processes fetch ahead. */
const HIGHEST = 1_999
/** Where one process has to be met in the middle, this is enough. */
const LOW = 599
const USERS = [accountOf(0xa11ce), accountOf(0xb0b)] as const
/** What makes a job long enough for something to happen in the middle of it, to one process or to several; then the node is quick. */
const SLOW_MS = { one: 100, several: 300, none: 0 } as const
/** Longer than a busy machine keeps a process from renewing its claims. */
const CLAIM_TTL_MS = 4_000
const WAIT_DEADLINE_MS = 60_000
const POLL_MS = 20
/** What Node made of the sources: half of what a start costs. It knows a source by its content. */
const COMPILED = join(tmpdir(), 'linkdao-compiled')
/** Blocks that are looked at beforehand, to tell what it will cost. */
const SAMPLES = 8

const CHAIN_FILE = {
  id: CHAIN_ID,
  name: 'local',
  rpc: { env: 'LOCAL_RPC_URL' },
  confirmations: 3,
  startBlock: 0,
  blockTimeSeconds: 12,
  nativeToken: { symbol: 'ETH', decimals: 18 },
}

/** Every tenth block pays somebody, every seventh gives them tokens, some payments fail. */
const blocks = prepareChain(
  smallBlocks(HIGHEST, number => [
    { value: 5n },
    ...(number % 10 === 0 ? [{ to: USERS[0], value: 7n, fails: number % 100 === 0 }] : []),
    ...(number % 7 === 0 ? [{ from: USERS[1], tokensTo: [accountOf(3), USERS[0]] }] : []),
  ]),
)

let node: ReplayNode
let workplace: Workplace
let database: TestDatabase
/** What a single process leaves. */
let expected: { readonly all: readonly string[]; readonly some: readonly string[] }
/** How often each block was asked for. */
const asked = new Map<number, number>()
let delayMs: number = SLOW_MS.none
const forwarders: { close(): Promise<void> }[] = []

const slow: Hook = async ({ method, params: [height] }, answer) => {
  if (method !== 'eth_getBlockByNumber' || !String(height).startsWith('0x')) return answer()
  asked.set(Number(height), (asked.get(Number(height)) ?? 0) + 1)
  await pause(delayMs)
  return answer()
}

const pause = (ms: number) => new Promise(resolve => setTimeout(resolve, ms))

const args = (from: number, to: number | string, ...more: string[]) => {
  const range = ['--from-block', String(from), '--to-block', String(to)]
  return ['backfill', '--chain', 'local', ...range, '--claim-ttl-ms', String(CLAIM_TTL_MS), ...more]
}
const ALL = args(0, 'finalized')
const SOME = args(0, LOW)

async function openDatabase(): Promise<TestDatabase> {
  const made = await createDatabase()
  for (const [index, wallet] of USERS.entries())
    await made.sql`
      insert into users (id, wallet_address, created_at)
      values (${`00000000-0000-4000-8000-00000000000${index}`}, ${wallet}, '2024-01-01')`
  return made
}

beforeAll(async () => {
  node = await startReplayNode({ chainId: CHAIN_ID, chain: blocks })
  workplace = await openWorkplace([CHAIN_FILE], { LOCAL_RPC_URL: node.url, NODE_COMPILE_CACHE: COMPILED })
  const alone = await openDatabase()
  const after = async (command: readonly string[]) => {
    expect(await workplace.run(command, { DATABASE_URL: alone.url })).toMatchObject({ code: 0 })
    return readRows(alone.sql)
  }
  expected = { some: await after(SOME), all: await after(ALL) }
  expect(expected.some.length).toBeGreaterThan(300)
  expect(expected.all.length).toBeGreaterThan(1_000)
  await alone.drop()
  node.setHook(slow)
})

beforeEach(async () => {
  database = await openDatabase()
  asked.clear()
  delayMs = SLOW_MS.none
})

afterEach(async () => {
  for (const forwarder of forwarders.splice(0)) await forwarder.close()
  await database.drop()
})

afterAll(async () => {
  await workplace.end()
  await node.close()
})

/** Every row, without the times at which it was written and numbers that come from a sequence. */
async function readRows(sql: postgres.Sql): Promise<string[]> {
  const rows = await sql<{ text: string }[]>`
    select 'activity ' || (to_jsonb(t) - 'created_at' - 'updated_at')::text as text from wallet_activity t
    union all select 'row ' || (to_jsonb(t) - 'created_at' - 'updated_at')::text from user_transactions t
    union all select 'ledger ' || (to_jsonb(t) - 'created_at')::text from indexer.transactions t
    union all select 'inclusion ' || to_jsonb(t)::text from indexer.inclusions t
    union all select 'transition ' || (to_jsonb(t) - 'id' - 'at')::text from indexer.transitions t
    union all select 'coverage ' || to_jsonb(t)::text from indexer.coverage t
    union all select 'wallet coverage ' || to_jsonb(t)::text from indexer.wallet_coverage t
    union all select 'token ' || (to_jsonb(t) - 'asked_at_block')::text from indexer.tokens t
    order by 1`
  return rows.map(({ text }) => text)
}

type Piece = {
  readonly id: string
  readonly from: number
  readonly to: number
  readonly pid: number
  readonly fencing: number
  readonly done: boolean
}

/** Pieces that somebody works on, or has done. */
async function readPieces(): Promise<Piece[]> {
  return database.sql<Piece[]>`
    select id, from_block::int as from, to_block::int as to, split_part(holder, ' ', 2)::int as pid, fencing,
      done_at is not null as done
    from indexer.job_pieces where holder is not null order by from_block`
}

async function until<T>(what: string, look: () => Promise<T | null | false>): Promise<T> {
  const deadline = performance.now() + WAIT_DEADLINE_MS
  for (;;) {
    const found = await look()
    if (found !== null && found !== false) return found
    if (performance.now() > deadline)
      throw new Error(`waited in vain: ${what}\n${(await readPieces()).map(piece => JSON.stringify(piece)).join('\n')}`)
    await pause(POLL_MS)
  }
}

/** Waits until a process has done a piece and holds others. @returns those */
const untilInTheMiddle = (pid: number) =>
  until(`process ${pid} is in the middle`, async () => {
    const own = (await readPieces()).filter(piece => piece.pid === pid)
    const held = own.filter(({ done }) => !done)
    return own.some(({ done }) => done) && held.length > 1 && held
  })

const start = (command = ALL) => workplace.start(command, { DATABASE_URL: database.url })

/** Every block was committed, once. */
function expectEachOnce(pieces: readonly Piece[], highest = HIGHEST): void {
  expect(pieces.every(({ done }) => done)).toBe(true)
  const committed = pieces.flatMap(({ from, to }) => Array.from({ length: to - from + 1 }, (_, index) => from + index))
  expect(committed.toSorted((a, b) => a - b)).toEqual(Array.from({ length: highest + 1 }, (_, number) => number))
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

const SUMMARY = /local: \d+ blocks, \d+ new activities/

test('three processes, one killed and one frozen in the middle: complete, and nobody did what another one had', async () => {
  delayMs = SLOW_MS.several
  const [lives, dies, freezes] = [start(), start(), start()] as const
  const freeze = async () => {
    await untilInTheMiddle(freezes.pid)
    freezes.signal('SIGSTOP')
    return (await readPieces()).filter(({ pid, done }) => pid === freezes.pid && !done)
  }
  const kill = async () => {
    await untilInTheMiddle(dies.pid)
    dies.signal('SIGKILL')
  }
  const [ofFrozen] = await Promise.all([freeze(), kill()])
  delayMs = SLOW_MS.none
  const lost = new Set(
    [...ofFrozen, ...(await readPieces())].filter(({ pid }) => pid !== lives.pid).map(({ id }) => id),
  )
  await until('what the frozen one held is taken over', async () =>
    (await readPieces()).some(({ id, fencing }) => fencing > 1 && ofFrozen.some(piece => piece.id === id)),
  )
  freezes.signal('SIGCONT')
  // Frozen within a transaction, it finds that the server has ended that.
  await freezes.until(/Another process has taken over these blocks|Waiting for Postgres/)
  const ended = await Promise.all([lives.finished, freezes.finished])

  expect(ended.map(({ code }) => code)).toEqual([0, 0])
  expect(ended[0].stdout.match(SUMMARY)?.[0]).toBe(ended[1].stdout.match(SUMMARY)?.[0])
  expect(ended[0].stdout).toContain(`local: ${HIGHEST + 1} blocks, `)
  expect(await readRows(database.sql)).toEqual(expected.all)
  const pieces = await readPieces()
  expectEachOnce(pieces)
  expect(pieces.filter(({ fencing, id }) => fencing > 1 && !lost.has(id))).toEqual([])
  const [job] = await database.sql`select state, blocks_done::int, blocks_total::int from indexer.jobs`
  expect(job).toEqual({ state: 'done', blocks_done: HIGHEST + 1, blocks_total: HIGHEST + 1 })
})

test('--workers: children end with a parent that is killed; when one of them dies the others do its part, and the exit code says so', async () => {
  delayMs = SLOW_MS.several
  const killed = start([...ALL, '--workers', '3'])
  const family = await until('three processes hold pieces', async () => {
    const pids = new Set((await readPieces()).map(({ pid }) => pid))
    return pids.size === 3 && [...pids]
  })
  expect(family).toContain(killed.pid)
  killed.signal('SIGKILL')
  await killed.finished
  await until('its children are gone', async () => !family.some(isRunning))
  const given = (await readPieces()).filter(({ done }) => !done)
  expect(given.filter(({ pid }) => pid !== killed.pid)).toEqual([])

  const again = start([...ALL, '--workers', '3'])
  const child = await until(
    'a child is at work',
    async () =>
      (await readPieces()).find(({ pid, done }) => !done && pid !== again.pid && !family.includes(pid)) ?? null,
  )
  process.kill(child.pid, 'SIGKILL')
  delayMs = SLOW_MS.none
  expect((await again.finished).code).toBe(1)
  expect(again.output()).toContain('a worker was ended by SIGKILL')
  expect(again.output()).toContain(`local: ${HIGHEST + 1} blocks, `)
  const pieces = await readPieces()
  expect(pieces.map(({ pid }) => pid).filter(isRunning)).toEqual([])
  expectEachOnce(pieces)
  expect(await readRows(database.sql)).toEqual(expected.all)
})

test('interrupted it gives its claims back at once, and the same command asks only for what is missing', async () => {
  delayMs = SLOW_MS.one
  const first = start(SOME)
  await untilInTheMiddle(first.pid)
  first.signal('SIGINT')
  expect(await first.finished).toMatchObject({ code: 75, stderr: expect.stringContaining('goes on from here') })
  const before = await readPieces()
  expect(before.filter(({ done }) => !done)).toEqual([])
  const status = await workplace.run(['status'], { DATABASE_URL: database.url })
  expect(status.stdout).toMatch(/blocks 0 to 599: interrupted, \d+ of 600 blocks/)
  expect(status.stdout).toContain('the same command goes on with it')
  asked.clear()
  delayMs = SLOW_MS.none
  expect((await start(SOME).finished).code).toBe(0)
  const complete = before.flatMap(({ from, to }) => Array.from({ length: to - from + 1 }, (_, index) => from + index))
  expect([...asked.keys(), ...complete].toSorted((a, b) => a - b)).toEqual(
    Array.from({ length: LOW + 1 }, (_, number) => number),
  )
  expect(sumOf(asked.values())).toBeLessThanOrEqual(asked.size + SAMPLES)
  expect(await readRows(database.sql)).toEqual(expected.some)
})

test('two jobs that overlap, at once: both complete, and no block is done twice', async () => {
  const [low, high] = [start(args(0, 399, '--workers', '2')), start(args(200, LOW))]
  const ended = await Promise.all([low.finished, high.finished])
  expect(ended.map(({ code }) => code)).toEqual([0, 0])
  expect(await readRows(database.sql)).toEqual(expected.some)
  expect(sumOf(asked.values())).toBeLessThanOrEqual(LOW + 1 + 2 * SAMPLES)
  const jobs = await database.sql`select state from indexer.jobs`
  expect(jobs.map(job => job['state'] as string)).toEqual(['done', 'done'])
})

test('Postgres away for a while is waited for', async () => {
  const url = new URL(database.url)
  const forwarder = await openForwarder(Number(url.port))
  forwarders.push(forwarder)
  url.port = String(forwarder.port)
  delayMs = SLOW_MS.one
  const running: Running = workplace.start(SOME, { DATABASE_URL: url.href })
  await untilInTheMiddle(running.pid)
  await forwarder.refuse()
  await running.until(/Waiting for Postgres/)
  delayMs = SLOW_MS.none
  await forwarder.heal()
  expect((await running.finished).code).toBe(0)
  expect(running.output()).toContain('"msg":"Going on"')
  expectEachOnce(await readPieces(), LOW)
  expect(await readRows(database.sql)).toEqual(expected.some)
})

function sumOf(counts: Iterable<number>): number {
  return [...counts].reduce((sum, count) => sum + count, 0)
}
