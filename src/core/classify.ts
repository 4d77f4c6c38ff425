/**
 * The rows of one transaction → what `user_transactions` says of it: whose it is, and what happened to that user.
 *
 * It works on rows of `wallet_activity`, not on logs: so a transaction is classified in the same way when its block is indexed and
 * when it is derived again from the database, after a user was linked, unlinked or deleted.
 */

import type { Chain } from './chain.ts'
import type { ActivityRow, Address, Json, UserSummary } from './types.ts'

/** Below these, above those: the classes of event types, first wins. Rule activities stand between the first and the second. */
const CLASS_OF_TYPE: Readonly<Record<string, number>> = {
  TRANSACTION_REVERTED: 0,
  SWAP: 2,
  WRAP: 3,
  UNWRAP: 3,
  MINT: 4,
  BURN: 4,
  CONTRACT_DEPLOYMENT: 5,
  TRANSFER_OUT: 6,
  TRANSFER_IN: 6,
  APPROVAL: 7,
  USER_OPERATION: 8,
  DELEGATION: 9,
  CONTRACT_INTERACTION: 10,
}
const RULE_CLASS = 1
const INTERNAL_CLASS = 11

/** What classification needs of a row; anything that reads `wallet_activity` can give it. */
export type ClassifiedRow = Pick<
  ActivityRow,
  'walletAddress' | 'activityType' | 'logIndex' | 'amount' | 'rawAmount' | 'token' | 'tokenAddress' | 'metadata'
>

/** The owner of a tracked wallet: a user's id, or null for wallets of the watch-list and for strangers. */
export type OwnerOf = (wallet: Address) => string | null

/** One summary for each user who takes part in the transaction; the first is whose transaction it is. */
export function summarizeUsers(
  rows: readonly ClassifiedRow[],
  sender: Address,
  chain: Chain,
  ownerOf: OwnerOf,
): UserSummary[] {
  const byUser = new Map<string, ClassifiedRow[]>()
  for (const row of rows.toSorted(comparePositions)) {
    const user = ownerOf(row.walletAddress)
    if (user === null) continue
    const own = byUser.get(user)
    if (own === undefined) byUser.set(user, [row])
    else own.push(row)
  }
  const first = userOperationOwner(rows, ownerOf) ?? ownerOf(sender)
  return [...byUser]
    .toSorted(([a], [b]) => Number(b === first) - Number(a === first))
    .map(([userId, own]) => ({ userId, ...summarize(own, chain) }))
}

function userOperationOwner(rows: readonly ClassifiedRow[], ownerOf: OwnerOf): string | null {
  const operations = rows.filter(row => row.activityType === 'USER_OPERATION').toSorted(comparePositions)
  return operations.map(row => ownerOf(row.walletAddress)).find(owner => owner !== null) ?? null
}

function summarize(rows: readonly ClassifiedRow[], chain: Chain): Omit<UserSummary, 'userId'> {
  const ranked = rows
    .map(row => ({ row, rank: rankOf(row, chain) }))
    .toSorted(
      (a, b) =>
        a.rank.class - b.rank.class ||
        a.rank.order - b.rank.order ||
        comparePositions(a.row, b.row) ||
        a.rank.item - b.rank.item,
    )
  const best = ranked[0]
  if (best === undefined) throw new RangeError('a transaction without activities has no summary')
  const { amount, rawAmount, token, tokenAddress } = best.row
  return { eventType: best.rank.eventType, amount, rawAmount, token, tokenAddress }
}

type Rank = {
  readonly class: number
  readonly order: number
  /** Place of the activity within its rule; 0 otherwise. */
  readonly item: number
  readonly eventType: string
}

function rankOf(row: ClassifiedRow, chain: Chain): Rank {
  const { activityType, metadata } = row
  const isTransfer = activityType === 'TRANSFER_IN' || activityType === 'TRANSFER_OUT'
  const rule = findRuleOfRow(row, chain)
  if (rule !== null) return { class: RULE_CLASS, ...rule }
  if (isTransfer && metadata['internal'] === true)
    return { class: INTERNAL_CLASS, order: 0, item: 0, eventType: 'TRANSFER' }
  return {
    class: CLASS_OF_TYPE[activityType] ?? RULE_CLASS,
    order: Number.MAX_SAFE_INTEGER,
    item: 0,
    eventType: isTransfer ? 'TRANSFER' : activityType,
  }
}

/** The rule that made a row, found again by the names that it left in the metadata. */
function findRuleOfRow(row: ClassifiedRow, chain: Chain): Omit<Rank, 'class'> | null {
  const { contract, event } = row.metadata
  if (typeof contract !== 'string' || typeof event !== 'string') return null
  for (const rules of chain.rules.values()) {
    for (const rule of rules.values()) {
      if (rule.contractName !== contract || rule.abi.name !== event) continue
      const item = rule.activities.findIndex(({ type }) => type === row.activityType)
      const activity = rule.activities[item]
      if (activity !== undefined) return { order: rule.order, item, eventType: activity.eventType }
    }
  }
  return { order: Number.MAX_SAFE_INTEGER, item: 0, eventType: row.activityType }
}

/** The transaction itself first, then by log and item, OUT before IN. */
function comparePositions(a: ClassifiedRow, b: ClassifiedRow): number {
  return (
    (a.logIndex ?? -1) - (b.logIndex ?? -1) ||
    itemOf(a.metadata) - itemOf(b.metadata) ||
    Number(a.activityType === 'TRANSFER_IN') - Number(b.activityType === 'TRANSFER_IN') ||
    (a.walletAddress < b.walletAddress ? -1 : a.walletAddress > b.walletAddress ? 1 : 0)
  )
}

function itemOf(metadata: Readonly<Record<string, Json>>): number {
  const item = metadata['batch_index'] ?? metadata['authorization_index']
  return typeof item === 'number' ? item : 0
}
