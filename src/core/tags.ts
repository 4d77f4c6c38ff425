/**
 * When a tag (`safe`, `finalized`) is worth a request: about when it moves.
 *
 * On Ethereum a tag moves once an epoch, by 32 blocks at once, and asking in between tells nothing. Other chains move theirs with every
 * block. So it is asked again after about as many blocks as it moved by, and then now and then until it has moved.
 */

export type TagRhythm = {
  /** The block that was to be taken when it was asked last; null: never. */
  readonly askedAt: number | null
  /** Where the tag was; null: the nodes don't know it. */
  readonly height: number | null
  /** When it was first seen there. */
  readonly movedAt: number
  /** Blocks by which it moved then. */
  readonly span: number
}

/** Half an epoch: before it was ever seen to move. */
const FIRST_SPAN = 16
/** An epoch. After a standstill a tag moves by many at once, which says nothing of the next time. */
const MAX_SPAN = 32
/** Of the span: how often it is asked once it is due. */
const LOOKS_PER_SPAN = 8

export const UNKNOWN_TAG: TagRhythm = { askedAt: null, height: null, movedAt: 0, span: FIRST_SPAN }

/**
 * @param next the block that is to be taken now
 * @param atLeast blocks between two questions, where nothing depends on the tag
 */
export function isTagDue({ askedAt, height, movedAt, span }: TagRhythm, next: number, atLeast: number): boolean {
  if (askedAt === null || next < askedAt) return true
  const sinceAsked = next - askedAt
  if (height === null) return sinceAsked >= MAX_SPAN * 2
  // A little early: a move that was noticed late is noticed earlier the next time.
  const step = Math.ceil(span / LOOKS_PER_SPAN)
  return next - movedAt >= span - step && sinceAsked >= Math.max(step, atLeast)
}

export function noteTag(known: TagRhythm, next: number, height: number | null): TagRhythm {
  if (height === null || known.height === null || height < known.height)
    return { askedAt: next, height, movedAt: next - known.span, span: known.span }
  if (height === known.height) return { ...known, askedAt: next }
  return { askedAt: next, height, movedAt: next, span: Math.min(height - known.height, MAX_SPAN) }
}
