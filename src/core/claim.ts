/**
 * Who works on which blocks of a job next: what is missing and nobody's is cut into pieces, what came back is taken first.
 *
 * Always holds: blocks that are complete, or that somebody else works on, are not chosen; what is chosen is one piece, lowest first.
 * Coverage alone says what is done: a job whose blocks were completed by somebody else is over, whatever its pieces say.
 */

import { countBlocks, intersectRanges, mergeRanges, type Range, type Ranges, subtractRanges } from './range.ts'

/** Blocks of one piece, at most: one transaction, and what a crash may cost. Fewer where many rows come of them. */
export const MAX_PIECE_BLOCKS = 200
/** Less would cost more for its transaction and its question for logs than for its blocks. */
export const MIN_PIECE_BLOCKS = 25
/** Of a chain about which nothing is known yet. */
const FIRST_PIECE_BLOCKS = 50
/** Rows of one piece, about: what is held for a commit, while the next is made ready, has to stay small where blocks are full. */
const PIECE_ROWS = 2_500
/** Towards the end of a job pieces get smaller, this part of what is left, so that every worker has some until the end. */
const SHARES = 8

/** A piece of the job that is not done. */
export type UndonePiece = {
  readonly id: string
  readonly range: Range
  /** Given back, or its claim ran out. */
  readonly isFree: boolean
}

export type ClaimState = {
  /** All of the job. */
  readonly range: Range
  /** The highest block that the worker who asks may take. */
  readonly upTo: number
  /** Blocks that are complete for all that the job asks for. */
  readonly complete: Ranges
  readonly undone: readonly UndonePiece[]
  /** What other jobs are completing now that would be complete for this one too. */
  readonly elsewhere: readonly Range[]
  /** Blocks that a new piece may have. */
  readonly mostBlocks: number
}

export type ClaimChoice = {
  /** A piece that came back, or a new one (`id` null); null: there is nothing to take now. */
  readonly piece: { readonly id: string | null; readonly range: Range } | null
  /** Pieces that came back and are complete: nobody has to take them. */
  readonly closed: readonly string[]
  /** Blocks of the job that are not complete, those that somebody works on among them. */
  readonly blocksLeft: number
  /** Whether all that this worker may take is complete. If not, and there is no piece, others work on it. */
  readonly isOver: boolean
}

export function chooseClaim({ range, upTo, complete, undone, elsewhere, mostBlocks }: ClaimState): ClaimChoice {
  const missing = subtractRanges(mergeRanges([range]), complete)
  const mine = intersectRanges(missing, mergeRanges([{ from: range.from, to: Math.min(upTo, range.to) }]))
  const taken = mergeRanges([...undone.map(piece => piece.range), ...elsewhere])
  const free = undone.filter(({ isFree }) => isFree)
  const returned = free
    .map(piece => ({ id: piece.id, lacks: intersectRanges(mine, mergeRanges([piece.range])) }))
    .filter(({ lacks }) => lacks.length > 0)
    // Another job may have got to it meanwhile.
    .filter(({ lacks }) => intersectRanges(lacks, mergeRanges(elsewhere)).length === 0)
    .toSorted((a, b) => (a.lacks[0]?.from ?? 0) - (b.lacks[0]?.from ?? 0))[0]
  const blocksLeft = countBlocks(missing)
  return {
    piece:
      returned === undefined
        ? cut(subtractRanges(mine, taken), pieceBlocks(blocksLeft, mostBlocks))
        : { id: returned.id, range: hull(returned.lacks) },
    closed: free.filter(piece => intersectRanges(missing, mergeRanges([piece.range])).length === 0).map(({ id }) => id),
    blocksLeft,
    isOver: mine.length === 0,
  }
}

function pieceBlocks(blocksLeft: number, mostBlocks: number): number {
  return Math.min(Math.max(Math.ceil(blocksLeft / SHARES), MIN_PIECE_BLOCKS), mostBlocks)
}

/** How many blocks the next piece may have. @param rowsPerBlock of the blocks before; null: there are none yet */
export function mostBlocksOf(rowsPerBlock: number | null): number {
  if (rowsPerBlock === null) return FIRST_PIECE_BLOCKS
  return Math.min(Math.max(Math.floor(PIECE_ROWS / rowsPerBlock), MIN_PIECE_BLOCKS), MAX_PIECE_BLOCKS)
}

function cut([first]: Ranges, size: number): ClaimChoice['piece'] {
  return first === undefined
    ? null
    : { id: null, range: { from: first.from, to: Math.min(first.from + size - 1, first.to) } }
}

/**
 * From the first block to the last: what lies between and is complete is written again, and nothing changes. What a piece had besides
 * is nobody's again.
 */
function hull(ranges: Ranges): Range {
  return { from: ranges[0]?.from ?? 0, to: ranges.at(-1)?.to ?? -1 }
}
