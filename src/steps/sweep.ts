/**
 * The sweep: rows that the application inserted, also for transactions that were mined long ago.
 *
 * Blocks that are still to come are watched by the follower, which is told of every hash that is sought. What is left are blocks
 * that it has passed: their transactions are located and taken up from there, on every chain, because the application's `chain` is
 * a claim. A node's "not found" decides nothing by itself; `unseen.ts` says what does.
 */

import type { Hash } from '../core/types.ts'
import { describeError } from '../errors.ts'
import type { Location } from '../source/source.ts'
import type { Store } from '../store/store.ts'
import type { ChainContext } from './context.ts'
import { matchBlocks } from './match.ts'
import { judgeUnseen } from './unseen.ts'

const MAX_SOUGHT_PER_SWEEP = 100
/** One hash is not asked for more often than this. */
const ASK_AGAIN_AFTER_MS = 3_000

export type SweepResult = {
  readonly enrolled: number
  readonly restored: number
  readonly found: number
  readonly replaced: number
  readonly dropped: number
  readonly unseen: number
}

/** @param scope `all` also compares rows that are not pending, and looks for what was lost: costs a pass over the tables */
export async function sweep(
  store: Store,
  contexts: readonly ChainContext[],
  scope: 'pending' | 'all',
  signal: AbortSignal,
): Promise<SweepResult> {
  if (scope === 'all') await store.queueOwnerless()
  const enrolled = await store.enrollApplicationRows(scope)
  const restored = await store.restoreRows(new Map(contexts.map(({ chain }) => [chain.id, chain])), scope)
  const unseen: Hash[] = []
  let found = 0
  for (const hash of await store.nextSought(MAX_SOUGHT_PER_SWEEP, ASK_AGAIN_AFTER_MS, scope)) {
    if (signal.aborted) break
    const seen = await Promise.all(contexts.map(context => seek(context, hash, signal)))
    if (seen.includes('taken')) found += 1
    else if (seen.every(each => each === 'nowhere')) unseen.push(hash)
  }
  const verdicts = { replaced: 0, dropped: 0, unseen: 0 }
  for (const each of await store.unseen(unseen)) {
    if (signal.aborted) break
    const verdict = await quietly(contexts[0], each.hash, () => judgeUnseen(contexts, each, signal), signal)
    if (verdict !== null) verdicts[verdict] += 1
  }
  return { enrolled, restored, found, ...verdicts }
}

type Seen =
  /** In a block that was committed before, and written. */
  | 'taken'
  /** In a mempool, or a block that is still to come: it is waited for. */
  | 'waiting'
  | 'nowhere'
  /** It could not be asked for. */
  | 'unknown'

async function seek(context: ChainContext, hash: Hash, signal: AbortSignal): Promise<Seen> {
  const seen = await quietly(
    context,
    hash,
    async () => {
      const place = await context.source.locate(hash, signal)
      if (place === null) return 'nowhere' as const
      if (place.kind === 'mined') return takeUp(context, hash, place, signal)
      await context.store.noteSender(hash, context.chain.id, place.sender, place.nonce)
      return 'waiting' as const
    },
    signal,
  )
  return seen ?? 'unknown'
}

async function takeUp(
  context: ChainContext,
  hash: Hash,
  place: Extract<Location, { kind: 'mined' }>,
  signal: AbortSignal,
): Promise<Seen> {
  const { chain, registry, source, store } = context
  const checkpoint = await store.checkpoint(chain.id)
  if (checkpoint === null || place.blockNumber > checkpoint.number) return 'waiting'
  const block = await source.block(place.blockNumber, signal)
  if (block.hash !== place.blockHash) return 'unknown'
  await registry.refresh('newest', signal)
  const registryVersion = registry.version
  const { activities, transactions } = await matchBlocks(context, [block], { sought: new Set([hash]) }, signal)
  const isWritten = await store.commitFound({
    chain,
    registryVersion,
    block,
    activities: activities.filter(row => row.transactionHash === hash),
    transactions: transactions.filter(({ inclusion }) => inclusion.transactionHash === hash),
  })
  return isWritten ? 'taken' : 'unknown'
}

/** One transaction that can't be asked for does not stop the others: it comes again with the next sweep. */
async function quietly<T>(
  context: ChainContext | undefined,
  hash: Hash,
  work: () => Promise<T>,
  signal: AbortSignal,
): Promise<T | null> {
  try {
    return await work()
  } catch (error) {
    if (!signal.aborted)
      context?.log.debug({ tx: hash, reason: describeError(error) }, 'A sought transaction could not be asked for')
    return null
  }
}
