/**
 * The engine of a backfill: pieces of history are fetched some ahead and committed one by one, in the order in which they were given.
 *
 * Always holds: what is fetched and not yet committed is bounded; each piece is one transaction, so that whoever is killed between two
 * leaves nothing half done. Which pieces there are, and who else takes some of them, is decided by whoever calls (`backfill.ts`).
 */

import type { Range } from '../core/range.ts'
import type { Address, Block } from '../core/types.ts'
import { AppError } from '../errors.ts'
import type { Claim } from '../store/store.ts'
import type { ChainContext } from './context.ts'
import { createDownload, type Download } from './download.ts'
import { matchBlocks } from './match.ts'

/** Pieces that are fetched while one is written. */
const PIECES_AHEAD = 2
const MAX_MATCHES = 5

/** Blocks that are committed in one transaction, and the claim under which they are, where others take pieces of the same job. */
export type Piece = Range & { readonly claim?: Claim }

export type Pieces = {
  /** Only these wallets; null: the whole tracked set. */
  readonly wallets: readonly Address[] | null
  /** The highest block that is deep enough for a status. */
  readonly settledHeight: number
  /** The next piece of final blocks; null: there is none any more. Asked one at a time, some pieces ahead of what is committed. */
  readonly next: () => Promise<Piece | null>
  /** Told after each commit. */
  readonly onPiece: (piece: Piece) => Promise<void>
  /** Told of a piece that somebody else has taken over: nothing of it was written, and the next one is taken. */
  readonly onLost?: (piece: Piece) => Promise<void>
}

export type Taken = { readonly blocks: number; readonly activities: number }

/** Takes pieces until there are none. @throws AppError when one can't be taken; those before it are committed */
export async function takePieces(context: ChainContext, pieces: Pieces, signal: AbortSignal): Promise<Taken> {
  const { wallets, settledHeight } = pieces
  const download = createDownload(context, wallets)
  const ahead: { readonly range: Piece; readonly blocks: Promise<Block[]> }[] = []
  let isOver = false
  const fill = async () => {
    while (!isOver && ahead.length <= PIECES_AHEAD) {
      const range = await pieces.next()
      isOver = range === null
      if (range === null) return
      const blocks = download.fetch(range, signal)
      // A download that fails while an earlier piece is written is met when its turn comes.
      blocks.catch(() => undefined)
      ahead.push({ range, blocks })
    }
  }
  let taken: Taken = { blocks: 0, activities: 0 }
  for (;;) {
    await fill()
    const piece = ahead.shift()
    if (piece === undefined) return taken
    const blocks = await piece.blocks
    refuseBroken(context, blocks)
    const written = { range: piece.range, blocks, wallets, settledHeight, download }
    const activities = await unlessLost(commitPiece(context, written, signal))
    if (activities === null) {
      await pieces.onLost?.(piece.range)
      continue
    }
    taken = { blocks: taken.blocks + blocks.length, activities: taken.activities + activities }
    await pieces.onPiece(piece.range)
  }
}

/** null: another process has the piece by now. */
async function unlessLost(committed: Promise<number>): Promise<number | null> {
  try {
    return await committed
  } catch (error) {
    if (error instanceof AppError && error.code === 'LEASE_LOST') return null
    throw error
  }
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

type Fetched = {
  readonly range: Piece
  readonly blocks: readonly Block[]
  readonly wallets: readonly Address[] | null
  readonly settledHeight: number
  readonly download: Download
}

async function commitPiece(context: ChainContext, piece: Fetched, signal: AbortSignal): Promise<number> {
  const { chain, registry, store } = context
  const { range, wallets, download, settledHeight } = piece
  for (let attempt = 1; ; attempt += 1) {
    await registry.refresh('newest', signal)
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
        settledHeight,
        claim: range.claim,
        ...matched,
      })
      return written.activities
    } catch (error) {
      if (!(error instanceof AppError) || error.code !== 'REGISTRY_STALE' || attempt >= MAX_MATCHES) throw error
    }
  }
}
