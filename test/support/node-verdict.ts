/**
 * What must be true of a daemon's rows on bad endpoints, at the end and all the time.
 */
import { expect } from 'vitest'
import { deriveRows } from '../../src/verify/derive.ts'
import { readRows } from '../../src/verify/read.ts'
import { diffRows } from '../../src/verify/rows.ts'
import type { Run } from './node-run.ts'
import type { Mined } from './node-world.ts'

/** What is promised of several endpoints as "no visible delay beyond a few seconds". */
const VISIBLE_WITHIN_MS = 5_000

/**
 * The rows are those that an independent derivation makes of the chain; none that was ever there was wrong; and no status was ever
 * decided otherwise than it is now.
 *
 * @param to the newest block that was to be indexed; absent: the head
 * @param takesBack blocks were orphaned, or seemed to be: rows may have been taken back, but nothing that was decided wrongly
 */
export async function expectRight(
  run: Run,
  { to, takesBack = false }: { readonly to?: number; readonly takesBack?: boolean } = {},
): Promise<void> {
  const { world, chain, database, owners, watch } = run
  const { number: headNumber } = await world.head()
  const expected = await deriveRows({
    urls: [world.anvil.url],
    chain,
    fromBlock: Number(chain.startBlock),
    toBlock: to ?? headNumber,
    owners,
    headNumber,
  })
  const actual = await readRows(database.sql, chain)
  expect(expected.activities.length).toBeGreaterThan(0)
  expect(diffRows(expected, actual)).toEqual([])

  const outcomes = new Map(expected.transactions.map(row => [row.tx_hash, row.status]))
  const statuses = await watch.statuses()
  const wrong = statuses.filter(({ tx_hash, status }) => status !== 'pending' && status !== outcomes.get(tx_hash))
  expect(wrong, 'a status was decided wrongly').toEqual([])
  const reasons = await reasonsOf(run)
  const allowed = new Set(['included', 'confirmed', 'reverted', ...(takesBack ? ['reorged', 'found'] : [])])
  expect(reasons.filter(({ reason }) => !allowed.has(reason))).toEqual([])
  if (takesBack) return
  const ids = new Set(expected.activities.map(({ id }) => id))
  expect(
    (await watch.activityIds()).filter(id => !ids.has(id)),
    'a row was wrong',
  ).toEqual([])
  expect(run.states().filter(({ reorgs }) => reorgs > 0)).toEqual([])
}

async function reasonsOf({ database }: Run): Promise<{ tx_hash: string; reason: string }[]> {
  return [
    ...(await database.sql<{ tx_hash: string; reason: string }[]>`select tx_hash, reason from indexer.transitions`),
  ]
}

/** Each block had a visible row within seconds of being there; those that are not visible yet are waited for as long. */
export async function expectSoonVisible({ watch }: Run, mined: readonly Mined[], when: string): Promise<void> {
  const late: string[] = []
  for (const { number, hash, at } of mined) {
    const leftMs = Math.max(at + VISIBLE_WITHIN_MS - performance.now(), 0)
    await watch.untilSeen(hash, AbortSignal.timeout(Math.ceil(leftMs))).catch(() => undefined)
    const seenAt = watch.seenAt(hash)
    if (seenAt === undefined) late.push(`block ${number} is not visible ${VISIBLE_WITHIN_MS} ms after it was mined`)
    else if (seenAt - at > VISIBLE_WITHIN_MS)
      late.push(`block ${number} was visible after ${Math.round(seenAt - at)} ms`)
  }
  expect(late, when).toEqual([])
}

/** No key of its endpoints is in anything that it said or wrote. */
export async function expectNoKeys(run: Run): Promise<void> {
  const { database, search, proxies } = run
  await run.look()
  const tables = await database.sql<{ schema: string; name: string }[]>`
    select table_schema as schema, table_name as name from information_schema.tables
    where table_schema in ('public', 'indexer') and table_type = 'BASE TABLE'`
  for (const { schema, name } of tables) {
    const rows = await database.sql<
      { text: string }[]
    >`select to_jsonb(t)::text as text from ${database.sql(schema)}.${database.sql(name)} t`
    search.addText(`${schema}.${name}`, rows.map(({ text }) => text).join('\n'))
  }
  search.expectNone(proxies.map(({ keys }) => keys))
}
