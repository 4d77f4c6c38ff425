/**
 * The engine of a backfill: pieces of history are fetched some ahead and committed one by one, in the order in which they were given.
 *
 * Always holds: what is fetched and not yet committed is bounded; each piece is one transaction, so that whoever is killed between two
 * leaves nothing half done. Which pieces there are, and who else takes some of them, is decided by whoever calls (`backfill.ts`).
 *
 * Of a block only what concerned a tracked wallet when it came is there (`core/sieve.ts`). Who is linked between then and the commit
 * lacks the piece, and the commit says so in the coverage; who was known is matched with the owners of the moment of the commit.
 */

import { countBlocks, type Range } from '../core/range.ts'
import type { Address, Block } from '../core/types.ts'
import { AppError } from '../errors.ts'
import type { Claim } from '../store/store.ts'
import type { ChainContext } from './context.ts'
import { createDownload, type Download, type Sieved } from './download.ts'
import { matchBlocks } from './match.ts'

/** What is fetched while a piece is written: so many blocks, and at least one piece. */
const BLOCKS_AHEAD = 200
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
  const ahead: { readonly range: Piece; readonly sieved: Promise<Sieved> }[] = []
  let isOver = false
  const fill = async () => {
    // The first is what is written next.
    while (!isOver && (ahead.length < 2 || countBlocks(ahead.slice(1).map(({ range }) => range)) < BLOCKS_AHEAD)) {
      const range = await pieces.next()
      isOver = range === null
      if (range === null) return
      const sieved = download.fetch(range, signal)
      // A download that fails while an earlier piece is written is met when its turn comes.
      sieved.catch(() => undefined)
      ahead.push({ range, sieved })
    }
  }
  let taken: Taken = { blocks: 0, activities: 0 }
  for (;;) {
    await fill()
    const piece = ahead.shift()
    if (piece === undefined) return taken
    const written = { range: piece.range, sieved: await piece.sieved, wallets, settledHeight, download }
    const activities = await unlessLost(commitPiece(context, written, signal))
    if (activities === null) {
      await pieces.onLost?.(piece.range)
      continue
    }
    taken = { blocks: taken.blocks + countBlocks([piece.range]), activities: taken.activities + activities }
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
  readonly sieved: Sieved
  readonly wallets: readonly Address[] | null
  readonly settledHeight: number
  readonly download: Download
}

async function commitPiece(context: ChainContext, piece: Fetched, signal: AbortSignal): Promise<number> {
  const { chain, registry, store } = context
  const { range, wallets, download, settledHeight } = piece
  let { sieved } = piece
  for (let attempt = 1; ; attempt += 1) {
    await registry.refresh('newest', signal)
    // Another primary took over, or a dump was played back: whom these blocks were sieved for can't be told any more.
    if (sieved.history !== registry.history) sieved = await download.fetch(range, signal)
    refuseBroken(context, sieved.blocks)
    const registryVersion = registry.version
    const sought = await store.sought()
    const blocks = await download.complete(sieved.blocks, sought, signal)
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
        sievedVersion: sieved.version,
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
