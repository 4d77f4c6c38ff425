/**
 * What is known of transactions in blocks → inclusions, and rows of `user_transactions`.
 */

import type { Chain } from '../core/chain.ts'
import { type OwnerOf, summarizeUsers } from '../core/classify.ts'
import type { Hash, TransactionFacts } from '../core/types.ts'
import { loadActivities } from './activities.ts'
import type { Tx } from './connection.ts'
import {
  insertInclusions,
  isDeep,
  loadInclusions,
  saysTheSame,
  type StoredInclusion,
  updateInclusions,
} from './inclusions.ts'
import { writeRows } from './transaction-rows.ts'

/** Writes what is known of transactions in blocks of one chain. @param settledHeight the highest block that is deep enough */
export async function writeTransactions(
  tx: Tx,
  chain: Chain,
  facts: readonly TransactionFacts[],
  settledHeight: number,
): Promise<void> {
  if (facts.length === 0) return
  const sorted = facts.toSorted((a, b) => (a.inclusion.transactionHash < b.inclusion.transactionHash ? -1 : 1))
  const hashes = sorted.map(({ inclusion }) => inclusion.transactionHash)
  // Inserted before anything is read: who writes the same one at the same moment is waited for, and seen then.
  const fresh = await insertInclusions(
    tx,
    sorted.map(fact => ({ ...fact.inclusion, settled: isDeep(fact.inclusion, settledHeight) })),
  )
  const known = await loadInclusions(tx, hashes)
  const before = ({ inclusion }: TransactionFacts): StoredInclusion | undefined =>
    fresh.has(inclusion.transactionHash)
      ? undefined
      : known.get(inclusion.transactionHash)?.find(({ chainId }) => chainId === chain.id)
  const settledOf = (fact: TransactionFacts): boolean => {
    const stays = before(fact)?.settled === true && before(fact)?.blockHash === fact.inclusion.blockHash
    return fact.inclusion.succeeded !== null && (stays || isDeep(fact.inclusion, settledHeight))
  }
  await updateInclusions(
    tx,
    sorted
      .map(fact => ({ stored: before(fact), now: { ...fact.inclusion, settled: settledOf(fact) } }))
      .filter(({ stored, now }) => !fresh.has(now.transactionHash) && !saysTheSame(stored, now))
      .map(({ now }) => now),
  )
  await writeRows(
    tx,
    chain,
    sorted.map(fact => {
      const others = known.get(fact.inclusion.transactionHash) ?? []
      return {
        facts: fact,
        settled: settledOf(fact),
        previousBlockHash: before(fact)?.blockHash ?? null,
        lowestChainId: Math.min(chain.id, ...others.map(({ chainId }) => chainId)),
      }
    }),
  )
}

/**
 * Derives rows again from the activities in the database: after their users changed, or the chain they showed lost them.
 * Transactions that stand on no chain, or on one that is not configured here, are left alone.
 */
export async function rederiveTransactions(
  tx: Tx,
  chains: ReadonlyMap<number, Chain>,
  hashes: readonly Hash[],
  ownerOf: OwnerOf,
): Promise<void> {
  const known = await loadInclusions(tx, hashes.toSorted())
  const lowest = [...known.values()].flatMap(inclusions =>
    inclusions.toSorted((a, b) => a.chainId - b.chainId).slice(0, 1),
  )
  for (const [chainId, inclusions] of Map.groupBy(lowest, inclusion => inclusion.chainId)) {
    const chain = chains.get(chainId)
    if (chain === undefined) continue
    const activities = await loadActivities(
      tx,
      chainId,
      inclusions.map(({ transactionHash }) => transactionHash),
    )
    await writeRows(
      tx,
      chain,
      inclusions.map(({ settled, ...inclusion }) => ({
        facts: {
          inclusion,
          summaries: summarizeUsers(activities.get(inclusion.transactionHash) ?? [], inclusion.sender, chain, ownerOf),
        },
        settled,
        previousBlockHash: inclusion.blockHash,
        lowestChainId: chainId,
      })),
    )
  }
}
