/**
 * What a node's refusal means, read from an error of viem's transports.
 *
 * Always holds: the message that is told is cut and holds no URL and no part of one that may be a key. What is judged is longer than
 * what is told, since some say the important thing last. The meaning of the words is in `refusal.ts`.
 */

import { createScrubber } from '../config/secret.ts'
import { AppError } from '../errors.ts'
import { systemClock } from '../runtime/clock.ts'
import { blocksAsked, suggestedBlocks } from './range-hint.ts'
import { type FailureKind, kindOf, mayBeTooMuch } from './refusal.ts'
import { retryAfterMs } from './retry-after.ts'

export { asksForRest, type FailureKind, gaveNoAnswer } from './refusal.ts'

const MAX_TOLD_CHARS = 300
/** Of an error page of megabytes, the title is enough. */
const MAX_JUDGED_CHARS = 2_000
/** How deep the data of an error is searched for words. */
const MAX_DATA_DEPTH = 3

export type Failure = {
  readonly kind: FailureKind
  readonly message: string
  readonly retryAfterMs: number | null
  /**
   * Not null where fewer blocks may be answered: the range was refused, or logs of several blocks were asked for and the time was up.
   * With the number of blocks that is suggested, which is smaller than what was asked.
   */
  readonly range: { readonly suggestedBlocks: number | null } | null
}

/** What the refused question was: the same words mean another thing for logs. */
export type Asked = { readonly method: string; readonly params: readonly unknown[] }

/**
 * Reads an error of viem's transports. The message is cut and holds no URL.
 *
 * @param nowMs by our clock, for a Retry-After that is a date
 */
export function describeFailure(
  error: unknown,
  url: string,
  asked: Asked | null = null,
  nowMs = systemClock.now(),
): Failure {
  const { code, status, texts, data, headers } = factsOf(error)
  const text = withoutSecrets(texts.join(': '), url).slice(0, MAX_JUDGED_CHARS)
  const kind = kindOf({ code, status, text, method: asked?.method })
  return {
    kind,
    message: withoutSecrets(texts.map(withoutQuote).join(': '), url).slice(0, MAX_TOLD_CHARS),
    retryAfterMs: retryAfterMs(headers, data, text, nowMs),
    range: rangeOf(kind, text, data, asked),
  }
}

function rangeOf(kind: FailureKind, text: string, data: unknown, asked: Asked | null): Failure['range'] {
  const blocks = asked?.method === 'eth_getLogs' ? blocksAsked(asked.params) : null
  const isTooMuch = kind === 'range-too-large' || (blocks !== null && blocks > 1 && mayBeTooMuch(kind, text))
  return isTooMuch ? { suggestedBlocks: suggestedBlocks(text, data, blocks) } : null
}

/** A parser quotes the beginning of what it could not read: a key may be in it, and cut so that nobody knows it for one. */
function withoutQuote(text: string): string {
  return /is not valid JSON|^Unexpected (token|end|non-whitespace)|\bin JSON at position\b/i.test(text)
    ? 'what was answered is not valid JSON'
    : text
}

/** An error page may repeat the path alone ("Cannot POST /v2/…"), or the header that credentials became: that is where keys are. */
function withoutSecrets(text: string, url: string): string {
  const withoutUrls = text.replaceAll(url, '<endpoint>').replace(/\b(?:https?|wss?):\/\/\S+/gi, '<url>')
  return createScrubber([url])(withoutUrls)
}

type Facts = {
  readonly code: number | undefined
  readonly status: number | undefined
  /** What is said, first what the message says. */
  readonly texts: readonly string[]
  readonly data: unknown
  readonly headers: Headers | undefined
}

type Thrown = { code?: unknown; status?: unknown; details?: unknown; headers?: Headers; cause?: unknown }
type Sent = { code?: unknown; message?: unknown; details?: unknown; data?: unknown }

/** viem wraps what a node sent once or twice, and over a socket not at all; what was sent is the innermost cause, and no error. */
function factsOf(error: unknown): Facts {
  const errors: (Error & Thrown)[] = []
  let innermost = error
  for (; innermost instanceof Error; innermost = innermost.cause) errors.push(innermost)
  const sent = Object(innermost) as Sent
  const status = errors.map(each => each.status).find(each => typeof each === 'number')
  const code = errors.map(each => each.code).find(each => typeof each === 'number') ?? numeral(sent.code)
  const said = errors.map(({ details }) => details).find(isText) ?? (isText(sent.message) ? sent.message : null)
  const bare = errors.length === 0 || isText(innermost) ? String(innermost) : firstLine(errors[0]?.message ?? '')
  return {
    code,
    status,
    texts: [said ?? bare, ...[sent.details].filter(isText), ...wordsOf(sent.data, 0)],
    data: sent.data,
    headers: errors.map(({ headers }) => headers).find(headers => headers !== undefined),
  }
}

/** Some put all that matters into the data, behind "invalid params". What is a question sent back, or bytes, says nothing. */
function wordsOf(data: unknown, depth: number): string[] {
  if (isText(data)) return data.startsWith('0x') ? [] : [data]
  if (typeof data !== 'object' || data === null || depth > MAX_DATA_DEPTH) return []
  return Object.entries(data).flatMap(([name, value]) =>
    /request|params|header/i.test(name) ? [] : wordsOf(value, depth + 1),
  )
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== ''
}

/** A few send their codes as text. */
function numeral(code: unknown): number | undefined {
  const number = typeof code === 'string' && /^-?\d+$/.test(code) ? Number(code) : code
  return typeof number === 'number' ? number : undefined
}

function firstLine(text: string): string {
  return text.split('\n', 1)[0] ?? ''
}

/** Thrown by an endpoint; the pool decides what to do by `kind`. */
export class EndpointFailure extends AppError {
  readonly kind: FailureKind
  readonly retryAfterMs: number | null
  readonly range: Failure['range']

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
    this.range = failure.range
  }
}
