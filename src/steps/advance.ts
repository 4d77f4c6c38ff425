/**
 * The step forward: blocks after the checkpoint, matched and committed with it.
 */

import pMap from 'p-map'
import { settledHeight } from '../core/lifecycle.ts'
import { findBreak } from '../core/lineage.ts'
import { finalityAfter } from '../core/plan.ts'
import type { Range } from '../core/range.ts'
import type { Block, Hash, Header } from '../core/types.ts'
import { AppError } from '../errors.ts'
import type { TagAnswer } from '../source/source.ts'
import type { Lease, StoredCheckpoint } from '../store/store.ts'
import { completeBlocks, interestIn } from './complete.ts'
import type { ChainContext } from './context.ts'
import type { Dispute } from './dispute.ts'
import { matchBlocks } from './match.ts'

const BLOCKS_AT_ONCE = 8
/** How often a step is matched again because the wallets changed under it; then it gives up and is planned again. */
const MAX_MATCHES = 5

/** As nodes tell them; null: they don't know such a tag. */
export type Tags = { readonly finalized: TagAnswer | null; readonly safe: TagAnswer | null }

export type Advanced =
  | {
      readonly kind: 'advanced'
      readonly from: number
      readonly to: number
      readonly activities: number
      readonly settled: number
    }
  /** The next block is no child of the checkpoint. */
  | { readonly kind: 'parted' }
  /** Most endpoints have another block at a height that statuses were to be decided by. */
  | { readonly kind: 'outvoted'; readonly at: number }

export type AdvanceInput = {
  readonly checkpoint: StoredCheckpoint | null
  readonly range: Range
  readonly head: Header
  readonly startBlock: number
  readonly tags: Tags
  readonly lease: Lease
  readonly dispute: Dispute
  /** Hashes that no chain had shown when the step began. */
  readonly sought: ReadonlySet<Hash>
  /** Those of the range, where they were fetched already. */
  readonly blocks?: readonly Block[]
}

export async function advance(context: ChainContext, input: AdvanceInput, signal: AbortSignal): Promise<Advanced> {
  const { checkpoint, range } = input
  // Of a single block that somebody waits for, what the database knows is read while the block is fetched.
  const ahead = range.from === range.to ? readAhead(context, input, signal) : null
  const blocks = input.blocks ?? (await fetchBlocks(context, input, signal))
  const broken = findBreak(checkpoint, blocks)
  if (broken !== null) {
    if (broken.number === range.from) return { kind: 'parted' }
    throw new AppError('RPC_INCONSISTENT', `Block ${broken.number} does not follow block ${broken.number - 1}.`, {
      facts: { chain: context.chain.name, block: broken.number },
      hint: 'The node changed branches in between, or two nodes disagree; it is asked again.',
    })
  }
  const last = blocks.at(-1)
  if (last === undefined) throw new RangeError(`an empty range was to be taken: ${range.from} to ${range.to}`)
  const placeAt = async (number: number) =>
    blocks.find(block => block.number === number) ??
    ahead?.places.get(number) ??
    context.store.headerAt(context.chain.id, number)
  const decided = await decide(context, input, last, placeAt)
  const objection = await input.dispute.objection(decided.settledHeight, last.number, placeAt, signal)
  if (objection !== null) return { kind: 'outvoted', at: objection.number }
  const tracked = ahead?.tracked ?? null
  const written = await matchAndCommit(context, input, { blocks, last, tracked, ...decided }, signal)
  return { kind: 'advanced', from: range.from, to: range.to, ...written }
}

type Ahead = {
  readonly tracked: Promise<Tracked>
  /** Our blocks at the heights of the tags: no step but this one changes them. */
  readonly places: ReadonlyMap<number, Promise<Header | null>>
}

/** What fails is met when its turn comes. */
function readAhead(context: ChainContext, { range, tags }: AdvanceInput, signal: AbortSignal): Ahead {
  const tracked = readTracked(context, signal)
  tracked.catch(() => undefined)
  const places = new Map<number, Promise<Header | null>>()
  for (const tag of [tags.finalized, tags.safe]) {
    const number = witnessOf(tag, range.to)?.number ?? range.to
    if (number >= range.from || places.has(number)) continue
    const place = context.store.headerAt(context.chain.id, number)
    place.catch(() => undefined)
    places.set(number, place)
  }
  return { tracked, places }
}

/** Hashes that are sought, once the tracked wallets are up to date. */
type Tracked = { readonly sought: ReadonlySet<Hash> }

async function readTracked({ registry, store }: ChainContext, signal: AbortSignal): Promise<Tracked> {
  const [sought] = await Promise.all([store.sought(), registry.refresh('newest', signal)])
  return { sought }
}

type Decided = { readonly headNumber: number; readonly finalizedNumber: number; readonly settledHeight: number }

/** Our block at a height; null where our window does not reach. */
type PlaceAt = (number: number) => Promise<{ readonly number: number; readonly hash: Hash } | null>

/** What is final and what is deep enough, once these blocks are taken. */
async function decide(
  { chain }: ChainContext,
  { checkpoint, head, tags }: AdvanceInput,
  last: Block,
  placeAt: PlaceAt,
): Promise<Decided> {
  const finalizedTag = await heightOf(tags.finalized, last, placeAt)
  const finalizedNumber = finalityAfter({
    topNumber: last.number,
    finalizedTag,
    confirmations: chain.confirmations,
    previous: checkpoint?.finalizedNumber ?? -1,
  })
  const settled = settledHeight({
    confirmations: chain.confirmations,
    checkpointNumber: last.number,
    tagNumber: chain.confirmations === 'safe' ? await heightOf(tags.safe, last, placeAt) : finalizedTag,
    finalizedNumber,
  })
  return { headNumber: Math.max(head.number, last.number), finalizedNumber, settledHeight: settled }
}

/**
 * Up to where a tag makes our own blocks final (or safe). Its number alone does not: it may be of another branch. Either its block is
 * ours, or it is above ours and its endpoint has one of ours below it.
 *
 * @returns null: nodes don't know such a tag; −1: this one says nothing of our branch
 */
async function heightOf(tag: TagAnswer | null, last: Block, placeAt: PlaceAt): Promise<number | null> {
  if (tag === null) return null
  const witness = witnessOf(tag, last.number)
  if (witness === null) return -1
  const own = await placeAt(witness.number)
  return own === null || own.hash === witness.hash ? witness.number : -1
}

/** The block by which a tag may speak of ours, up to a height; null: there is none. */
function witnessOf(tag: TagAnswer | null, upTo: number): Header | null {
  if (tag === null) return null
  return tag.header.number <= upTo ? tag.header : tag.below
}

/** Blocks of a range, a few at a time, in order. */
async function fetchBlocks(
  context: ChainContext,
  { range: { from, to }, sought }: AdvanceInput,
  signal: AbortSignal,
): Promise<Block[]> {
  const numbers = Array.from({ length: to - from + 1 }, (_, index) => from + index)
  const interest = interestIn(context, sought)
  return pMap(numbers, number => context.source.block(number, signal, interest), {
    concurrency: BLOCKS_AT_ONCE,
    signal,
  })
}

type ToCommit = Decided & {
  readonly blocks: readonly Block[]
  readonly last: Block
  /** null: not read yet. */
  readonly tracked: Promise<Tracked> | null
}

async function matchAndCommit(
  context: ChainContext,
  { checkpoint, startBlock, lease }: AdvanceInput,
  { blocks, last, tracked, ...decided }: ToCommit,
  signal: AbortSignal,
) {
  const { chain, registry, source, store } = context
  let reading = tracked ?? readTracked(context, signal)
  for (let attempt = 1; ; attempt += 1) {
    const { sought } = await reading
    const registryVersion = registry.version
    // Who was linked meanwhile may take part in transactions of which only the logs are known.
    const known = await completeBlocks(source, blocks, interestIn(context, sought), signal)
    const { activities, transactions } = await matchBlocks(context, known, { sought }, signal)
    try {
      return await store.commitAdvance({
        chain,
        lease,
        registryVersion,
        headers: blocks.map(headerOf),
        activities,
        transactions,
        move: {
          chainId: chain.id,
          expectedHash: checkpoint?.hash ?? null,
          to: headerOf(last),
          finalizedNumber: decided.finalizedNumber,
          headNumber: decided.headNumber,
          startBlock,
        },
        settledHeight: decided.settledHeight,
      })
    } catch (error) {
      if (!(error instanceof AppError) || error.code !== 'REGISTRY_STALE' || attempt >= MAX_MATCHES) throw error
      reading = readTracked(context, signal)
    }
  }
}

function headerOf({ number, hash, parentHash, timestamp }: Header): Header {
  return { number, hash, parentHash, timestamp }
}
