/**
 * What the words of a refusal mean.
 *
 * Nodes share error codes only by accident: -32005 is a rate limit here, too many results there, and a plan that is used up elsewhere.
 * So the words decide, and a code only where it has one meaning or the words have none. What nobody knows is taken for a passing fault.
 *
 * Always holds: the order of the readings below is part of them. What a contract says comes first, for it can say anything; what counts
 * by the second comes before ranges and quotas, for its texts advertise both; ranges come before quotas, for their texts name plans.
 */

export type FailureKind =
  /** The endpoint can't be reached or answers with nonsense: another one, later this one again. */
  | 'unreachable'
  /** No answer in time, from the node or from what stands before it. For many blocks of logs it means that they were too many. */
  | 'timeout'
  /** Too many requests at once: leave it alone for a while. */
  | 'throttled'
  /** What the plan allows for a day or a month is used up, or nobody pays: leave it alone for long. */
  | 'exhausted'
  /** More than one answer may hold: too many blocks, results or bytes. Ask for less. */
  | 'range-too-large'
  /** The method is not there: use another way on this endpoint. */
  | 'unsupported'
  /** The node has forgotten the filter, or another node behind the same address made it. */
  | 'filter-missing'
  /** The state at that block, or the block's history, was pruned. */
  | 'state-gone'
  /** The block is not there (yet). */
  | 'block-missing'
  /** The call itself fails in the EVM. */
  | 'reverted'

/** Whether the endpoint asks to be left alone: it works, but not for us, not now. */
export function asksForRest(kind: FailureKind): boolean {
  return kind === 'throttled' || kind === 'exhausted'
}

/** Whether nothing was answered that could be believed: the node behind the address may be another one by now. */
export function gaveNoAnswer(kind: FailureKind): boolean {
  return kind === 'unreachable' || kind === 'timeout'
}

export type Refusal = {
  readonly code: number | undefined
  /** The HTTP status, where it was not 2xx. */
  readonly status: number | undefined
  readonly text: string
  readonly method: string | undefined
}

const any = (...parts: readonly RegExp[]): RegExp => new RegExp(parts.map(({ source }) => source).join('|'), 'i')

const REVERTED =
  /revert|invalid opcode|out of gas|stack (under|over)flow|invalid jump|VM execution error|VM Exception|bad instruction|EVM error/i

/** A limit on moments: it is over when the moment is. */
const BY_THE_SECOND = /(\bper |\/ ?)(second|sec|s|minute|min)\b|\b(rps|qps|tps|cups)\b/i

/** The first group is about blocks, the second about results, the third about bytes, the last about what to ask instead. */
const TOO_MUCH = any(
  /(?<!out of )(?<!outside )\branges? (?!request).{0,60}?\b(too (large|wide|big|high|long)|exceed\w*|limit(ed)?\b|(larg|bigg|great|high|wid)er|more than|over \d)/,
  /\b(max\w*|allowed|exceed\w*|limited to|up to|at most|too wide|supports?)\b.{0,40}?\branges?\b/,
  /\btoo many blocks|\b(more than|at most|over|max\w* allowed is) [\d.,]+k? blocks\b|\bblocks distance\b|number of requested blocks/,
  /query must be smaller than|fromBlock and toBlock .{0,60}\bexceed/,

  /\b(more than .{0,20}|too many )(results|logs|events)\b/,
  /\bmax(imum)? (results|logs|log count)\b|\blogs matched\b.{0,40}(exceed|limit)|\blimit of [\d,]+ (logs|results)/,

  /\b(response|result|answer)s?( body| message)?( size)? (is )?(too (large|big)|exceed\w*|should not|larger than)/,
  /\bresponse body exceeded|cannot create a string longer/,

  /(this|smaller|narrower|reduc\w+ (your |the )?) ?block range/,
)

/** A range that ends where the node has no blocks yet. Fewer blocks would not help. */
const AHEAD = /\b(beyond|exceeds?|past|after) (the )?(current|latest|chain|head)|invalid block range/i

const FOR_LONG = /\b(daily|monthly|weekly|(per|a|this) (day|month)|today|24 ?h(ours?)?)\b/i
const ALLOWANCE = /limit|count|capacity|credits?\b|usage|requests?\b|\bCUs?\b/i
const USED_UP = any(
  /payment required|\bquota\b|usage limit/,
  /\b(out of|insufficient|not enough|no (more|remaining)|used up|exhausted|depleted)\b.{0,20}\b(CUs?|RUs?|compute units?|credits?)\b/,
  /\b(CUs?|RUs?|compute units?|credits?)\b.{0,20}\b(exhausted|used up|depleted)\b/,
  /\b(limit|exceeded|reached)\b.{0,30}\b(your|this|the)( current)? (plan|subscription)\b|reached the free tier/,
)
/** Advertising that goes with many refusals: read only where nothing else is known. */
const PAY = /upgrade (your|to a) .{0,12}(plan|account|subscription|tier)/i

const THROTTLED = any(
  /rate.?limit|request rate|too many (requests?|calls|connections)|throttl|slow down|request limit|requests? (are )?limited/,
  /exceed\w*.{0,40}\b(requests?|calls|credits?|capacity|throughput|compute)\b|over capacity|too much load|rabbit hole is full/,
  /\b(http|status|code:?) ?429\b/,
)

/** A connection that was not made in time says nothing of what was asked. */
const NOT_CONNECTED = /connect(ion)?\b.{0,20}\btime(d ?out|out)/i
const TIMED_OUT = /\btimed?[ -]?out\b|deadline exceeded/i
/** Gateway timeout, and what Cloudflare says for it; a request timeout. */
const TIMED_OUT_STATUSES: ReadonlySet<number | undefined> = new Set([408, 504, 524])

const UNSUPPORTED = any(
  /method.{0,60}(not (found|supported|available|exist|allowed|whitelisted|implemented|included)|does not exist|is (disabled|unsupported))/,
  /unsupported (method|subscription)|unknown method|\b[a-z]+_[a-z]\w+ is (not (supported|available|enabled|allowed|included)|disabled)/,
)
const FILTER_MISSING = /\bfilter\b.{0,80}(not found|does not exist|expired)|\b(no|unknown) (such )?filter\b/i
const STATE_GONE = any(
  /missing trie node|state .{0,60}(not available|unavailable|pruned)|no state available|data before .{0,60}not available|state at block/,
  /historical (state|RPC)|archive|old data not available|\bprun(ed|ing)\b|distance to target block|lowest height is|state already discarded/,
)
const BLOCK_MISSING = any(
  AHEAD,
  /header (for hash )?not found|unknown block|block not found|block .{0,40}(not found|out of range)|BlockOutOfRange/,
  /cannot find (header|block)|^\S+ could not be found|blocks? ?.{0,80}cannot be found|invalid block tag|block greater than current height|unfinalized data|range that is not available yet/,
)

/** Proxies that asked every node behind them in vain: with many blocks of logs it is often their time that was up. */
const OVERWHELMED = /no backend is currently healthy|unable to complete request|forwarder error/i

/** Not found, not allowed, not implemented: of one method, where a server routes by methods. */
const MISSING_STATUSES: ReadonlySet<number | undefined> = new Set([404, 405, 501])
/** Without these an endpoint is none: whoever has not found them has not found the endpoint. */
const BASIC_METHODS: ReadonlySet<string | undefined> = new Set([
  'eth_chainId',
  'eth_blockNumber',
  'eth_getBlockByNumber',
  'eth_getTransactionByHash',
  'eth_getTransactionReceipt',
])

export function kindOf(refusal: Refusal): FailureKind {
  const { code, status, text, method } = refusal
  if (code === 3 || (code !== undefined && REVERTED.test(text))) return 'reverted'
  if (BY_THE_SECOND.test(text)) return 'throttled'
  if (TOO_MUCH.test(text) && !AHEAD.test(text)) return 'range-too-large'
  if (isUsedUp(refusal)) return 'exhausted'
  if (status === 429 || code === 429 || THROTTLED.test(text)) return 'throttled'
  if (TIMED_OUT_STATUSES.has(status) || (TIMED_OUT.test(text) && !NOT_CONNECTED.test(text))) return 'timeout'
  // "limit exceeded" and no more: of requests, or of what a filter may match.
  if (code === -32005) return method === 'eth_getLogs' ? 'range-too-large' : 'throttled'
  if (status === 413 && method === 'eth_getLogs') return 'range-too-large'
  if (code === undefined) {
    const isMissing = MISSING_STATUSES.has(status) && method !== undefined && !BASIC_METHODS.has(method)
    return isMissing ? 'unsupported' : 'unreachable'
  }
  return kindOfOthers(code, text, method)
}

function kindOfOthers(code: number, text: string, method: string | undefined): FailureKind {
  if (code === -32601 || code === -32004 || UNSUPPORTED.test(text)) return 'unsupported'
  if (STATE_GONE.test(text)) return 'state-gone'
  if (BLOCK_MISSING.test(text)) return 'block-missing'
  if (FILTER_MISSING.test(text)) return 'filter-missing'
  // What we ask is well-formed: an argument that is not taken here is a tag that the node does not know.
  if (code === -32602 && method === 'eth_getBlockByNumber') return 'unsupported'
  return PAY.test(text) ? 'exhausted' : 'unreachable'
}

function isUsedUp({ code, status, text }: Refusal): boolean {
  return status === 402 || code === 402 || USED_UP.test(text) || (FOR_LONG.test(text) && ALLOWANCE.test(text))
}

/** Whether it may be answered with fewer blocks, though it does not say so. */
export function mayBeTooMuch(kind: FailureKind, text: string): boolean {
  return kind === 'timeout' || (kind === 'unreachable' && OVERWHELMED.test(text))
}
