/**
 * Following up to a block and no further: what `backfill` does with blocks above finality while no daemon holds the chain.
 *
 * They go the follower's way, with checkpoint and window, so that the next daemon begins where this ends and can take a reorg back.
 */

import { mergeRanges, subtractRanges } from '../core/range.ts'
import { backoffMs } from '../core/backoff.ts'
import { isRetryable } from '../errors.ts'
import { randomFloat } from '../runtime/random.ts'
import { sleep } from '../runtime/sleep.ts'
import type { Lease } from '../store/store.ts'
import { advance } from './advance.ts'
import type { ChainContext } from './context.ts'
import { createDispute } from './dispute.ts'
import { createFollower } from './follow.ts'

const RETRY = { baseMs: 200, maxMs: 5_000 }
const MAX_FAILURES_IN_A_ROW = 10
/** Endpoints that lag or contradict each other are asked again after this. */
const UNDECIDED_PAUSE_MS = 500

/**
 * Whether the follower may begin above finality: only where a daemon that starts later would lose nothing, because everything from
 * the chain's start to there is complete, or a checkpoint exists already.
 */
export async function mayCatchUp({ chain, store }: ChainContext, finalizedNumber: number): Promise<boolean> {
  if ((await store.checkpoint(chain.id)) !== null || chain.startBlock === 'latest') return true
  const needed = mergeRanges([{ from: chain.startBlock, to: finalizedNumber }])
  return subtractRanges(needed, await store.coverage(chain.id)).length === 0
}

/** Steps until the checkpoint has reached `toNumber`. @throws AppError after too many failures in a row */
export async function catchUp(
  context: ChainContext,
  lease: Lease,
  finalizedNumber: number,
  toNumber: number,
  onStep: (checkpointNumber: number) => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  const { chain, store } = context
  const follower = createFollower(context)
  let failures = 0
  while (!signal.aborted) {
    const checkpoint = await store.checkpoint(chain.id)
    if (checkpoint !== null && checkpoint.number >= toNumber) return
    try {
      if (checkpoint === null) await begin(context, lease, finalizedNumber, signal)
      else {
        const result = await follower.step(lease, signal)
        if (result.kind === 'idle') return
        if (result.kind === 'advanced') await onStep(result.to)
        else if (result.kind !== 'rewound') await sleep(UNDECIDED_PAUSE_MS, signal)
      }
      failures = 0
    } catch (error) {
      failures += 1
      if (signal.aborted || !isRetryable(error) || failures >= MAX_FAILURES_IN_A_ROW) throw error
      await sleep(backoffMs(failures, RETRY, randomFloat()), signal)
    }
  }
}

/** The first checkpoint: the block after the last final one. */
async function begin(context: ChainContext, lease: Lease, finalizedNumber: number, signal: AbortSignal): Promise<void> {
  const { chain, source, store } = context
  const head = await source.head(signal)
  const first = Math.max(finalizedNumber + 1, chain.startBlock === 'latest' ? 0 : chain.startBlock)
  await advance(
    context,
    {
      checkpoint: null,
      range: { from: first, to: first },
      head,
      startBlock: chain.startBlock === 'latest' ? first : chain.startBlock,
      tags: { finalized: await source.tag('finalized', null, signal), safe: null },
      lease,
      dispute: createDispute(context),
      sought: await store.sought(),
    },
    signal,
  )
}
