/**
 * Values that break naive code, through the real columns: amounts at their limits, metadata of both types, text of strangers, and
 * times where the server lives in another time zone.
 */

import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { exactAmount } from '../../src/core/amount.ts'
import { cleanText } from '../../src/core/text.ts'
import type { ActivityRow, Metadata } from '../../src/core/types.ts'
import { createStore } from '../../src/store/store.ts'
import { createDatabase, type TestDatabase } from '../support/database.ts'
import { testChain } from '../support/indexer.ts'
import { ALICE, addUser, buildBlock, type Followed, followByHand, hashOf } from '../support/rows.ts'

let database: TestDatabase
let store: ReturnType<typeof createStore>
let followed: Followed
const chain = testChain()

beforeEach(async () => {
  database = await createDatabase()
  await open()
})

afterEach(async () => {
  await store.close()
  await database.drop()
})

async function open(): Promise<void> {
  store = createStore(database.url)
  followed = await followByHand(store, chain)
}

/** One block whose only activity, and whose transaction's row, say what is given. */
async function commitWith(fields: Partial<Pick<ActivityRow, 'amount' | 'rawAmount' | 'metadata' | 'token'>>) {
  await addUser(database.sql, ALICE)
  const step = await followed.plan([buildBlock(0, [{ name: 'one' }])])
  const { metadata: _metadata, ...summary } = fields
  await store.commitAdvance({
    ...step,
    activities: step.activities.map(row => ({ ...row, ...fields })),
    transactions: step.transactions.map(fact => ({
      ...fact,
      summaries: fact.summaries.map(each => ({ ...each, ...summary })),
    })),
  })
}

describe('amounts', () => {
  const LARGEST = 10n ** 30n - 1n
  const MAX_UINT256 = 2n ** 256n - 1n

  const CASES = [
    ['the largest that numeric(30,18) holds', LARGEST, 18, '999999999999.999999999999999999'],
    ['one unit more', LARGEST + 1n, 18, null],
    ['a single unit', 1n, 18, '0.000000000000000001'],
    ['a single unit of a token with 19 decimals', 1n, 19, null],
    ['ten units of a token with 19 decimals', 10n, 19, '0.000000000000000001'],
    ['nothing', 0n, 18, '0'],
    ['the largest uint256', MAX_UINT256, 18, null],
    ['the largest uint256 with so many decimals that it is small', MAX_UINT256, 77, null],
    ['a million without decimals', 1_000_000n, 0, '1000000'],
    ['decimals that are not known', 5n, null, null],
  ] as const

  test('are exact or null, and raw ones always exact', async () => {
    await addUser(database.sql, ALICE)
    const step = await followed.plan(CASES.map(([name], number) => buildBlock(number, [{ name }])))
    const values = (number: number) => {
      const [, rawAmount = 0n, decimals = null] = CASES[number] ?? []
      return { rawAmount, amount: exactAmount(rawAmount, decimals) }
    }
    await store.commitAdvance({
      ...step,
      activities: step.activities.map(row => ({ ...row, ...values(row.blockNumber) })),
      transactions: step.transactions.map(fact => ({
        ...fact,
        summaries: fact.summaries.map(each => ({ ...each, ...values(fact.inclusion.blockNumber) })),
      })),
    })
    for (const table of ['wallet_activity', 'user_transactions']) {
      const rows = await database.sql`
        select trim_scale(amount)::text as amount, raw_amount::text from ${database.sql(table)} order by block_number`
      expect(rows.map((row, number) => [CASES[number]?.[0], row['raw_amount'], row['amount']])).toEqual(
        CASES.map(([name, raw, , amount]) => [name, raw.toString(), amount]),
      )
    }
  })
})

describe('metadata', () => {
  const AWKWARD: Metadata = {
    text: 'quote " backslash \\ newline \n tab \t percent % dollar $1 brace {} emoji 🦄 ünï',
    escaped: '\\u0000 in letters',
    nested: { list: [1, 'two', null, true, { deep: [] }], empty: {} },
    number: '115792089237316195423570985008687907853269984665640564039457584007913129639935',
    flag: false,
    nothing: null,
  }

  test.each(['jsonb', 'text'] as const)('are the same object in a column of type %s', async type => {
    if (type === 'text') await database.sql`alter table wallet_activity alter column metadata type text`
    await commitWith({ metadata: AWKWARD })
    const [row] = await database.sql`
      select metadata::jsonb as object, jsonb_typeof(metadata::jsonb) as kind, pg_typeof(metadata)::text as type,
        metadata::jsonb ->> 'number' as number from wallet_activity`
    expect(row).toEqual({ object: AWKWARD, kind: 'object', type, number: AWKWARD['number'] })
  })

  test.each(['jsonb', 'text'] as const)('of type %s are read for a transaction that is derived again', async type => {
    if (type === 'text') await database.sql`alter table wallet_activity alter column metadata type text`
    // An internal transfer counts only if nothing else exists: that is known from the metadata alone.
    const alice = await addUser(database.sql, ALICE)
    const step = await followed.plan([buildBlock(0, [{ name: 'one' }])])
    const [first] = step.activities
    if (first === undefined) throw new RangeError('the block has no activity')
    const rows = [
      { ...first, metadata: { internal: true } },
      {
        ...first,
        idName: `${first.idName} approval`,
        activityType: 'APPROVAL',
        logIndex: 4,
        amount: null,
        rawAmount: null,
      },
    ]
    await store.commitAdvance({ ...step, activities: rows })
    await store.rederive([hashOf('one')], new Map([[chain.id, chain]]))
    const [row] = await database.sql`select user_id, event_type, amount from user_transactions`
    expect(row).toEqual({ user_id: alice, event_type: 'APPROVAL', amount: null })
  })

  test.each(['jsonb', 'text'] as const)(
    'what is left of the text of strangers is taken by a column of type %s',
    async type => {
      if (type === 'text') await database.sql`alter table wallet_activity alter column metadata type text`
      const hostile = [
        'US\0DC',
        '\u0000',
        '\ud800 half',
        'half \udfff',
        '\u202e turned',
        'x'.repeat(20_000),
        '\u009b31m',
      ]
      const cleaned = hostile.map(text => cleanText(text, 64))
      await commitWith({ metadata: { cleaned }, token: cleaned[0] ?? null })
      const [row] = await database.sql`select metadata::jsonb -> 'cleaned' as cleaned, token from wallet_activity`
      expect(row).toEqual({ cleaned, token: 'USDC' })
      expect(cleaned.join('')).not.toMatch(/[\0\u202e\u009b]/)
    },
  )
})

describe('times', () => {
  // In the hour that New York had twice, and in one that it never had.
  const AMBIGUOUS = Date.UTC(2025, 10, 2, 5, 30) / 1000
  const SKIPPED = Date.UTC(2025, 2, 9, 2, 30) / 1000

  test.each(['America/New_York', 'Asia/Kolkata', 'Pacific/Kiritimati'])(
    'are UTC where the database lives in %s',
    async zone => {
      await store.close()
      await database.sql.unsafe(`alter database ${database.name} set timezone to '${zone}'`)
      await database.sql.unsafe(`alter role current_user in database ${database.name} set timezone to '${zone}'`)
      await open()
      await addUser(database.sql, ALICE)
      await followed.advance([
        buildBlock(0, [{ name: 'ambiguous' }], { timestamp: AMBIGUOUS }),
        buildBlock(1, [{ name: 'skipped' }], { timestamp: SKIPPED }),
      ])
      for (const table of ['wallet_activity', 'user_transactions']) {
        const rows = await database.sql`
          select timestamp::text as at, abs(extract(epoch from created_at - now() at time zone 'UTC')) < 600 as recent
          from ${database.sql(table)} order by timestamp desc`
        expect([...rows], table).toEqual([
          { at: '2025-11-02 05:30:00', recent: true },
          { at: '2025-03-09 02:30:00', recent: true },
        ])
      }
      expect((await store.checkpoint(chain.id))?.timestamp).toBe(SKIPPED)
    },
  )

  test('may be equal or go back from block to block', async () => {
    await addUser(database.sql, ALICE)
    const times = [1000, 1000, 999, 0]
    await followed.advance(times.map((timestamp, number) => buildBlock(number, [{ name: `${number}` }], { timestamp })))
    const rows = await database.sql`
      select extract(epoch from timestamp)::int as at from wallet_activity order by block_number`
    expect(rows.map(row => row['at'])).toEqual(times)
  })
})
