/**
 * One bounded step of a chain's follower: look at the head, plan, and advance, rewind or wait.
 *
 * The follower remembers nothing that it could not find out again: its place is in the database and is read at each step, so after
 * any error the next step begins from what really was committed.
 */

import { planStep } from '../core/plan.ts'
import type { Header } from '../core/types.ts'
import { AppError } from '../errors.ts'
import type { Lease, StoredCheckpoint } from '../store/store.ts'
import { type Advanced, advance, type Tags } from './advance.ts'
import type { ChainContext } from './context.ts'
import { createDispute } from './dispute.ts'
import { watchMissingRows } from './missing.ts'
import { type Rewound, rewind } from './rewind.ts'

/** Blocks of one step of catching up. */
const MAX_BLOCKS = 40
/** Blocks after which the tags are asked again, where statuses don't depend on them. */
const TAGS_EVERY_BLOCKS = 16
/** A head that stays below the checkpoint for this many block times is a chain that was rolled back, not a lagging node. */
const PATIENCE_BLOCK_TIMES = 3
const MIN_PATIENCE_MS = 2_000

export type StepOutcome =
  | Exclude<Advanced, { kind: 'parted' | 'outvoted' }>
  | Rewound
  | { readonly kind: 'idle' }
  /** The head is behind us: waiting for the node, or for certainty. */
  | { readonly kind: 'behind' }
  /** A block that does not fit, and endpoints that contradict it or each other. */
  | { readonly kind: 'unsure' }

export type StepResult = StepOutcome & { readonly head: Header; readonly checkpoint: StoredCheckpoint | null }

export type Follower = {
  /** @throws AppError; `REORG_BEYOND_FINALITY` and `CHECKPOINT_AHEAD_OF_ROWS`: the chain stands still until a person acts */
  step(lease: Lease, signal: AbortSignal): Promise<StepResult>
}

export function createFollower(context: ChainContext): Follower {
  const { chain, clock, source, store } = context
  const dispute = createDispute(context)
  const missing = watchMissingRows(context)
  let behindSince: number | null = null
  let tags: Tags = { finalized: null, safe: null }
  let tagsAskedAt: number | null = null

  const refreshTags = async (checkpoint: StoredCheckpoint | null, next: number, signal: AbortSignal) => {
    const dependsOnThem =
      typeof chain.confirmations !== 'number' || chain.tiers.some(({ confirmations }) => confirmations === 'finalized')
    if (tagsAskedAt !== null && !dependsOnThem && Math.abs(next - tagsAskedAt) < TAGS_EVERY_BLOCKS) return
    tags = {
      finalized: await source.tag('finalized', checkpoint?.number ?? null, signal),
      safe: chain.confirmations === 'safe' ? await source.tag('safe', checkpoint?.number ?? null, signal) : null,
    }
    tagsAskedAt = next
  }

  const isPatient = () => {
    behindSince ??= clock.monotonic()
    return (
      clock.monotonic() - behindSince < Math.max(PATIENCE_BLOCK_TIMES * chain.blockTimeSeconds * 1000, MIN_PATIENCE_MS)
    )
  }

  const follower: Follower = {
    async step(lease, signal) {
      const checkpoint = await store.checkpoint(chain.id)
      refuseHalted(context, checkpoint)
      await missing.refuse(checkpoint, signal)
      const head = await source.head(signal)
      const startBlock = checkpoint?.startBlock ?? (chain.startBlock === 'latest' ? head.number : chain.startBlock)
      const plan = planStep({
        checkpoint,
        head,
        ownHashAtHead:
          checkpoint !== null && head.number < checkpoint.number
            ? ((await store.headerAt(chain.id, head.number))?.hash ?? null)
            : null,
        startBlock,
        maxBlocks: MAX_BLOCKS,
      })
      const result = (outcome: StepOutcome): StepResult => ({ ...outcome, head, checkpoint })
      if (plan.kind !== 'behind') behindSince = null
      if (plan.kind === 'idle') return result(plan)
      if (plan.kind === 'advance') {
        await refreshTags(checkpoint, plan.to, signal)
        const input = { checkpoint, range: plan, head, startBlock, tags, lease, dispute }
        const advanced = await advance(context, input, signal)
        if (advanced.kind === 'advanced') return result(advanced)
        if (advanced.kind === 'outvoted') {
          // What was not committed yet is asked of the others in the next step.
          if (checkpoint === null || advanced.at > checkpoint.number) return result({ kind: 'unsure' })
          tagsAskedAt = null
          return result(await rewind(context, { checkpoint, head, lease }, signal))
        }
      }
      if (plan.kind === 'behind' && isPatient()) return result({ kind: 'behind' })
      behindSince = null
      if (checkpoint === null) return result({ kind: 'unsure' })
      // Nothing is taken back on one answer: every endpoint is heard on the block at our own height.
      if ((await dispute.judge(checkpoint, signal)) !== 'leave') return result({ kind: 'unsure' })
      tagsAskedAt = null
      return result(await rewind(context, { checkpoint, head, lease }, signal))
    },
  }
  return {
    async step(lease, signal) {
      try {
        return await follower.step(lease, signal)
      } catch (error) {
        missing.lookAgain()
        throw error
      }
    },
  }
}

function refuseHalted({ chain }: ChainContext, checkpoint: StoredCheckpoint | null): void {
  if (checkpoint === null || checkpoint.halt === null) return
  throw new AppError('REORG_BEYOND_FINALITY', checkpoint.halt.message, {
    facts: { chain: chain.name, checkpoint: checkpoint.number },
    hint: `Nothing was deleted. If the reorg is real, run with --accept-reorg ${chain.name}.`,
  })
}
