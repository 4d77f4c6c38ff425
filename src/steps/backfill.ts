/**
 * Backfill: history, in pieces that are each complete in one transaction.
 *
 * Only final blocks are taken this way, so it is safe beside a daemon: neither its checkpoint nor its window is touched. What is
 * complete already (coverage) is left out, so the same command, run again after a crash, does only what is missing.
 */

import { settledHeight } from '../core/lifecycle.ts'
import { finalityAfter } from '../core/plan.ts'
import { intersectRanges, mergeRanges, type Range, type Ranges, splitRanges, subtractRanges } from '../core/range.ts'
import type { Address, Block } from '../core/types.ts'
import { AppError } from '../errors.ts'
import type { ChainContext } from './context.ts'
import { createDownload, type Download } from './download.ts'
import { matchBlocks } from './match.ts'

/** Blocks of one piece: one transaction, and what a crash may cost. */
const PIECE_BLOCKS = 50
/** Pieces that are downloaded while one is written. */
const PIECES_AHEAD = 2
const MAX_MATCHES = 5

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

export type BackfillResult = { readonly blocks: number; readonly activities: number }

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
): Promise<BackfillResult> {
  const pieces = splitRanges(plan.missing, PIECE_BLOCKS)
  const download = createDownload(context, wallets)
  const downloads: Promise<Block[]>[] = []
  const begin = (index: number) => {
    const piece = pieces[index]
    if (piece === undefined) return
    const blocks = download.fetch(piece, signal)
    // A download that fails while an earlier piece is written is met when its turn comes.
    blocks.catch(() => undefined)
    downloads[index] = blocks
  }
  let result: BackfillResult = { blocks: 0, activities: 0 }
  for (const [index, piece] of pieces.entries()) {
    for (let ahead = index; ahead <= index + PIECES_AHEAD; ahead += 1) if (downloads[ahead] === undefined) begin(ahead)
    const blocks = (await downloads[index]) ?? []
    downloads[index] = Promise.resolve([])
    refuseBroken(context, blocks)
    const activities = await commitPiece(
      context,
      { range: piece, blocks, wallets, settled: plan.settledHeight, download },
      signal,
    )
    result = { blocks: result.blocks + blocks.length, activities: result.activities + activities }
    await onPiece(result.blocks)
  }
  return result
}

/** Blocks of one piece must follow each other: two nodes on two branches would give a mixture. */
function refuseBroken({ chain }: ChainContext, blocks: readonly Block[]): void {
  for (const [index, block] of blocks.entries()) {
    const previous = blocks[index - 1]
    if (previous === undefined || block.parentHash === previous.hash) continue
    throw new AppError(
      'RPC_INCONSISTENT',
      `Block ${block.number} does not follow block ${previous.number}, though both are final.`,
      {
        facts: { chain: chain.name, block: block.number },
        hint: 'The endpoints disagree; check them with `doctor` and run the same command again.',
      },
    )
  }
}

type Piece = {
  readonly range: Range
  readonly blocks: readonly Block[]
  readonly wallets: readonly Address[] | null
  readonly settled: number
  readonly download: Download
}

async function commitPiece(context: ChainContext, piece: Piece, signal: AbortSignal): Promise<number> {
  const { chain, registry, store } = context
  const { range, wallets, settled, download } = piece
  for (let attempt = 1; ; attempt += 1) {
    await registry.refresh()
    const registryVersion = registry.version
    const sought = await store.sought()
    // Who was linked meanwhile may take part in transactions of which only the logs are known.
    const blocks = await download.complete(piece.blocks, sought, signal)
    const matched = await matchBlocks(
      context,
      blocks,
      wallets === null ? { sought } : { sought, only: new Set(wallets) },
      signal,
    )
    try {
      const written = await store.commitBackfill({
        chain,
        registryVersion,
        range,
        wallets,
        settledHeight: settled,
        ...matched,
      })
      return written.activities
    } catch (error) {
      if (!(error instanceof AppError) || error.code !== 'REGISTRY_STALE' || attempt >= MAX_MATCHES) throw error
      await registry.refresh('now')
    }
  }
}
