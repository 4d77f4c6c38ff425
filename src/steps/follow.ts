/**
 * One bounded step of a chain's follower: look for what is new, plan, and advance, rewind or wait.
 *
 * The follower remembers nothing that it could not find out again: its place is in the database and is read at each step, so after
 * any error the next step begins from what really was committed.
 */

import { planStep } from '../core/plan.ts'
import { isTagDue, noteTag, type TagRhythm, UNKNOWN_TAG } from '../core/tags.ts'
import type { Block, Hash, Header } from '../core/types.ts'
import { AppError } from '../errors.ts'
import type { Lease, StoredCheckpoint } from '../store/store.ts'
import { type Advanced, advance, type Tags } from './advance.ts'
import { interestIn } from './complete.ts'
import type { ChainContext } from './context.ts'
import { createDispute } from './dispute.ts'
import { watchMissingRows } from './missing.ts'
import { type Rewound, rewind } from './rewind.ts'
import { createTip } from './tip.ts'

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

export type StepResult = StepOutcome & {
  readonly head: Header
  readonly checkpoint: StoredCheckpoint | null
  /** Whether it is known that there is nothing above the head: it was asked for, and not only the next block. */
  readonly isNewest: boolean
}

export type Follower = {
  /**
   * @param told a head that was announced since the last step: a hint
   * @throws AppError; `REORG_BEYOND_FINALITY` and `CHECKPOINT_AHEAD_OF_ROWS`: the chain stands still until a person acts
   */
  step(lease: Lease, signal: AbortSignal, told?: Header | null): Promise<StepResult>
}

/** What one step works with. */
type Step = {
  readonly checkpoint: StoredCheckpoint | null
  readonly head: Header
  readonly lease: Lease
  readonly signal: AbortSignal
  /** The next block, where it was fetched already. */
  readonly next: Block | null
  /** Hashes that no chain had shown when the step began. */
  readonly sought: ReadonlySet<Hash>
}

export function createFollower(context: ChainContext): Follower {
  const { chain, store, source } = context
  const dispute = createDispute(context)
  const missing = watchMissingRows(context)
  const tags = createTags(context)
  const tip = createTip()
  const isPatient = createPatience(context)

  /** The next block where it may be asked for; else null, and the head. */
  const look = async (
    checkpoint: StoredCheckpoint | null,
    told: Header | null,
    sought: ReadonlySet<Hash>,
    signal: AbortSignal,
  ) => {
    if (checkpoint !== null && told !== null && told.number > checkpoint.number)
      return { head: told, next: null, asked: 'head' as const }
    const isSibling = told !== null && told.number === checkpoint?.number && told.hash !== checkpoint.hash
    if (checkpoint !== null && tip.head?.hash === checkpoint.hash && !isSibling) {
      const interest = interestIn(context, sought)
      const number = checkpoint.number + 1
      if (!tip.mayAskNext) return { ...(await source.newest(number, signal, interest)), asked: 'head' as const }
      const next = await source.next(number, tip.idleLooks, signal, interest)
      return { head: next ?? tip.head, next, asked: 'next' as const }
    }
    return { head: await source.head(signal), next: null, asked: 'head' as const }
  }

  const take = async (step: Step): Promise<StepOutcome> => {
    const { checkpoint, head, lease, signal, next, sought } = step
    const plan = planStep({
      checkpoint,
      head,
      ownHashAtHead:
        checkpoint !== null && head.number < checkpoint.number
          ? ((await store.headerAt(chain.id, head.number))?.hash ?? null)
          : null,
      startBlock: startBlockOf(context, step),
      maxBlocks: MAX_BLOCKS,
    })
    if (plan.kind === 'idle') return plan
    if (plan.kind === 'advance') {
      await tags.refresh(checkpoint, plan.to, signal)
      const advanced = await advance(
        context,
        {
          checkpoint,
          range: plan,
          head,
          startBlock: startBlockOf(context, step),
          tags: tags.known(),
          lease,
          dispute,
          sought,
          ...(next === null ? {} : { blocks: [next] }),
        },
        signal,
      )
      if (advanced.kind === 'advanced') return advanced
      if (advanced.kind === 'outvoted') {
        // What was not committed yet is asked of the others in the next step.
        if (checkpoint === null || advanced.at > checkpoint.number) return { kind: 'unsure' }
        return back(checkpoint, step)
      }
    }
    if (plan.kind === 'behind' && isPatient()) return { kind: 'behind' }
    isPatient.restart()
    if (checkpoint === null) return { kind: 'unsure' }
    // Nothing is taken back on one answer: every endpoint is heard on the block at our own height.
    if ((await dispute.judge(checkpoint, signal)) !== 'leave') return { kind: 'unsure' }
    return back(checkpoint, step)
  }

  const back = (checkpoint: StoredCheckpoint, { head, lease, signal }: Step): Promise<Rewound> => {
    tags.forget()
    return rewind(context, { checkpoint, head, lease }, signal)
  }

  const stepOnce = async (lease: Lease, signal: AbortSignal, told: Header | null): Promise<StepResult> => {
    const [checkpoint, sought] = await Promise.all([store.checkpoint(chain.id), store.sought()])
    refuseHalted(context, checkpoint)
    await missing.refuse(checkpoint, signal)
    const { head, next, asked } = await look(checkpoint, told, sought, signal)
    const outcome = await take({ checkpoint, head, lease, signal, next, sought })
    if (outcome.kind !== 'behind') isPatient.restart()
    const isAtHead = outcome.kind === 'idle' || (outcome.kind === 'advanced' && outcome.to === head.number)
    if (!isAtHead) tip.leave()
    else if (asked === 'head') tip.reached(head)
    else if (next !== null) tip.advanced(head)
    if (outcome.kind === 'idle') tip.looked()
    return { ...outcome, head, checkpoint, isNewest: asked === 'head' || next === null }
  }

  return {
    async step(lease, signal, told = null) {
      try {
        return await stepOnce(lease, signal, told)
      } catch (error) {
        missing.lookAgain()
        tip.leave()
        throw error
      }
    },
  }
}

function startBlockOf({ chain }: ChainContext, { checkpoint, head }: Step): number {
  return checkpoint?.startBlock ?? (chain.startBlock === 'latest' ? head.number : chain.startBlock)
}

/** A head below the checkpoint is waited for, for a while. */
function createPatience({ chain, clock }: ChainContext) {
  const patienceMs = Math.max(PATIENCE_BLOCK_TIMES * chain.blockTimeSeconds * 1000, MIN_PATIENCE_MS)
  let since: number | null = null
  const isPatient = () => {
    since ??= clock.monotonic()
    return clock.monotonic() - since < patienceMs
  }
  isPatient.restart = () => {
    since = null
  }
  return isPatient
}

/** The tags as they were when they last were worth a question. */
function createTags({ chain, source }: ChainContext) {
  const dependsOnThem =
    typeof chain.confirmations !== 'number' || chain.tiers.some(({ confirmations }) => confirmations === 'finalized')
  const atLeast = dependsOnThem ? 1 : TAGS_EVERY_BLOCKS
  let tags: Tags = { finalized: null, safe: null }
  let rhythms: { finalized: TagRhythm; safe: TagRhythm } = { finalized: UNKNOWN_TAG, safe: UNKNOWN_TAG }
  return {
    known: () => tags,
    forget() {
      rhythms = { finalized: UNKNOWN_TAG, safe: UNKNOWN_TAG }
    },
    async refresh(checkpoint: StoredCheckpoint | null, next: number, signal: AbortSignal) {
      const wanted = chain.confirmations === 'safe' ? (['finalized', 'safe'] as const) : (['finalized'] as const)
      for (const name of wanted) {
        if (!isTagDue(rhythms[name], next, atLeast)) continue
        const tag = await source.tag(name, checkpoint?.number ?? null, signal)
        tags = { ...tags, [name]: tag }
        rhythms = { ...rhythms, [name]: noteTag(rhythms[name], next, tag?.header.number ?? null) }
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
