/**
 * What the database knows of the past of single wallets: how it was found, who works on it, and what is taken back.
 */

import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import type { Address } from '../../src/core/types.ts'
import { inTransaction } from '../../src/store/connection.ts'
import { addCoverage, addWalletCoverage } from '../../src/store/coverage.ts'
import { insertInternal } from '../../src/store/internal-value.ts'
import { createStore } from '../../src/store/store.ts'
import { createDatabase, type TestDatabase } from '../support/database.ts'
import { accountOf } from '../support/small-chain.ts'

const CHAIN = 7
const BOUNDS = { from: 0, to: 1_000 }

let database: TestDatabase
let store: ReturnType<typeof createStore>

beforeAll(async () => {
  database = await createDatabase()
  store = createStore(database.url)
})

beforeEach(async () => {
  await database.sql`
    truncate indexer.coverage, indexer.wallet_coverage, indexer.onboarding, indexer.wallets, indexer.watchlist, indexer.internal_value`
})

afterAll(async () => {
  await store.close()
  await database.drop()
})

const cover = (from: number, to: number, proof: 'basic' | 'full' = 'basic') =>
  inTransaction(store.sql, tx => addCoverage(tx, CHAIN, { from, to }, proof))
const fill = (wallets: readonly Address[], from: number, to: number, proof: 'filtered' | 'witnessed' | 'basic') =>
  inTransaction(store.sql, tx => addWalletCoverage(tx, CHAIN, wallets, { from, to }, proof))
const link = async (...wallets: readonly Address[]) => {
  for (const wallet of wallets) await store.addToWatchlist(wallet, null)
  await store.syncWallets()
}
const known = (wallet: Address) => store.walletCompleteness(CHAIN, wallet)
const claim = async (holder: string, limit = 10, bounds = BOUNDS) =>
  (await store.claimWallets({ chainId: CHAIN, holder }, bounds, limit)).map(({ address }) => address)

const A = accountOf(0xa)
const B = accountOf(0xb)

test('blocks of the set are as well known as they were taken, and next to each other stay apart', async () => {
  await cover(0, 99)
  await cover(100, 100, 'full')
  await cover(101, 120, 'full')
  await link(A)
  await cover(121, 130, 'full')
  expect(await store.coverage(CHAIN)).toEqual([{ from: 0, to: 130 }])
  expect(await known(A)).toEqual({
    complete: [{ from: 121, to: 130, proof: 'full' }],
    lacking: [{ from: 0, to: 120 }],
  })
  await fill([A], 0, 110, 'filtered')
  expect(await known(A)).toEqual({
    complete: [
      { from: 0, to: 110, proof: 'filtered' },
      { from: 121, to: 130, proof: 'full' },
    ],
    lacking: [{ from: 111, to: 120 }],
  })
})

test('what was read is not taken for less because it was found again by filters, but for more the other way round', async () => {
  await cover(0, 99)
  await link(A)
  await fill([A], 0, 50, 'basic')
  await fill([A], 40, 99, 'witnessed')
  await fill([A], 90, 95, 'basic')
  expect((await known(A)).complete).toEqual([
    { from: 0, to: 50, proof: 'basic' },
    { from: 51, to: 89, proof: 'witnessed' },
    { from: 90, to: 95, proof: 'basic' },
    { from: 96, to: 99, proof: 'witnessed' },
  ])
})

test('many wallets get a range as each of them alone would', async () => {
  await cover(0, 999)
  const many = Array.from({ length: 2_000 }, (_, index) => accountOf(0x1000 + index))
  await database.sql`insert into indexer.watchlist (address) select unnest(${many as string[]}::text[])`
  await store.syncWallets()
  await fill(many.slice(0, 500), 200, 299, 'filtered')
  await fill(many, 100, 399, 'basic')
  for (const wallet of [many[0], many[499], many[500], many[1_999]])
    expect(await known(wallet ?? A)).toEqual({
      complete: [{ from: 100, to: 399, proof: 'basic' }],
      lacking: [
        { from: 0, to: 99 },
        { from: 400, to: 999 },
      ],
    })
  const [rows] = await database.sql`select count(*)::int as count from indexer.wallet_coverage where covered`
  expect(rows?.['count']).toBe(2_000)
})

test('what filters found is taken back whole, and what was read stays', async () => {
  await cover(0, 99)
  await link(A, B)
  await fill([A, B], 0, 20, 'filtered')
  await fill([A], 30, 40, 'witnessed')
  await fill([A], 50, 60, 'basic')
  await store.retractFiltered(CHAIN, A)
  expect(await known(A)).toEqual({
    complete: [{ from: 50, to: 60, proof: 'basic' }],
    lacking: [
      { from: 0, to: 49 },
      { from: 61, to: 99 },
    ],
  })
  expect((await known(B)).complete).toEqual([{ from: 0, to: 20, proof: 'filtered' }])
})

test('who was linked last is taken first, and nobody who is tracked no more', async () => {
  await cover(0, 500)
  await link(A)
  await link(B)
  const gone = accountOf(0xc)
  await link(gone)
  await store.removeFromWatchlist(gone)
  await store.syncWallets()
  expect(await claim('one', 1)).toEqual([B])
  expect(await claim('one', 5)).toEqual([A])
  expect(await claim('two')).toEqual([])
})

test('a claim is given back, runs out, and is over when the clock was set back from its time', async () => {
  await cover(0, 500)
  await link(A)
  const one = { chainId: CHAIN, holder: 'one' }
  expect(await claim('one')).toEqual([A])
  expect(await store.renewWalletClaims(one)).toBe(1)
  await store.releaseWalletClaims(one)
  expect(await claim('two')).toEqual([A])
  await database.sql`update indexer.onboarding set claimed_until = clock_timestamp() - interval '1 second'`
  expect(await claim('three')).toEqual([A])
  await database.sql`update indexer.onboarding set claimed_until = clock_timestamp() + interval '1 day'`
  expect(await claim('four')).toEqual([A])
  expect(await store.renewWalletClaims({ chainId: CHAIN, holder: 'three' })).toBe(0)
})

test('what is not final is left until it is, unless most of it is', async () => {
  await cover(0, 500)
  await link(A)
  await cover(501, 520)
  await link(B)
  expect(await claim('one', 10, { from: 0, to: 30 })).toEqual([])
  const claims = await store.claimWallets({ chainId: CHAIN, holder: 'one' }, { from: 100, to: 510 }, 10)
  expect(new Map(claims.map(({ address, lacking }) => [address, lacking]))).toEqual(
    new Map([
      [A, [{ from: 100, to: 500 }]],
      [B, [{ from: 100, to: 510 }]],
    ]),
  )
})

test('a wallet that failed rests, its way is remembered, and of one that lacks nothing nothing stays', async () => {
  await cover(0, 99)
  await link(A, B)
  const one = { chainId: CHAIN, holder: 'one' }
  await store.claimWallets(one, BOUNDS, 10)
  await store.noteWay(one, [A], 'whole', 'contract')
  await store.noteOutcome(one, [A], 'no answer')
  await fill([B], 0, 99, 'basic')
  await store.noteOutcome(one, [B], null)
  await store.releaseWalletClaims(one)
  expect(await store.walletWork(CHAIN, B)).toBeNull()
  expect(await store.walletWork(CHAIN, A)).toMatchObject({
    isClaimed: false,
    way: 'whole',
    reason: 'contract',
    failures: 1,
    lastError: 'no answer',
  })
  expect(await store.countOnboarding(CHAIN)).toEqual({ waiting: 1, working: 0, failing: 1 })
  expect(await claim('two')).toEqual([])
  await database.sql`update indexer.onboarding set rests_until = clock_timestamp()`
  expect(await store.claimWallets({ chainId: CHAIN, holder: 'two' }, BOUNDS, 10)).toMatchObject([
    { address: A, way: 'whole', failures: 1 },
  ])
})

test('value from inside transactions is kept once for each block, the newest told first', async () => {
  const value = (blockNumber: number, amount: bigint) => ({ wallet: A, blockNumber, amount, transactionHash: null })
  const insert = (...values: readonly ReturnType<typeof value>[]) =>
    inTransaction(store.sql, tx => insertInternal(tx, CHAIN, values))
  await insert(value(5, 2n ** 255n), value(9, -3n))
  await insert(value(9, -4n))
  expect(await store.internalValue(CHAIN, A, 10)).toEqual([value(9, -4n), value(5, 2n ** 255n)])
  expect(await store.internalValue(CHAIN, B, 10)).toEqual([])
})
