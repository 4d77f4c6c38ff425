/**
 * The fast way to write history: where nothing of a piece is known yet, its rows go in by COPY, without a look at each.
 *
 * Always holds: the rows are those that the careful way (`transactions.ts`) would write, because both ask the same function what a row
 * says. Tables and keys come in the same order, so that two writers can't wait for each other. What somebody else writes between the
 * look and the copy has a key in common with it: then the whole transaction is made again, the careful way. So is one that COPY is
 * not allowed for (row-level security), or whose values Postgres does not take: the careful way says why.
 */

import type { Chain } from '../core/chain.ts'
import type { Transition } from '../core/lifecycle.ts'
import { decideRow, type RowDecision } from '../core/transaction-row.ts'
import type { ActivityRow, Hash, Inclusion, TransactionFacts } from '../core/types.ts'
import { AppError } from '../errors.ts'
import { type Tx, wrapStoreError } from './connection.ts'
import { copyLine, copyRows } from './copy.ts'
import { activityId, transactionRowId } from './ids.ts'
import { isDeep, type StoredInclusion } from './inclusions.ts'

export type FreshRows = {
  readonly activities: readonly ActivityRow[]
  readonly transactions: readonly TransactionFacts[]
}

/** Unix seconds of the end of the year 9999: later times are written with more digits than COPY is given here. */
const MAX_TIME = 253_402_300_799

/**
 * Writes a piece of which nothing is known.
 *
 * @param settledHeight the highest block that is deep enough
 * @returns false: something of it is known, and nothing was written
 * @throws AppError DB_CONFLICT where it has to be written the careful way, in a new transaction
 */
export async function writeFresh(tx: Tx, chain: Chain, rows: FreshRows, settledHeight: number): Promise<boolean> {
  if (rows.activities.some(({ timestamp }) => timestamp > MAX_TIME)) return false
  const sorted = rows.transactions.toSorted((a, b) =>
    a.inclusion.transactionHash < b.inclusion.transactionHash ? -1 : 1,
  )
  const { isKnown, now } = await look(
    tx,
    sorted.map(({ inclusion }) => inclusion.transactionHash),
  )
  if (isKnown) return false
  try {
    await copyActivities(tx, rows.activities)
    await copyTransactions(tx, chain, sorted, settledHeight, now)
    return true
  } catch (error) {
    const wrapped = wrapStoreError(error)
    if (wrapped.code !== 'DB_REJECTED' && wrapped.code !== 'DB_SCHEMA') throw error
    throw new AppError('DB_CONFLICT', `Rows could not be copied: ${wrapped.message}`, { cause: error })
  }
}

/**
 * Whether anything is known of these transactions: an inclusion on any chain, an entry in the ledger, a row of the application's however it
 * spells the hash. And the time by the database's clock: asked for once, because a default that is asked for each row makes COPY
 * insert them one by one.
 */
async function look(tx: Tx, hashes: readonly Hash[]): Promise<{ readonly isKnown: boolean; readonly now: string }> {
  // One parameter that stands in three places. As a value and not as a subquery: else the planner passes over the indexes.
  const [seen] = await tx.unsafe<{ known: boolean; now: string }[]>(
    `select clock_timestamp()::text as now,
      exists (select 1 from indexer.inclusions where tx_hash = any($1::text[]))
      or exists (select 1 from indexer.transactions where tx_hash = any($1::text[]))
      or exists (select 1 from user_transactions where lower(tx_hash) = any($1::text[])) as known`,
    [hashes as Hash[]],
  )
  if (seen === undefined) throw new RangeError('a select without a from gives one row')
  return { isKnown: seen.known, now: seen.now }
}

async function copyActivities(tx: Tx, activities: readonly ActivityRow[]): Promise<void> {
  const sorted = activities.map(row => ({ id: activityId(row), row })).toSorted((a, b) => (a.id < b.id ? -1 : 1))
  const timeOf = createTimes()
  await copyRows(
    tx,
    `wallet_activity (id, wallet_address, user_id, activity_type, tx_hash, amount, raw_amount, token, token_address, chain_id,
      metadata, block_number, block_hash, log_index, "timestamp")`,
    sorted,
    ({ id, row }) =>
      copyLine(
        id,
        row.walletAddress,
        row.userId,
        row.activityType,
        row.transactionHash,
        row.amount,
        row.rawAmount,
        row.token,
        row.tokenAddress,
        row.chainId,
        JSON.stringify(row.metadata),
        row.blockNumber,
        row.blockHash,
        row.logIndex,
        timeOf(row.timestamp),
      ),
  )
}

async function copyTransactions(
  tx: Tx,
  chain: Chain,
  sorted: readonly TransactionFacts[],
  settledHeight: number,
  now: string,
): Promise<void> {
  const facts = sorted.map(fact => ({ fact, settled: isDeep(fact.inclusion, settledHeight) }))
  const decided = facts.flatMap(({ fact, settled }) => {
    const decision = decideRow({
      facts: fact,
      settled,
      previousBlockHash: null,
      lowestChainId: chain.id,
      existing: [],
      ledger: null,
      ownRowId: transactionRowId(fact.inclusion.transactionHash),
    })
    return decision === null ? [] : [{ ...decision, inclusion: fact.inclusion }]
  })
  await copyInclusions(
    tx,
    facts.map(({ fact, settled }) => ({ ...fact.inclusion, settled })),
  )
  await copyLedger(tx, decided)
  await copyUserTransactions(tx, chain, decided)
  await copyTransitions(
    tx,
    decided.flatMap(({ transitions, inclusion }) => transitions.map(transition => ({ transition, inclusion }))),
    now,
  )
}

async function copyInclusions(tx: Tx, inclusions: readonly StoredInclusion[]): Promise<void> {
  await copyRows(
    tx,
    `indexer.inclusions (tx_hash, chain_id, block_number, block_hash, transaction_index, block_timestamp, sender, nonce, succeeded,
      settled, needs)`,
    inclusions,
    row =>
      copyLine(
        row.transactionHash,
        row.chainId,
        row.blockNumber,
        row.blockHash,
        row.transactionIndex,
        row.timestamp,
        row.sender,
        row.nonce,
        row.succeeded,
        row.settled,
        row.needs,
      ),
  )
}

type Decided = RowDecision & { readonly inclusion: Inclusion }

async function copyLedger(tx: Tx, decided: readonly Decided[]): Promise<void> {
  await copyRows(
    tx,
    'indexer.transactions (tx_hash, row_id, application_hash, keeps_user, keeps_event_type, status, chain_id)',
    decided,
    ({ inclusion, ledger }) =>
      copyLine(
        inclusion.transactionHash,
        ledger.rowId,
        ledger.applicationHash,
        ledger.keepsUser,
        ledger.keepsEventType,
        ledger.status,
        ledger.chainId,
      ),
  )
}

async function copyUserTransactions(tx: Tx, chain: Chain, decided: readonly Decided[]): Promise<void> {
  const timeOf = createTimes()
  await copyRows(
    tx,
    `user_transactions (id, user_id, tx_hash, chain, event_type, token, token_address, amount, raw_amount, status, block_number,
      "timestamp")`,
    decided.flatMap(({ rows, inclusion, status }) => rows.map(row => ({ row, inclusion, status }))),
    ({ row, inclusion, status }) =>
      copyLine(
        row.id,
        row.userId,
        inclusion.transactionHash,
        chain.label,
        row.eventType,
        row.token,
        row.tokenAddress,
        row.amount,
        row.rawAmount,
        status,
        inclusion.blockNumber,
        timeOf(inclusion.timestamp),
      ),
  )
}

async function copyTransitions(
  tx: Tx,
  rows: readonly { readonly transition: Transition; readonly inclusion: Inclusion }[],
  now: string,
): Promise<void> {
  await copyRows(
    tx,
    'indexer.transitions (tx_hash, chain_id, from_status, to_status, reason, block_number, block_hash, at)',
    rows,
    ({ transition: { from, to, reason }, inclusion }) =>
      copyLine(
        inclusion.transactionHash,
        inclusion.chainId,
        from,
        to,
        reason,
        inclusion.blockNumber,
        inclusion.blockHash,
        now,
      ),
  )
}

/** Unix seconds as text of a time in UTC. Rows of one block have the same. */
function createTimes(): (seconds: number) => string {
  const known = new Map<number, string>()
  return seconds => {
    const text = known.get(seconds) ?? new Date(seconds * 1000).toISOString()
    known.set(seconds, text)
    return text
  }
}
