/**
 * The step back: from our checkpoint to the block that we and the node have in common.
 *
 * Nothing final is ever taken back here: where the branches part below finality, the chain halts until a person accepts it.
 */

import { findAncestor, type Witness } from '../core/lineage.ts'
import type { Hash, Header } from '../core/types.ts'
import { AppError } from '../errors.ts'
import type { Lease, StoredCheckpoint } from '../store/store.ts'
import type { ChainContext } from './context.ts'

export type Rewound = {
  readonly kind: 'rewound'
  readonly from: number
  readonly to: number
  readonly activities: number
}

export async function rewind(
  context: ChainContext,
  input: { readonly checkpoint: StoredCheckpoint; readonly head: Header; readonly lease: Lease },
  signal: AbortSignal,
): Promise<Rewound> {
  const { chain, chains, store } = context
  const { checkpoint, head, lease } = input
  const ancestor = await commonAncestor(context, checkpoint, signal)
  if (ancestor === null) throw await beyondFinality(context, checkpoint, signal)
  const { activities } = await store.commitRewind({
    chain,
    chains,
    lease,
    move: {
      chainId: chain.id,
      expectedHash: checkpoint.hash,
      to: ancestor,
      finalizedNumber: checkpoint.finalizedNumber,
      headNumber: head.number,
      startBlock: checkpoint.startBlock,
    },
  })
  return { kind: 'rewound', from: checkpoint.number, to: ancestor.number, activities }
}

/** null: the branches part at or below what is final. */
async function commonAncestor(
  { chain, source, store }: ChainContext,
  checkpoint: StoredCheckpoint,
  signal: AbortSignal,
): Promise<Header | null> {
  const window = await store.window(chain.id, Math.min(checkpoint.finalizedNumber, checkpoint.number))
  const theirs = new Map<number, Hash | null>()
  for (;;) {
    const found = findAncestor(window, theirs)
    if (found.kind === 'ancestor') return found.header
    if (found.kind === 'ask') {
      theirs.set(found.number, (await source.header(found.number, signal))?.hash ?? null)
      continue
    }
    // All that we have is orphaned, and none of it was final: begin again before the first block.
    const beforeStart = checkpoint.startBlock - 1
    return checkpoint.finalizedNumber < checkpoint.startBlock && beforeStart >= 0
      ? source.header(beforeStart, signal)
      : null
  }
}

async function beyondFinality(
  { chain, source, store }: ChainContext,
  checkpoint: StoredCheckpoint,
  signal: AbortSignal,
): Promise<AppError> {
  // Only another block at a height that was final is a reorg, and only if no endpoint has ours: a node that has none there lags, for
  // however long, and a node on a fork must not stop a chain until a person comes.
  const [final] = await store.window(chain.id, Math.min(checkpoint.finalizedNumber, checkpoint.number))
  const disputed = final ?? checkpoint
  const witnesses = await source.witnesses(disputed, signal)
  const shows = (what: Witness['shows']) => witnesses.filter(witness => witness.shows === what).length
  if (shows('other') === 0 || shows('ours') > 0) {
    return new AppError(
      'RPC_INCONSISTENT',
      `The endpoints of chain ${chain.name} do not show blocks that were final.`,
      {
        facts: {
          chain: chain.name,
          block: disputed.number,
          have: shows('ours'),
          haveAnother: shows('other'),
          haveNone: shows('none'),
        },
        hint: 'They lag behind what is indexed here, were set back, or one is on a fork; the chain goes on when they agree.',
      },
    )
  }
  const error = new AppError(
    'REORG_BEYOND_FINALITY',
    `Chain ${chain.name} is on another branch than the one indexed here, from before block ${checkpoint.finalizedNumber}, which was final.`,
    {
      facts: { chain: chain.name, block: disputed.number, ours: disputed.hash, endpoints: shows('other') },
      hint: `Nothing was deleted. If the RPC endpoint is right and the reorg is real, run with --accept-reorg ${chain.name}.`,
    },
  )
  await store.setHalt(chain.id, { code: error.code, message: error.message })
  return error
}

/**
 * After a person accepted a reorg beyond finality: goes back to the newest block with rows of ours that the node still has.
 * Blocks between those hold nothing to take back.
 */
export async function rewindBeyondFinality(
  context: ChainContext,
  input: { readonly checkpoint: StoredCheckpoint; readonly lease: Lease },
  signal: AbortSignal,
): Promise<Rewound> {
  const { chain, chains, source, store } = context
  const { checkpoint, lease } = input
  const head = await source.head(signal)
  const anchors = await store.anchors(chain.id)
  // Up to some height all anchors are still there, above it none is: the branches part once.
  let low = -1
  let high = anchors.length
  let ancestor: Header | null = null
  while (high - low > 1) {
    const middle = (low + high) >> 1
    const anchor = anchors[middle]
    const theirs = anchor === undefined ? null : await source.header(anchor.number, signal)
    if (anchor !== undefined && theirs?.hash === anchor.hash) {
      low = middle
      ancestor = theirs
    } else high = middle
  }
  ancestor ??= await source.header(Math.max(Math.min(checkpoint.startBlock - 1, head.number), 0), signal)
  if (ancestor === null)
    throw new AppError('RPC_INCONSISTENT', `Chain ${chain.name} does not show the block to begin again from.`)
  const { activities } = await store.commitRewind({
    chain,
    chains,
    lease,
    move: {
      chainId: chain.id,
      expectedHash: checkpoint.hash,
      to: ancestor,
      finalizedNumber: -1,
      headNumber: head.number,
      startBlock: checkpoint.startBlock,
      resetsFinality: true,
    },
  })
  return { kind: 'rewound', from: checkpoint.number, to: ancestor.number, activities }
}
