/**
 * Backfill: history, in pieces that are each complete in one transaction.
 *
 * Only final blocks are taken this way, so it is safe beside a daemon: neither its checkpoint nor its window is touched. What is
 * complete already (coverage) is left out, so the same command, run again after a crash, does only what is missing.
 */

import { settledHeight } from '../core/lifecycle.ts'
import { finalityAfter } from '../core/plan.ts'
import { intersectRanges, mergeRanges, type Range, type Ranges, splitRanges, subtractRanges } from '../core/range.ts'
import type { Address } from '../core/types.ts'
import type { ChainContext } from './context.ts'
import { type Taken, takePieces } from './pieces.ts'

/** Blocks of one piece: one transaction, and what a crash may cost. */
const PIECE_BLOCKS = 200

export type BackfillInput = {
  readonly range: Range
  /** Only these wallets; null: the whole tracked set. */
  readonly wallets: readonly Address[] | null
}

export type BackfillPlan = {
  /** What is missing and final, lowest first. */
  readonly missing: Ranges
  readonly finalizedNumber: number
  /** The highest block that is deep enough for a status. */
  readonly settledHeight: number
}

/** What there is to do. @throws AppError if the node can't be asked */
export async function planBackfill(
  context: ChainContext,
  { range, wallets }: BackfillInput,
  signal: AbortSignal,
): Promise<BackfillPlan> {
  const { chain, source, store } = context
  const head = await source.head(signal)
  const checkpoint = await store.checkpoint(chain.id)
  const finalizedNumber = Math.min(
    head.number,
    finalityAfter({
      topNumber: head.number,
      finalizedTag: (await source.tag('finalized', null, signal))?.header.number ?? null,
      confirmations: chain.confirmations,
      previous: checkpoint?.finalizedNumber ?? -1,
    }),
  )
  const wanted = mergeRanges([{ from: range.from, to: Math.min(range.to, finalizedNumber) }])
  return {
    missing: subtractRanges(wanted, await complete(context, wallets)),
    finalizedNumber,
    settledHeight: settledHeight({
      confirmations: chain.confirmations,
      checkpointNumber: head.number,
      tagNumber: null,
      finalizedNumber,
    }),
  }
}

/** The blocks that are complete for everything that is asked for. */
async function complete({ chain, store }: ChainContext, wallets: readonly Address[] | null): Promise<Ranges> {
  if (wallets === null) return store.coverage(chain.id)
  const each = await Promise.all(wallets.map(wallet => store.walletCoverage(chain.id, wallet)))
  return each.reduce((all, own) => intersectRanges(all, own))
}

/**
 * Takes the missing blocks, in order.
 *
 * @param onPiece told after each commit, with the number of blocks that are done
 */
export async function backfill(
  context: ChainContext,
  wallets: BackfillInput['wallets'],
  plan: BackfillPlan,
  onPiece: (blocksDone: number) => Promise<void>,
  signal: AbortSignal,
): Promise<Taken> {
  const pieces = splitRanges(plan.missing, PIECE_BLOCKS).values()
  let done = 0
  return takePieces(
    context,
    {
      wallets,
      settledHeight: plan.settledHeight,
      next: async () => pieces.next().value ?? null,
      async onPiece({ from, to }) {
        done += to - from + 1
        await onPiece(done)
      },
    },
    signal,
  )
}
