/**
 * Coverage against sets of whole numbers: whatever is added and cut, in whatever order and by however many at once, it says exactly
 * which blocks are complete, in as few rows as possible.
 */

import * as fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Ranges } from '../../src/core/range.ts'
import type { Address } from '../../src/core/types.ts'
import { inTransaction } from '../../src/store/connection.ts'
import { addCoverage, addWalletCoverage, cutCoverage } from '../../src/store/coverage.ts'
import { createStore } from '../../src/store/store.ts'
import { createDatabase, type TestDatabase } from '../support/database.ts'

const SEED = Number(process.env['SEED'] ?? 20_250_802)
const RUNS = Number(process.env['RUNS'] ?? 25)
const HIGHEST = 30

let database: TestDatabase
let store: ReturnType<typeof createStore>
let chainId = 0

beforeAll(async () => {
  database = await createDatabase()
  store = createStore(database.url)
})

afterAll(async () => {
  await store.close()
  await database.drop()
})

const numbersOf = (ranges: Ranges) =>
  ranges.flatMap(({ from, to }) => Array.from({ length: to - from + 1 }, (_, index) => from + index))

const sorted = (numbers: Iterable<number>) => [...numbers].toSorted((a, b) => a - b)

/** Sorted, apart from each other, and not empty. */
function expectTidy(ranges: Ranges): void {
  for (const [index, { from, to }] of ranges.entries()) {
    expect(from).toBeLessThanOrEqual(to)
    const previous = ranges[index - 1]
    if (previous !== undefined) expect(from).toBeGreaterThan(previous.to + 1)
  }
}

const range = fc
  .tuple(fc.integer({ min: 0, max: HIGHEST }), fc.integer({ min: 0, max: 8 }))
  .map(([from, length]) => ({ from, to: Math.min(from + length, HIGHEST) }))

const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('add' as const), range }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('next' as const), length: fc.integer({ min: 1, max: 3 }) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('wallet' as const), range, wallet: fc.nat({ max: 1 }) }) },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('cut' as const), above: fc.integer({ min: -1, max: HIGHEST }) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('link' as const), wallet: fc.nat({ max: 1 }) }) },
)

type Model = { set: Set<number>; readonly wallets: { own: Set<number>; lacking: Set<number>; isLinked: boolean }[] }

/** The same in whole numbers. */
function act(model: Model, numbers: readonly number[], wallet: number | null): void {
  if (wallet === null) for (const number of numbers) model.set.add(number)
  else {
    for (const number of numbers) {
      model.wallets[wallet]?.own.add(number)
      model.wallets[wallet]?.lacking.delete(number)
    }
  }
}

function cut(model: Model, above: number): void {
  const kept = (numbers: Set<number>) => new Set([...numbers].filter(number => number <= above))
  model.set = kept(model.set)
  for (const wallet of model.wallets) {
    wallet.own = kept(wallet.own)
    wallet.lacking = kept(wallet.lacking)
  }
}

test(`is what a set of numbers says, for the tracked set and for single wallets (seed ${SEED})`, async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 12 }), async steps => {
      chainId += 1
      const own = chainId
      const addresses = [1, 2].map((index): Address => `0x${(own * 10 + index).toString(16).padStart(40, 'a')}`)
      const model: Model = {
        set: new Set(),
        wallets: addresses.map(() => ({ own: new Set(), lacking: new Set(), isLinked: false })),
      }
      const add = async (target: { from: number; to: number }) => {
        await inTransaction(store.sql, tx => addCoverage(tx, own, target))
        act(model, numbersOf([target]), null)
      }
      for (const each of steps) {
        if (each.kind === 'add') await add(each.range)
        else if (each.kind === 'next') {
          const from = Math.max(-1, ...model.set) + 1
          await add({ from, to: from + each.length - 1 })
        } else if (each.kind === 'wallet') {
          const address = addresses[each.wallet]
          await inTransaction(store.sql, tx =>
            addWalletCoverage(tx, own, address === undefined ? [] : [address], each.range),
          )
          act(model, numbersOf([each.range]), each.wallet)
        } else if (each.kind === 'cut') {
          await inTransaction(store.sql, tx => cutCoverage(tx, own, each.above))
          cut(model, each.above)
        } else {
          const wallet = model.wallets[each.wallet]
          const address = addresses[each.wallet]
          if (wallet === undefined || address === undefined || wallet.isLinked) continue
          wallet.isLinked = true
          await store.addToWatchlist(address, null)
          await store.syncWallets()
          wallet.lacking = new Set(model.set)
        }
      }
      const covered = await store.coverage(own)
      expectTidy(covered)
      expect(numbersOf(covered)).toEqual(sorted(model.set))
      const [stored] = await database.sql`select count(*)::int as count from indexer.coverage where chain_id = ${own}`
      expect(stored?.['count']).toBe(covered.length)
      for (const [index, address] of addresses.entries()) {
        const wallet = model.wallets[index]
        const expected = new Set(wallet?.own)
        for (const number of model.set) if (!wallet?.lacking.has(number)) expected.add(number)
        expect(numbersOf(await store.walletCoverage(own, address))).toEqual(sorted(expected))
      }
    }),
    { seed: SEED, numRuns: RUNS },
  )
})

test('pieces that are added by several connections at once are all there, as one', async () => {
  chainId += 1
  const own = chainId
  const other = createStore(database.url)
  try {
    const pieces = Array.from({ length: 24 }, (_, index) => ({ from: index * 10, to: index * 10 + 9 }))
    // Neighbours at the same time: each joins with what the other has just written.
    await Promise.all(
      pieces.map((piece, index) =>
        inTransaction((index % 2 === 0 ? store : other).sql, tx => addCoverage(tx, own, piece)),
      ),
    )
    expect(await store.coverage(own)).toEqual([{ from: 0, to: 239 }])
    const address = `0x${'b'.repeat(40)}` as const
    await Promise.all(
      pieces.map((piece, index) =>
        inTransaction((index % 2 === 0 ? store : other).sql, tx =>
          addWalletCoverage(tx, own, [address], { from: 1000 + piece.from, to: 1000 + piece.to }),
        ),
      ),
    )
    expect(await store.walletCoverage(own, address)).toEqual([
      { from: 0, to: 239 },
      { from: 1000, to: 1239 },
    ])
  } finally {
    await other.close()
  }
})
