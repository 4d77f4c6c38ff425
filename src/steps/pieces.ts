/**
 * The engine of a backfill: pieces of history are fetched some ahead and committed one by one, in the order in which they were given.
 *
 * Always holds: what is fetched and not yet committed is bounded; each piece is one transaction, so that whoever is killed between two
 * leaves nothing half done. Which pieces there are, and who else takes some of them, is decided by whoever calls (`backfill.ts`).
 *
 * Of a block only what concerned a tracked wallet when it came is there (`core/sieve.ts`). Who is linked between then and the commit
 * lacks the piece, and the commit says so in the coverage; who was known is matched again if anything of the set changed until then.
 */

import { mostBlocksOf } from '../core/claim.ts'
import { countBlocks, type Range } from '../core/range.ts'
import type { Address, Block } from '../core/types.ts'
import { AppError } from '../errors.ts'
import type { Claim } from '../store/store.ts'
import type { ChainContext } from './context.ts'
import { createDownload, type Download, type Sieved } from './download.ts'
import { matchBlocks, type Matched } from './match.ts'

/** What is fetched while a piece is written: pieces until they have so many blocks. */
const BLOCKS_AHEAD = 100
const MAX_MATCHES = 5
/** What a piece weighs against all before it, in how many rows a block is taken to have. */
const WEIGHT = 0.3

/** Blocks that are committed in one transaction, and the claim under which they are, where others take pieces of the same job. */
export type Piece = Range & { readonly claim?: Claim }

export type Pieces = {
  /** Only these wallets; null: the whole tracked set. */
  readonly wallets: readonly Address[] | null
  /** The highest block that is deep enough for a status. */
  readonly settledHeight: number
  /**
   * The next piece of final blocks; null: there is none any more. Asked one at a time, some pieces ahead of what is committed.
   *
   * @param mostBlocks what it should have at most, by how many rows the blocks before had
   */
  readonly next: (mostBlocks: number) => Promise<Piece | null>
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
  const ahead: Ahead[] = []
  let isOver = false
  let rowsPerBlock: number | null = null
  const fill = async () => {
    while (!isOver && (ahead.length === 0 || countBlocks(ahead.map(({ range }) => range)) < BLOCKS_AHEAD)) {
      const range = await pieces.next(mostBlocksOf(rowsPerBlock))
      isOver = range === null
      if (range === null) return
      const sieved = download.fetch(range, signal)
      // A download that fails while an earlier piece is written is met when its turn comes.
      sieved.catch(() => undefined)
      ahead.push({ range, sieved, matched: null })
    }
  }
  const match = (piece: Ahead) => {
    const { range, sieved } = piece
    piece.matched ??= sieved.then(known => matchPiece(context, { range, sieved: known, wallets, download }, signal))
    piece.matched.catch(() => undefined)
    return piece.matched
  }
  let taken: Taken = { blocks: 0, activities: 0 }
  let filling = fill()
  try {
    for (;;) {
      await filling
      const piece = ahead.shift()
      if (piece === undefined) return taken
      // While the database writes this one, the next ones are claimed, fetched and made ready.
      filling = fill()
      filling.then(() => ahead[0] && match(ahead[0])).catch(() => undefined)
      const matched = await match(piece)
      const rows = (matched.rows.activities.length + matched.rows.transactions.length) / countBlocks([piece.range])
      rowsPerBlock = rowsPerBlock === null ? rows : rowsPerBlock + (rows - rowsPerBlock) * WEIGHT
      const activities = await unlessLost(commitPiece(context, matched, settledHeight, signal))
      if (activities === null) {
        await pieces.onLost?.(piece.range)
        continue
      }
      taken = { blocks: taken.blocks + countBlocks([piece.range]), activities: taken.activities + activities }
      await pieces.onPiece(piece.range)
    }
  } finally {
    // What is being claimed has to be known to whoever gives claims back.
    await filling.catch(() => undefined)
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

type Ahead = {
  readonly range: Piece
  readonly sieved: Promise<Sieved>
  /** null: not begun. */
  matched: Promise<MatchedPiece> | null
}

type Fetched = {
  readonly range: Piece
  readonly sieved: Sieved
  readonly wallets: readonly Address[] | null
  readonly download: Download
}

/** With the rows of a piece for the wallets of one version of the set. */
type MatchedPiece = Fetched & { readonly registryVersion: number; readonly rows: Matched }

async function matchPiece(context: ChainContext, piece: Fetched, signal: AbortSignal): Promise<MatchedPiece> {
  const { registry, store } = context
  const { range, wallets, download } = piece
  let { sieved } = piece
  await registry.refresh('newest', signal)
  // Another primary took over, or a dump was played back: whom these blocks were sieved for can't be told any more.
  if (sieved.history !== registry.history) sieved = await download.fetch(range, signal)
  refuseBroken(context, sieved.blocks)
  const registryVersion = registry.version
  const sought = await store.sought()
  const blocks = await download.complete(sieved.blocks, sought, signal)
  const only = wallets === null ? {} : { only: new Set(wallets) }
  return { ...piece, sieved, registryVersion, rows: await matchBlocks(context, blocks, { sought, ...only }, signal) }
}

/** Writes what was matched, and matches it again where the set of wallets has changed since. */
async function commitPiece(
  context: ChainContext,
  first: MatchedPiece,
  settledHeight: number,
  signal: AbortSignal,
): Promise<number> {
  const { chain, registry, store } = context
  let piece = first
  for (let attempt = 1; ; attempt += 1) {
    await registry.refresh('newest', signal)
    const isStale = piece.registryVersion !== registry.version || piece.sieved.history !== registry.history
    if (isStale) piece = await matchPiece(context, piece, signal)
    const { range, sieved, wallets, registryVersion, rows } = piece
    try {
      const written = await store.commitBackfill({
        chain,
        registryVersion,
        sievedVersion: sieved.version,
        range,
        wallets,
        settledHeight,
        claim: range.claim,
        ...rows,
      })
      return written.activities
    } catch (error) {
      if (!(error instanceof AppError) || error.code !== 'REGISTRY_STALE' || attempt >= MAX_MATCHES) throw error
    }
  }
}
