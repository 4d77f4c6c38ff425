/**
 * Rows that are missing below the checkpoint: the application's tables come from an older dump than the schema `indexer`.
 *
 * The database gives the suspicion, the chain the proof: a transaction is missing if its activities would be written today
 * and are not there. So a user who was deleted or unlinked raises no alarm, whatever went with them. The chain stands still while rows
 * are missing, because each further block would hide the gap; it goes on by itself as soon as they are there again.
 */

import { AppError } from '../errors.ts'
import type { StoredCheckpoint, Suspect } from '../store/store.ts'
import type { ChainContext } from './context.ts'
import { matchBlocks } from './match.ts'

/** Costs two look-ups in indexes, so it is made now and then besides. */
const CHECK_EVERY_MS = 60_000
/** Suspects that one check asks the chain about; the next one goes on. */
const MAX_ASKED = 20

export type MissingRows = {
  /** @throws AppError CHECKPOINT_AHEAD_OF_ROWS */
  refuse(checkpoint: StoredCheckpoint | null, signal: AbortSignal): Promise<void>
  /** Something went wrong: the database may be another one, so the next step looks again. */
  lookAgain(): void
}

export function watchMissingRows(context: ChainContext): MissingRows {
  const { chain, clock, store } = context
  /** Suspects that the chain has cleared, by hash. */
  const cleared = new Set<string>()
  let dueAt = Number.NEGATIVE_INFINITY
  /** The lowest block that lacks rows, once it was looked for. */
  let lowest: number | null = null

  return {
    async refuse(checkpoint, signal) {
      if (checkpoint === null || clock.monotonic() < dueAt) return
      const suspects = (await store.suspects(chain.id)).filter(suspect => !cleared.has(suspect.transactionHash))
      for (const suspect of suspects.slice(0, MAX_ASKED)) {
        if (await isMissing(context, suspect, signal)) {
          // Where the pass takes too long, the whole chain is told.
          lowest ??= await store.lowestSuspect(chain.id).catch(() => checkpoint.startBlock)
          throw aheadOfRows(context, checkpoint, suspect, lowest)
        }
        cleared.add(suspect.transactionHash)
      }
      lowest = null
      dueAt = clock.monotonic() + CHECK_EVERY_MS
    },
    lookAgain() {
      dueAt = Number.NEGATIVE_INFINITY
    },
  }
}

/** Whether the daemon would write, today, what is not there of a transaction. */
async function isMissing(context: ChainContext, suspect: Suspect, signal: AbortSignal): Promise<boolean> {
  const { chain, registry, source, store } = context
  const block = await source.block(suspect.blockNumber, signal)
  // Orphaned: the rewind that follows takes it out.
  if (block.hash !== suspect.blockHash) return false
  await registry.refresh('newest', signal)
  const { activities } = await matchBlocks(context, [block], { sought: new Set() }, signal)
  const own = activities.filter(({ transactionHash }) => transactionHash === suspect.transactionHash)
  // A wallet that was linked later was not expected to have rows here.
  for (const wallet of new Set(own.map(({ walletAddress }) => walletAddress))) {
    const coverage = await store.walletCoverage(chain.id, wallet)
    if (coverage.some(({ from, to }) => from <= block.number && block.number <= to)) return true
  }
  return false
}

function aheadOfRows(
  { chain }: ChainContext,
  checkpoint: StoredCheckpoint,
  { transactionHash, blockNumber }: Suspect,
  lowest: number | null,
): AppError {
  const from = Math.min(lowest ?? blockNumber, blockNumber)
  return new AppError(
    'CHECKPOINT_AHEAD_OF_ROWS',
    `Rows are missing below the checkpoint of chain ${chain.name}: its tables are older than the schema indexer beside them.`,
    {
      facts: { chain: chain.name, checkpoint: checkpoint.number, block: blockNumber, tx: transactionHash },
      hint:
        'Nothing more is written to it. If a part of the database was restored from an older dump, write what is missing with ' +
        `verify --chain ${chain.name} --from-block ${from} --to-block ${checkpoint.number} --repair; the chain then goes on by itself.`,
    },
  )
}
