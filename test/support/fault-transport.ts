/**
 * Whole answers that are none: what a provider, or what stands in front of it, sends instead of JSON-RPC.
 */
import { complaint, errorPage, keyedPath } from './fault-keys.ts'
import type { Play, TransportFault } from './fault-schedule.ts'

export type Whole = {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/** Those that need nothing of the node's. */
export type WholeFault = Exclude<
  TransportFault,
  'delay' | 'slow' | 'truncated' | 'reset' | 'silence' | 'stuck' | 'broken-off'
>

const TEXT = { 'content-type': 'text/plain' }
const HTML = { 'content-type': 'text/html' }
const JSON_TYPE = { 'content-type': 'application/json' }
const RETRY_AFTER_SECONDS = 1

export function playTransport({ schedule, dice, keys }: Play, fault: WholeFault): Whole {
  switch (fault) {
    case 'throttled':
      return { status: 429, headers: TEXT, body: complaint(keys, 'Too Many Requests') }
    case 'throttled-retry-after': {
      const { seconds, asDate } = schedule?.retryAfter ?? { seconds: RETRY_AFTER_SECONDS, asDate: false }
      const told = asDate ? dateIn(seconds) : String(seconds)
      return { status: 429, headers: { 'retry-after': told }, body: complaint(keys, 'Too Many Requests') }
    }
    case 'payment-required':
      return { status: 402, headers: TEXT, body: complaint(keys, 'Payment Required: the plan has no requests left') }
    case 'server-error':
      return { status: dice.pick([500, 502, 503, 504]), headers: TEXT, body: complaint(keys, 'upstream error') }
    case 'html':
      return { status: 200, headers: HTML, body: errorPage(keys, 'Just a moment...') }
    case 'html-error':
      return { status: dice.pick([403, 502, 503, 520]), headers: HTML, body: errorPage(keys, 'Bad gateway') }
    case 'bare-text':
      return { status: 200, headers: TEXT, body: `${keys.path} is at ${keyedPath(keys)}` }
    case 'truncated-error': {
      const message = `upstream https://${keys.user}:${keys.password}@node.example/v2/${keys.path}`
      const text = `{"jsonrpc":"2.0","id":1,"error":{"code":-32000,"message":"${message}`
      return { status: 200, headers: JSON_TYPE, body: text.slice(0, -(keys.path.length >> 1)) }
    }
    case 'empty':
      return { status: 200, headers: JSON_TYPE, body: '' }
  }
}

/** As HTTP writes dates, which have no parts of a second: at least that long. */
function dateIn(seconds: number): string {
  return new Date(Date.now() + (seconds + 1) * 1_000).toUTCString()
}
