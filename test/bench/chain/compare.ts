/**
 * The database beside the rows that were expected of a range of blocks, row for row, a few hundred blocks at a time.
 */

import type postgres from 'postgres'
import { type ExpectedActivity, expectedRows, type ExpectedTransaction } from './expected-rows.ts'
import type { GeneratedChain } from './generated-chain.ts'

export type Comparison = {
  readonly activities: number
  readonly transactions: number
  /** Rows that are missing (`-`) or too many (`+`), in words; only the first of them. */
  readonly differences: readonly string[]
}

const BLOCKS_AT_ONCE = 250
const MAX_DIFFERENCES = 6
/** Stands for null. */
const NOTHING = '–'

/** @param depth blocks up to this height are deep enough for a status */
export async function compareRows(
  sql: postgres.Sql,
  chain: GeneratedChain,
  range: { readonly from: number; readonly to: number },
  depth: number,
): Promise<Comparison> {
  const differences: string[] = []
  let activities = 0
  let transactions = 0
  for (let from = range.from; from <= range.to; from += BLOCKS_AT_ONCE) {
    const to = Math.min(from + BLOCKS_AT_ONCE - 1, range.to)
    const expected = Array.from({ length: to - from + 1 }, (_, index) => expectedRows(chain, from + index))
    const wantedActivities = expected.flatMap(rows => rows.activities.map(describeActivity))
    const wantedTransactions = expected.flatMap(rows => rows.transactions.map(row => describeTransaction(row, depth)))
    activities += wantedActivities.length
    transactions += wantedTransactions.length
    differences.push(
      ...differ(await readActivities(sql, chain.spec.chainId, from, to), wantedActivities),
      ...differ(await readTransactions(sql, chain.spec.chainId, from, to), wantedTransactions),
    )
  }
  return { activities, transactions, differences: differences.slice(0, MAX_DIFFERENCES) }
}

function differ(found: readonly string[], wanted: readonly string[]): string[] {
  const counts = new Map<string, number>()
  for (const text of wanted) counts.set(text, (counts.get(text) ?? 0) + 1)
  for (const text of found) counts.set(text, (counts.get(text) ?? 0) - 1)
  return [...counts].flatMap(([text, left]) => (left === 0 ? [] : [`${left > 0 ? '-' : '+'} ${text}`]))
}

function describeActivity(row: ExpectedActivity): string {
  const { counterparty = null, to = null, selector = null } = row.metadata
  return words([
    row.blockNumber,
    row.blockHash,
    row.timestamp,
    row.transactionHash,
    row.logIndex,
    row.wallet,
    row.type,
    row.amount,
    row.rawAmount,
    row.token,
    row.tokenAddress,
    counterparty,
    to,
    selector,
    'a user',
  ])
}

function describeTransaction(row: ExpectedTransaction, depth: number): string {
  const status = row.blockNumber > depth ? 'pending' : row.succeeded ? 'confirmed' : 'failed'
  return words([row.blockNumber, row.transactionHash, row.wallet, row.eventType, row.amount, row.token, status])
}

function words(parts: readonly (string | number | bigint | null)[]): string {
  return parts.map(part => (part === null ? NOTHING : String(part))).join(' ')
}

type Text = { readonly text: string }

async function readActivities(sql: postgres.Sql, chainId: number, from: number, to: number): Promise<string[]> {
  const rows = await sql<Text[]>`
    select array_to_string(array[
      block_number::text, block_hash, extract(epoch from "timestamp")::bigint::text, tx_hash, log_index::text, wallet_address,
      activity_type, trim_scale(amount)::text, raw_amount::text, token, token_address,
      metadata->>'counterparty', metadata->>'to', metadata->>'selector',
      case when user_id = (select id from users u where u.wallet_address = a.wallet_address) then 'a user' end
    ], ' ', ${NOTHING}) as text
    from wallet_activity a where chain_id = ${chainId} and block_number between ${from} and ${to} and block_hash is not null`
  return rows.map(({ text }) => text)
}

async function readTransactions(sql: postgres.Sql, chainId: number, from: number, to: number): Promise<string[]> {
  const rows = await sql<Text[]>`
    select array_to_string(array[
      t.block_number::text, t.tx_hash, u.wallet_address, t.event_type, trim_scale(t.amount)::text, t.token, t.status
    ], ' ', ${NOTHING}) as text
    from indexer.inclusions i join user_transactions t on t.tx_hash = i.tx_hash left join users u on u.id = t.user_id
    where i.chain_id = ${chainId} and i.block_number between ${from} and ${to}`
  return rows.map(({ text }) => text)
}
