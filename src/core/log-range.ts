/**
 * How many blocks one `eth_getLogs` asks an endpoint for.
 *
 * Two things bound it. What is comfortable: an answer of some thousand logs, or of two seconds. And what is refused: some limit blocks,
 * some results, some time, and few say which or how much; so a refused size is remembered as a ceiling, whatever it was for.
 *
 * Always holds: it is at least one block and at most the maximum; after a refusal it is smaller than what was refused, unless that was
 * one block.
 *
 * Below a ceiling it grows freely up to what was answered since; above that it only tries, after some patience that doubles with each
 * try that is refused. So a limit that stands costs ever fewer refusals, and one that was lifted is noticed in the end. The first try is
 * the refused size itself, since a dense stretch is soon over; then it is halved in between, to come close to a limit that nobody tells.
 * A refusal of what used to be answered is a dense stretch or a bad hour: it gets a ceiling of its own, and the one above is kept for
 * when it is over.
 */

/** What one answer may hold to be comfortable: enough to be worth a request, and far from the 10,000 that are a usual limit. */
const COMFORTABLE_LOGS = 5_000
const COMFORTABLE_MS = 2_000
/** Of the logs that are comfortable: what is aimed at when the range grows. With more it stays. */
const AIM_SHARE = 0.7
/** Of the time that is comfortable: an answer that took less lets the range grow at will. */
const QUICK_SHARE = 0.4
const MAX_GROWTH = 2
const CAREFUL_GROWTH = 1.1
const MAX_CUT = 4
/** Half of the blocks that take more than that share of the time: it was not for the blocks. */
const SAME_SHARE = 0.8

const START_BLOCKS = 500

/** Answers between a refusal and a try at what was refused; doubled by each try in vain. */
const MIN_PATIENCE = 32
const MAX_PATIENCE = 512
/** Of what is answered: when what is refused is only that much more, it is close enough. */
const CLOSE_SHARE = 1 / 8

type Ceiling = {
  /** The smallest size that was refused. */
  readonly refused: number
  /** The largest that is thought to be answered: it was since, or it is what was fallen back to. */
  readonly below: number
  /** Whether it was. */
  readonly isProven: boolean
  readonly patience: number
  /** Whether the refused size was tried again. */
  readonly isTried: boolean
  /** What bounded it before. */
  readonly above: Ceiling | null
}

type Pace = {
  /** What an answer takes however few blocks it is about: the way there, and a node that is slow at everything. */
  readonly baseMs: number
  /** An answer that took too long, to see whether fewer blocks take less. */
  readonly slow: { readonly blocks: number; readonly tookMs: number } | null
}

export type LogRange = {
  /** What the next question should ask for, at most. */
  readonly blocks: number
  readonly max: number
  readonly ceiling: Ceiling | null
  /** Whether `blocks` is a try above what was answered. */
  readonly isTry: boolean
  /** Answers since the last try or refusal. */
  readonly waited: number
  readonly pace: Pace
}

export function initialLogRange(maxBlocks: number): LogRange {
  const max = Math.max(Math.floor(maxBlocks), 1)
  const pace = { baseMs: 0, slow: null }
  return { blocks: Math.min(START_BLOCKS, max), max, ceiling: null, isTry: false, waited: 0, pace }
}

/**
 * After an answer: towards a comfortable size and time.
 *
 * @param answered.blocks how many blocks it was about, which may be fewer than `blocks`: the last piece of a range
 * @param answered.logs how many logs it held
 */
export function growRange(
  range: LogRange,
  answered: { readonly blocks: number; readonly logs: number; readonly tookMs: number },
): LogRange {
  const pace = paceAfter(range.pace, answered)
  const wanted = wantedBlocks(range, answered, pace)
  // The answer of another question under way tells nothing of the try.
  if (range.isTry && answered.blocks < range.blocks && wanted >= range.blocks) return { ...range, pace }
  const ceiling = ceilingAfter(range.ceiling, range.isTry, answered.blocks)
  const waited = ceiling?.refused === range.ceiling?.refused ? range.waited + 1 : 0
  const known = { ...range, ceiling, pace, isTry: false, waited }
  if (ceiling === null || wanted <= ceiling.below) return { ...known, blocks: wanted }
  if (waited < ceiling.patience) return { ...known, blocks: ceiling.below }
  // Half of an odd number was rounded down: twice that is one less than what was refused.
  return { ...known, blocks: Math.min(wanted + 1, nextTry(ceiling)), isTry: true, waited: 0 }
}

/**
 * After a refusal or a timeout.
 *
 * @param refused.blocks how many blocks were asked for
 * @param refused.suggestedBlocks how many the endpoint says it would answer; not taken where it makes no sense
 */
export function shrinkRange(
  range: LogRange,
  refused: { readonly blocks: number; readonly suggestedBlocks: number | null },
): LogRange {
  const { blocks: size, suggestedBlocks } = refused
  const isSensible = suggestedBlocks !== null && suggestedBlocks >= 1 && suggestedBlocks < size
  const suggested = isSensible ? Math.floor(suggestedBlocks) : null
  const { ceiling } = range
  if (range.isTry && ceiling !== null && size >= range.blocks) return afterTry(range, ceiling, size, suggested)
  // Others were under way when the first was refused: they say nothing new.
  if (ceiling !== null && size >= ceiling.refused && (suggested ?? size) > ceiling.below) return range
  const below = suggested ?? Math.max(Math.floor(size / 2), 1)
  const bounds = { refused: suggested === null ? Math.max(size, 2) : below + 1, below, isProven: false }
  // Only one is kept above, the outermost: what bounded one bad hour is of no use in the next.
  const above = ceiling?.isProven === false ? ceiling.above : (ceiling?.above ?? ceiling)
  return {
    ...range,
    blocks: Math.min(range.blocks, below),
    ceiling: { ...bounds, patience: MIN_PATIENCE, isTried: false, above },
    isTry: false,
    waited: 0,
  }
}

/** Back to what is answered, and longer until the next. What the endpoint says itself counts more than what was tried. */
function afterTry(range: LogRange, ceiling: Ceiling, size: number, suggested: number | null): LogRange {
  const patience = Math.min(ceiling.patience * 2, MAX_PATIENCE)
  const bounds =
    suggested === null
      ? { refused: Math.min(ceiling.refused, size), below: ceiling.below }
      : { refused: suggested + 1, below: suggested }
  return {
    ...range,
    blocks: bounds.below,
    ceiling: { ...ceiling, ...bounds, patience, isTried: true },
    isTry: false,
    waited: 0,
  }
}

function nextTry({ refused, below, isTried }: Ceiling): number {
  const isClose = refused - below <= Math.max(below * CLOSE_SHARE, 1)
  return !isTried || isClose ? refused : Math.floor((refused + below) / 2)
}

/** What an answer of that many blocks says about the ceiling: lifted by a try of what was refused, else what is answered below it. */
function ceilingAfter(ceiling: Ceiling | null, isTry: boolean, blocks: number): Ceiling | null {
  if (ceiling === null) return null
  if (isTry && blocks >= ceiling.refused) return ceilingAfter(ceiling.above, isTry, blocks)
  const below = Math.max(ceiling.below, Math.min(blocks, ceiling.refused - 1))
  return { ...ceiling, below, isProven: ceiling.isProven || blocks >= ceiling.below }
}

function wantedBlocks(
  { blocks, max }: LogRange,
  answered: { readonly blocks: number; readonly logs: number; readonly tookMs: number },
  { baseMs }: Pace,
): number {
  const ofLogs = answered.logs / COMFORTABLE_LOGS
  const ofTime = (answered.tookMs - baseMs) / COMFORTABLE_MS
  const load = Math.max(ofLogs, ofTime)
  if (load > 1) return Math.max(Math.min(blocks, Math.floor(answered.blocks / Math.min(load, MAX_CUT))), 1)
  // Time may be that of the way there: whether more blocks take more is only seen by asking for them.
  const growth = Math.min(ofTime > QUICK_SHARE ? CAREFUL_GROWTH : MAX_GROWTH, AIM_SHARE / Math.max(ofLogs, 0.01))
  return Math.min(Math.max(Math.ceil(answered.blocks * growth), blocks), max)
}

/** Time that fewer blocks don't save is not theirs: without that, an endpoint far away would be asked block by block. */
function paceAfter(
  { baseMs, slow }: Pace,
  { blocks, tookMs }: { readonly blocks: number; readonly tookMs: number },
): Pace {
  const base = Math.min(baseMs, tookMs)
  if (blocks === 1) return { baseMs: tookMs, slow: null }
  const isSlow = tookMs - base > COMFORTABLE_MS
  if (slow === null) return { baseMs: base, slow: isSlow ? { blocks, tookMs } : null }
  if (blocks <= slow.blocks / 2) return { baseMs: tookMs > slow.tookMs * SAME_SHARE ? tookMs : base, slow: null }
  return { baseMs: base, slow: blocks >= slow.blocks && !isSlow ? null : slow }
}
