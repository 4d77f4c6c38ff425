/**
 * Jobs that many share: one for all who ask for the same, each piece one holder's at a time, and no rows without the claim on them.
 */

import { afterEach, beforeEach, expect, test } from 'vitest'
import { describeStatus } from '../../src/commands/status.ts'
import { createStore, type Claim } from '../../src/store/store.ts'
import { createDatabase, type TestDatabase } from '../support/database.ts'
import { testChain } from '../support/indexer.ts'
import { ALICE, addUser, BOB, buildBlock, codeOf, planBackfill, readRowTables, untilBlocked } from '../support/rows.ts'

const CLAIM_TTL_MS = 10_000
const chain = testChain()
const ASKED = { chainId: chain.id, range: { from: 0, to: 199 }, askedTo: 'finalized', claimTtlMs: CLAIM_TTL_MS }
const FOR_ALL = { ...ASKED, wallets: null }

let database: TestDatabase
let store: ReturnType<typeof createStore>
let other: ReturnType<typeof createStore>

beforeEach(async () => {
  database = await createDatabase()
  store = createStore(database.url)
  other = createStore(database.url)
  await addUser(database.sql, ALICE)
})

afterEach(async () => {
  await Promise.all([store.close(), other.close()])
  await database.drop()
})

async function open(request: Parameters<typeof store.openJob>[0] = FOR_ALL): Promise<string> {
  const job = await store.openJob(request)
  if (job === null) throw new Error('everything is complete')
  return job.id
}

const ask = (jobId: string, holder: string, upTo = 199, by = store) =>
  by.claimPiece({ jobId, chainId: chain.id, holder, upTo })

async function claim(jobId: string, holder: string) {
  const answer = await ask(jobId, holder)
  if (answer.kind !== 'piece') throw new Error(`${holder} got no piece: ${answer.kind}`)
  return answer
}

/** Instead of waiting: as if that much time had passed since the claims were made or renewed. */
const letPass = (milliseconds: number) =>
  database.sql`update indexer.job_pieces set expires_at = expires_at - ${milliseconds} * interval '1 millisecond'`

/** A piece as it is committed: with a payment in its first block. */
async function plan({ range, claim: held }: { range: { from: number; to: number }; claim: Claim }) {
  const blocks = Array.from({ length: range.to - range.from + 1 }, (_, index) =>
    buildBlock(range.from + index, index === 0 ? [{ name: `payment ${range.from}` }] : []),
  )
  return { ...(await planBackfill(store, chain, blocks)), claim: held }
}

const commit = async (piece: Parameters<typeof plan>[0]) => store.commitBackfill(await plan(piece))

const job = async (id: string) => (await store.jobs(100)).find(each => each.id === id)

test('whoever asks for the same at the same time gets the same job, however far the chain has gone since', async () => {
  const ids = await Promise.all(
    Array.from({ length: 12 }, (_, index) =>
      (index % 2 === 0 ? store : other).openJob({ ...FOR_ALL, range: { from: 0, to: 190 + index } }),
    ),
  )
  expect(new Set(ids.map(each => each?.id)).size).toBe(1)
  expect(await job(ids[0]?.id ?? '')).toMatchObject({ range: { from: 0, to: 201 }, blocksTotal: 202, state: 'running' })
  const different = await Promise.all([
    open({ ...FOR_ALL, askedTo: '199' }),
    open({ ...FOR_ALL, range: { from: 1, to: 199 } }),
    open({ ...ASKED, wallets: [ALICE, BOB] }),
    open({ ...ASKED, wallets: [ALICE] }),
  ])
  expect(new Set([...different, ids[0]?.id]).size).toBe(5)
  expect(await open({ ...ASKED, wallets: [BOB, ALICE, BOB] })).toBe(different[2])
})

test('claims that are made at once are of different blocks, until there are none; done is what is complete', async () => {
  const id = await open()
  const answers = await Promise.all(
    Array.from({ length: 10 }, (_, index) => ask(id, `holder ${index}`, 199, index % 2 === 0 ? store : other)),
  )
  const pieces = answers.filter(answer => answer.kind === 'piece')
  const blocks = pieces.flatMap(({ range: { from, to } }) => Array.from({ length: to - from + 1 }, (_, i) => from + i))
  expect(blocks.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 200 }, (_, index) => index))
  expect(answers.some(({ kind }) => kind === 'wait')).toBe(true)
  for (const piece of pieces) await commit(piece)
  expect(await ask(id, 'late')).toEqual({ kind: 'over' })
  expect(await job(id)).toMatchObject({
    state: 'done',
    blocksDone: 200,
    blocksTotal: 200,
    activities: pieces.length,
    workers: [],
  })
  expect(await store.openJob(FOR_ALL)).toBeNull()
})

test('a claim that ran out goes to the next one, and who had it writes nothing', async () => {
  const id = await open()
  const lost = await claim(id, 'paused')
  await letPass(CLAIM_TTL_MS + 1)
  expect(await job(id)).toMatchObject({ expiredClaims: 1, workers: [] })
  const taken = await claim(id, 'other')
  expect(taken).toEqual({ kind: 'piece', range: lost.range, claim: { ...lost.claim, holder: 'other', fencing: 2 } })
  await store.renewClaims([lost.claim])
  const before = await readRowTables(database.sql)
  expect(await codeOf(commit(lost))).toBe('LEASE_LOST')
  expect(await readRowTables(database.sql)).toEqual(before)
  expect(await store.coverage(chain.id)).toEqual([])
  await commit(taken)
  expect(await store.coverage(chain.id)).toEqual([taken.range])
  expect(await codeOf(commit(taken))).toBe('LEASE_LOST')
  expect(await job(id)).toMatchObject({ blocksDone: taken.range.to + 1, activities: 1 })
})

test('a claim is kept by renewing it, and one that ran out is still good while nobody took it', async () => {
  const id = await open()
  const kept = await claim(id, 'alive')
  await letPass(CLAIM_TTL_MS - 1_000)
  await store.renewClaims([kept.claim])
  await letPass(CLAIM_TTL_MS - 1_000)
  expect((await claim(id, 'other')).range.from).toBe(kept.range.to + 1)
  await letPass(CLAIM_TTL_MS)
  await commit(kept)
})

test('a claim that ends later than a renewal could have made it is of a time that the clock was set back from', async () => {
  const id = await open()
  const { range } = await claim(id, 'before the clock was set back')
  await letPass(-3 * CLAIM_TTL_MS)
  expect((await claim(id, 'after')).range).toEqual(range)
})

test('what is given back is there at once, with what another job has completed of it left out', async () => {
  const id = await open()
  const first = await claim(id, 'leaving')
  const second = await claim(id, 'leaving')
  await store.leaveJob(id, 'leaving', null)
  expect(await job(id)).toMatchObject({ state: 'interrupted', expiredClaims: 0 })
  const done = first.range.to + 5
  const blocks = Array.from({ length: done + 1 }, (_, number) => buildBlock(number))
  await store.commitBackfill(await planBackfill(store, chain, blocks))
  const rest = await claim(id, 'next')
  expect(rest.range).toEqual({ from: done + 1, to: second.range.to })
  expect(await job(id)).toMatchObject({ state: 'running', blocksTotal: 199 - done })
})

test('neither claiming nor renewing waits for a commit, and a piece is not given away while it is committed', async () => {
  const id = await open()
  const slow = await claim(id, 'slow')
  const beside = await claim(id, 'slow')
  const piece = await plan(slow)
  await letPass(CLAIM_TTL_MS + 1)
  const locked = Promise.withResolvers<void>()
  const gate = Promise.withResolvers<void>()
  const registry = database.sql.begin(async tx => {
    await tx`select 1 from indexer.registry for update`
    locked.resolve()
    await gate.promise
  })
  await locked.promise
  const committing = store.commitBackfill(piece)
  await untilBlocked(database.sql, committing)
  await other.renewClaims([slow.claim, beside.claim])
  const next = await ask(id, 'other', 199, other)
  expect(next).toMatchObject({ kind: 'piece', range: { from: beside.range.to + 1 } })
  gate.resolve()
  await registry
  await committing
  const [row] = await database.sql`select holder, fencing from indexer.job_pieces where id = ${slow.claim.pieceId}`
  expect(row).toEqual({ holder: 'slow', fencing: 1 })
})

test('a worker that fails leaves its pieces to the others; when it was the last one, the job has failed', async () => {
  const id = await open()
  const { range } = await claim(id, 'host-a 11 aaaa')
  const kept = await claim(id, 'host-b 22 bbbb')
  await store.leaveJob(id, 'host-a 11 aaaa', 'The node is gone.')
  expect(await job(id)).toMatchObject({
    state: 'running',
    problem: 'The node is gone.',
    workers: [{ host: 'host-b', process: 22, pieces: 1 }],
  })
  expect((await claim(id, 'host-b 22 bbbb')).range).toEqual(range)
  await commit(kept)
  await store.leaveJob(id, 'host-b 22 bbbb', 'The disk is full.')
  expect(await job(id)).toMatchObject({ state: 'failed', problem: 'The disk is full.', workers: [] })
  expect(await open()).toBe(id)
  expect(await job(id)).toMatchObject({
    state: 'running',
    problem: null,
    blocksDone: kept.range.to - kept.range.from + 1,
  })
})

test('status says in words how far a job is, who works on it, and what became of it', async () => {
  const id = await open()
  const words = async () =>
    describeStatus({ chains: [], ...(await store.totals()), jobs: await store.jobs(1) }).slice(2)
  await claim(id, 'host-a 11 aaaa')
  await letPass(CLAIM_TTL_MS + 1)
  for (const piece of [await claim(id, 'host-b 22 bbbb'), await claim(id, 'host-b 22 bbbb')]) await commit(piece)
  await claim(id, 'host-b 22 bbbb')
  await claim(id, 'host-c 33 cccc')
  await claim(id, 'host-c 33 cccc')
  // Ten seconds at work, and no word from one of them.
  await database.sql`update indexer.jobs set created_at = clock_timestamp() - interval '10 seconds'`
  await database.sql`update indexer.job_pieces set expires_at = now() - interval '1 s' where holder like 'host-b%' and done_at is null`
  expect(await words()).toEqual([
    expect.stringMatching(
      /^backfill of chain 31337, blocks 0 to 199: running, 50 of 200 blocks \(25 %\), [45] blocks\/s, 3\d s left$/,
    ),
    '  host-c (process 33): 2 pieces; 1 claim that ran out',
  ])
  await store.leaveJob(id, 'host-c 33 cccc', 'The disk is full.')
  expect(await words()).toEqual([
    expect.stringMatching(/blocks 0 to 199: failed, 50 of 200 blocks \(25 %\), \d s ago$/),
    '  1 claim that ran out',
    '  The disk is full.',
    '  the same command goes on with it',
  ])
})

test('blocks that another job takes at this moment are left to it, where that completes them for this one too', async () => {
  const whole = await open()
  const overlapping = await open({ ...FOR_ALL, range: { from: 10, to: 199 } })
  const ofWallet = await open({ ...ASKED, wallets: [ALICE] })
  const first = await claim(whole, 'whole')
  expect((await claim(overlapping, 'overlapping')).range.from).toBe(first.range.to + 1)
  expect((await claim(ofWallet, 'of a wallet')).range.from).toBe(2 * (first.range.to + 1))
  // Not the other way round: what is complete for a wallet is not complete for all.
  const second = await claim(whole, 'whole')
  expect(second.range.from).toBe(2 * (first.range.to + 1))
  await letPass(CLAIM_TTL_MS + 1)
  expect((await claim(overlapping, 'again')).range.from).toBe(first.range.to + 1)
  const behind = await claim(overlapping, 'again')
  expect(behind.range.from).toBe(10)
})

test('jobs that nobody works on are forgotten, but for the newest fifty', async () => {
  const held = await open({ ...FOR_ALL, range: { from: 7, to: 199 } })
  await claim(held, 'alive')
  await database.sql`
    insert into indexer.jobs (kind, chain_id, from_block, to_block, blocks_total, asked_to, claim_ttl_ms, updated_at)
    select 'backfill', ${chain.id}, 0, n, n, 'x' || n, 1000, now() + n * interval '1 second' from generate_series(1, 80) n`
  await database.sql`update indexer.jobs set updated_at = now() - interval '1 year' where id = ${held}`
  await open()
  const [left] = await database.sql`
    select count(*)::int as jobs, min(to_block) filter (where asked_to like 'x%')::int as oldest from indexer.jobs`
  expect(left).toEqual({ jobs: 50 + 2, oldest: 31 })
})
