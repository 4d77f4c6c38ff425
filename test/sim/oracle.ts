/**
 * What the database must hold at the end, from the chains alone, and every way in which it does not.
 *
 * Rows of chains are derived by `src/verify/`, which shares nothing with the indexing path. Where a wallet's history is said to be
 * complete, its rows must be exactly those; where it is not, what is there must be right all the same.
 */
import type postgres from 'postgres'
import { mergeRanges, type Ranges } from '../../src/core/range.ts'
import type { Address } from '../../src/core/types.ts'
import { loadWalletCoverage } from '../../src/store/coverage.ts'
import { deriveRows } from '../../src/verify/derive.ts'
import { readActivities, readRows } from '../../src/verify/read.ts'
import { canonical, type ExpectedActivity, type ExpectedTransaction, type Rows } from '../../src/verify/rows.ts'
import type { SimChain, Stage } from './stage.ts'

/** Who has which wallet now: the older account where two have the same. */
export type Owners = ReadonlyMap<string, string | null>

export type Truth = {
  readonly head: number
  readonly headHash: string
  readonly rows: Rows
  /** Blocks that are complete, by wallet. */
  readonly complete: ReadonlyMap<string, Ranges>
}

/** The wallets that ever had an owner or were watched, with their owners of now. */
export async function readOwners({ query, application, chains }: Stage): Promise<Owners> {
  const owners = new Map<string, string | null>()
  for (const address of application.ownersEver.keys()) owners.set(address, null)
  for (const { address } of chains[0]?.traffic.watched ?? []) owners.set(address, null)
  const users = await query(
    sql => sql<{ id: string; address: string }[]>`
      select id, lower(wallet_address) as address from users order by created_at desc, id desc`,
  )
  for (const { id, address } of users) owners.set(address, id)
  return owners
}

/** The wallets that are tracked now. */
async function readTracked({ query }: Stage): Promise<Set<string>> {
  const rows = await query(
    sql => sql<{ address: string }[]>`
      select lower(wallet_address) as address from users union select address from indexer.watchlist`,
  )
  return new Set(rows.map(row => row.address))
}

export async function deriveTruth(stage: Stage, { chain, anvil }: SimChain, owners: Owners): Promise<Truth> {
  const header = (await anvil.rpc('eth_getBlockByNumber', ['latest', false])) as { number: string; hash: string }
  const head = Number(header.number)
  const urls = [anvil.url]
  const rows = await deriveRows({ urls, chain, fromBlock: 0, toBlock: head, owners, headNumber: head })
  const tracked = await readTracked(stage)
  const complete = new Map<string, Ranges>()
  for (const address of owners.keys()) {
    // What is tracked no more has a history that ended somewhere.
    const ranges = tracked.has(address)
      ? await stage.query(sql => loadWalletCoverage(sql, chain.id, address as Address))
      : []
    complete.set(address, ranges)
  }
  return { head, headHash: header.hash, rows, complete }
}

function isComplete({ complete }: Truth, wallet: string, block: number): boolean {
  return (complete.get(wallet) ?? []).some(({ from, to }) => from <= block && block <= to)
}

/** Everything that differs on one chain, a line each. */
export async function compareChain(stage: Stage, { chain }: SimChain, owners: Owners, truth: Truth): Promise<string[]> {
  const { query, application } = stage
  const range = { from: 0, to: Number.MAX_SAFE_INTEGER }
  const scope = { chainId: chain.id, range, wallets: [...owners.keys()] }
  const found = await query(sql => readActivities(sql, scope))
  const all = await query(sql => readRows(sql, chain))
  const name = (line: string) => `${chain.name}: ${line}`
  const coverage = await query(
    sql => sql<{ from_block: string; to_block: string }[]>`
      select from_block, to_block from indexer.coverage where chain_id = ${chain.id}`,
  )
  const covered = mergeRanges(coverage.map(row => ({ from: Number(row.from_block), to: Number(row.to_block) })))
  const isCovered = covered.some(({ from, to }) => from <= 0 && to >= truth.head)
  return [
    ...(isCovered ? [] : [`covered is ${JSON.stringify(covered)}, the chain has 0 to ${truth.head}`]),
    ...(all.activities.length === found.length ? [] : ['there are activities of wallets that nobody ever tracked']),
    ...compareActivities(truth, found, owners, application.ownersEver),
    ...compareTransactions(
      truth,
      all.transactions,
      new Set(application.rows.map(row => row.spelling)),
      owners,
      application.ownersEver,
    ),
  ].map(name)
}

function compareActivities(
  truth: Truth,
  found: readonly ExpectedActivity[],
  owners: Owners,
  ownersEver: ReadonlyMap<string, ReadonlySet<string>>,
): string[] {
  const differences: string[] = []
  const byId = new Map(found.map(row => [row.id, row]))
  for (const row of truth.rows.activities) {
    const other = byId.get(row.id)
    byId.delete(row.id)
    if (other === undefined) {
      if (isComplete(truth, row.wallet_address, row.block_number))
        differences.push(`missing activity ${canonical(row)}`)
      continue
    }
    const owner = owners.get(row.wallet_address) ?? null
    // Unlinking leaves old rows as they are: somebody who had the wallet then may still be named.
    const mayBe = ownersEver.get(row.wallet_address)?.has(other.user_id ?? '') === true
    const hasOwner = other.user_id === owner || (mayBe && other.user_id !== null)
    const text = differing({ ...row, user_id: null }, { ...other, user_id: null })
    if (text !== '') differences.push(`activity ${row.id}: ${text}`)
    if (!hasOwner) differences.push(`activity ${canonical(row)} is of ${other.user_id}, should be of ${owner}`)
  }
  for (const row of byId.values()) differences.push(`not on the chain: activity ${canonical(row)}`)
  return differences
}

/** The daemon's own rows; those of the application are looked at by themselves. */
function compareTransactions(
  truth: Truth,
  found: readonly ExpectedTransaction[],
  applicationSpellings: ReadonlySet<string>,
  owners: Owners,
  ownersEver: ReadonlyMap<string, ReadonlySet<string>>,
): string[] {
  const differences: string[] = []
  const wallets = Map.groupBy(truth.rows.activities, row => row.tx_hash)
  const own = new Map(found.filter(row => !applicationSpellings.has(row.tx_hash)).map(row => [row.tx_hash, row]))
  const hasOther = new Set([...applicationSpellings].map(hash => hash.toLowerCase()))
  for (const row of truth.rows.transactions) {
    const other = own.get(row.tx_hash)
    own.delete(row.tx_hash)
    const isWhole = (wallets.get(row.tx_hash) ?? []).every(
      activity =>
        (owners.get(activity.wallet_address) ?? null) === null ||
        isComplete(truth, activity.wallet_address, row.block_number ?? -1),
    )
    if (other === undefined) {
      if (isWhole && !hasOther.has(row.tx_hash)) differences.push(`missing transaction ${canonical(row)}`)
      continue
    }
    const text = isWhole ? differing(row, other) : differing(placeOf(row), placeOf(other))
    if (text !== '') differences.push(`transaction ${row.tx_hash}: ${text}`)
  }
  for (const row of own.values()) {
    const activities = wallets.get(row.tx_hash) ?? []
    // Unlinking leaves old rows as they are: of a user who has another wallet now, where nobody else takes part.
    const isLeft = activities.some(
      ({ wallet_address, block_number }) =>
        block_number === row.block_number && ownersEver.get(wallet_address)?.has(row.user_id ?? '') === true,
    )
    if (isLeft && row.status !== 'pending') continue
    // A reorg took it off the chain for good: then no block is shown.
    if (row.block_number !== null) differences.push(`not on the chain: transaction ${canonical(row)}`)
    else if (row.amount !== null || row.raw_amount !== null || row.token !== null)
      differences.push(`without a block but with an amount: transaction ${canonical(row)}`)
  }
  return differences
}

type Place = Pick<ExpectedTransaction, 'status' | 'block_number' | 'chain' | 'timestamp'>

function placeOf({ status, block_number, chain, timestamp }: ExpectedTransaction): Place {
  return { status, block_number, chain, timestamp }
}

/** The columns of `expected` that are otherwise in what was found. */
export function differing<T extends object>(expected: T, found: { readonly [K in keyof T]: unknown }): string {
  return Object.entries(expected)
    .map(([column, value]) => [column, canonical(value), canonical(found[column as keyof T])] as const)
    .filter(([, wanted, there]) => wanted !== there)
    .map(([column, wanted, there]) => `${column} is ${there}, should be ${wanted}`)
    .join('; ')
}

/** What no chain tells: the application's own activities, dangling users, evidence. */
export async function compareRest({ application, query }: Stage): Promise<string[]> {
  const differences: string[] = []
  const ids = [...application.activities.keys()]
  const rows = await query(
    sql => sql<{ id: string; row: string }[]>`
      select id, to_jsonb(wallet_activity)::text as row from wallet_activity where id = any(${ids}::uuid[])`,
  )
  const found = new Map(rows.map(({ id, row }) => [id, row]))
  for (const [id, row] of application.activities)
    if (found.get(id) !== row) differences.push(`the application's activity ${id} changed: ${row} is ${found.get(id)}`)
  const ask = async (what: string, work: (sql: postgres.Sql) => PromiseLike<object[]>) => {
    const wrong = await query(async sql => work(sql))
    if (wrong.length > 0) differences.push(`${what}: ${JSON.stringify(wrong.slice(0, 3))}`)
  }
  await ask(
    'rows whose newest transition says another status',
    sql => sql`
      select u.tx_hash, u.status, t.to_status, t.reason from user_transactions u
      join lateral (
        select to_status, reason from indexer.transitions where tx_hash = lower(u.tx_hash) order by id desc limit 1) t on true
      where u.status is distinct from t.to_status`,
  )
  await ask(
    'transactions in a block without evidence',
    sql => sql`
      select u.tx_hash, u.status from user_transactions u
      where u.block_number is not null and not exists (select 1 from indexer.transitions t where t.tx_hash = lower(u.tx_hash))`,
  )
  await ask(
    'rows of users that are gone',
    sql => sql`
      select 'wallet_activity' as table, user_id from wallet_activity where user_id is not null and user_id not in (select id from users)
      union all
      select 'user_transactions', user_id from user_transactions where user_id is not null and user_id not in (select id from users)
      union all
      select 'indexer.wallets', user_id from indexer.wallets where tracked and user_id is not null and user_id not in (select id from users)`,
  )
  return differences
}
