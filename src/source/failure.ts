/**
 * What a node's refusal means.
 *
 * Nodes share error codes only by accident, so code and wording are both read. The wordings are of geth, reth, erigon, nethermind,
 * besu, Anvil, Hardhat and the large providers. What nobody knows is taken for a passing fault and asked elsewhere.
 */

import { AppError } from '../errors.ts'

export type FailureKind =
  /** The endpoint can't be reached or answers with nonsense: another one, later this one again. */
  | 'unreachable'
  /** Too many requests, or a quota: leave it alone for a while. */
  | 'throttled'
  | 'timeout'
  | 'exhausted'
  | 'range-too-large'
  /** The method is not there: use another way on this endpoint. */
  | 'unsupported'
  /** The node has forgotten the filter, or another node behind the same address made it. */
  | 'filter-missing'
  /** The state at that block was pruned. */
  | 'state-gone'
  /** The block is not there (yet). */
  | 'block-missing'
  /** The call itself fails in the EVM. */
  | 'reverted'

const THROTTLED =
  /rate.?limit|too many requests|quota|capacity|throttl|exceeded.*(compute|request|credit|RPS)|request limit|429|402/i
const UNSUPPORTED =
  /method.{0,60}(not (found|supported|available|exist|allowed|whitelisted|implemented)|does not exist|is disabled)|unsupported (method|subscription)|unknown method/i
const FILTER_MISSING = /\bfilter\b.{0,80}(not found|does not exist|expired)|\b(no|unknown) (such )?filter\b/i
const STATE_GONE =
  /missing trie node|state .{0,60}(not available|unavailable|pruned)|no state available|data before .{0,60}not available|historical state|archive|old data not available|pruned history|distance to target block|state at block/i
const BLOCK_MISSING =
  /header (for hash )?not found|unknown block|block not found|block .{0,40}(not found|out of range)|BlockOutOfRange|cannot find (header|block)|^\S+ could not be found/i
const REVERTED =
  /revert|invalid opcode|out of gas|stack (under|over)flow|invalid jump|VM execution error|VM Exception|bad instruction|EVM error/i

/** What is waited at most because a node asks for it: a nonsensical header must not take an endpoint away for good. */
const MAX_RETRY_AFTER_MS = 3_600_000
/** Shorter pieces of a URL are words, and hiding them would spoil the message. */
const MIN_SECRET_LENGTH = 8

export type Failure = { readonly kind: FailureKind; readonly message: string; readonly retryAfterMs: number | null }

/** Reads an error of viem's transports. The message is cut and holds no URL. */
export function describeFailure(error: unknown, url: string): Failure {
  const { code, status, details, retryAfterMs } = factsOf(error)
  const withoutUrls = details.replaceAll(url, '<endpoint>').replace(/\b(?:https?|wss?):\/\/\S+/gi, '<url>')
  // An error page may repeat the path alone ("Cannot POST /v2/…"): that is where the key is.
  const message = secretsOf(url)
    .reduce((text, secret) => text.replaceAll(secret, '<hidden>'), withoutUrls)
    .slice(0, 300)
  return { kind: kindOf(code, status, message), message, retryAfterMs }
}

/** The parts of a URL that may be a key: pieces of its path, values of its query, its credentials; but not words like `v2`. */
function secretsOf(url: string): string[] {
  const parsed = URL.canParse(url) ? new URL(url) : null
  if (parsed === null) return []
  const parts = [...parsed.pathname.split('/'), ...parsed.searchParams.values(), parsed.username, parsed.password]
  return parts.flatMap(part => [part, decoded(part)]).filter(part => part.length >= MIN_SECRET_LENGTH)
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    return part // A stray percent sign.
  }
}

function kindOf(code: number | undefined, status: number | undefined, message: string): FailureKind {
  if (status === 429 || status === 402 || code === -32005 || code === 429) return 'throttled'
  if (code === 3) return 'reverted'
  if (code === undefined) return THROTTLED.test(message) && status !== undefined ? 'throttled' : 'unreachable'
  if (code === -32601 || code === -32004 || UNSUPPORTED.test(message)) return 'unsupported'
  if (STATE_GONE.test(message)) return 'state-gone'
  if (BLOCK_MISSING.test(message)) return 'block-missing'
  if (REVERTED.test(message)) return 'reverted'
  if (FILTER_MISSING.test(message)) return 'filter-missing'
  return THROTTLED.test(message) ? 'throttled' : 'unreachable'
}

type Facts = { code?: number; status?: number; details: string; retryAfterMs: number | null }

function factsOf(error: unknown): Facts {
  if (!(error instanceof Error)) return factsOfBare(error)
  const { code, status, details, headers, cause } = error as Error & {
    code?: unknown
    status?: unknown
    details?: unknown
    headers?: Headers
  }
  const inner = cause instanceof Error ? factsOf(cause) : null
  const number = typeof code === 'number' ? code : inner?.code
  const http = typeof status === 'number' ? status : inner?.status
  const text = typeof details === 'string' && details !== '' ? details : (inner?.details ?? firstLine(error.message))
  const retryAfter = Number(headers?.get?.('retry-after') ?? Number.NaN)
  return {
    ...(number === undefined ? {} : { code: number }),
    ...(http === undefined ? {} : { status: http }),
    details: text,
    retryAfterMs: retryAfter >= 0 ? Math.min(retryAfter * 1000, MAX_RETRY_AFTER_MS) : (inner?.retryAfterMs ?? null),
  }
}

/** What a socket was refused with comes from viem as the node sent it, and what closed it as an event: objects, no errors. */
function factsOfBare(error: unknown): Facts {
  const { code, message } = Object(error) as { code?: unknown; message?: unknown }
  return {
    ...(typeof code === 'number' ? { code } : {}),
    details: typeof message === 'string' ? message : String(error),
    retryAfterMs: null,
  }
}

function firstLine(text: string): string {
  return text.split('\n', 1)[0] ?? ''
}

/** Thrown by an endpoint; the pool decides what to do by `kind`. */
export class EndpointFailure extends AppError {
  readonly kind: FailureKind
  readonly retryAfterMs: number | null
  readonly range: { suggestedBlocks: number | null } | null = null

  constructor(endpoint: string, method: string, failure: Failure, cause: unknown) {
    const code =
      failure.kind === 'state-gone'
        ? 'RPC_STATE_UNAVAILABLE'
        : failure.kind === 'reverted'
          ? 'RPC_REJECTED'
          : 'RPC_UNAVAILABLE'
    super(code, `${method} failed at ${endpoint}: ${failure.message}`, {
      facts: { endpoint, method, kind: failure.kind },
      cause,
    })
    this.kind = failure.kind
    this.retryAfterMs = failure.retryAfterMs
  }
}
