/**
 * What a bad endpoint plays: kinds of faults, how often each, which part of the chain it shows, and what it has not or allows not.
 */
import type { Dice } from '../../src/demo/dice.ts'
import type { Branch } from './branch.ts'
import type { Keys } from './fault-keys.ts'

/** Faults of a whole answer that the simulation draws from. */
const OLD_TRANSPORT_FAULTS = [
  'throttled',
  'throttled-retry-after',
  'payment-required',
  'server-error',
  'html',
  'truncated',
  'reset',
  'silence',
  'delay',
] as const
/** Faults of a whole answer. The first that is due is played. */
export const TRANSPORT_FAULTS = [
  ...OLD_TRANSPORT_FAULTS,
  /** An error page with the status of an error. */
  'html-error',
  /** A sentence where JSON should be, which begins with the key. */
  'bare-text',
  /** JSON of an error that ends within the key. */
  'truncated-error',
  'empty',
  /** The answer begins, and the connection ends. */
  'broken-off',
  /** The answer begins, and nothing more comes. */
  'stuck',
  /** The answer comes after seconds. */
  'slow',
] as const
/** Faults within an answer, each for the methods that it concerns. */
const OLD_ANSWER_FAULTS = [
  'quota',
  'null-block',
  'foreign-block',
  'foreign-transactions',
  'no-tags',
  'null-receipts',
  'null-transaction',
  'foreign-receipts',
  'duplicate-receipts',
  'missing-receipts',
  'receipts-without-logs',
  'log-twice',
  'foreign-log',
  'wrong-chain',
  'no-block-receipts',
] as const
const FURTHER_ANSWER_FAULTS = [
  /** JSON-RPC errors over a good connection. */
  'throttled-error',
  'internal-error',
  /** The newest block that is told is not there (yet), or of no branch. */
  'early-head',
  'foreign-head',
  'transaction-twice',
  /** Not the last one of its block: that shows against the receipts root only. */
  'log-missing',
  /** Of another transaction than the one that was asked for. */
  'foreign-receipt',
  'foreign-transaction',
] as const
/** Faults of eth_getLogs. */
export const LOG_FAULTS = [
  'logs-empty',
  'logs-of-other-block',
  'logs-of-other-branch',
  'logs-missing',
  'logs-twice',
  /** Only the first blocks of a range are looked at, and nobody says so. */
  'logs-cut-short',
] as const
/** Faults of a websocket beside those of answers. */
const SOCKET_FAULTS = [
  /** It is refused as soon as it is to be opened. */
  'upgrade-refused',
  /** Subscriptions are accepted, and nothing is told. */
  'silent-heads',
  'skipped-head',
  'repeated-head',
  /** A head is told before the node behind the same address has the block. */
  'head-before-block',
  'head-of-other-branch',
  /** Cut when a head was due. */
  'cut-at-head',
] as const
/** Views: the endpoint shows an older chain than there is, or another one, with all that belongs to it. */
const VIEW_FAULTS = ['lagging', 'standing-head', 'wandering-head', 'orphaned', 'other-chain'] as const

/** What the simulation draws from: one more would change what every seed plays. */
export const PROBABLE_FAULTS = [...OLD_TRANSPORT_FAULTS, ...OLD_ANSWER_FAULTS] as const
export type TransportFault = (typeof TRANSPORT_FAULTS)[number]
export type LogFault = (typeof LOG_FAULTS)[number]
export type ProbableFault =
  | TransportFault
  | (typeof OLD_ANSWER_FAULTS)[number]
  | (typeof FURTHER_ANSWER_FAULTS)[number]
  | LogFault
  | (typeof SOCKET_FAULTS)[number]
export type FaultKind =
  | ProbableFault
  | (typeof VIEW_FAULTS)[number]
  | 'missing-method'
  | 'range-refused'
  | 'over-limit'
  | 'state-gone'

export type View =
  /** The newest `blocks` blocks are not there. */
  | { readonly kind: 'lagging'; readonly blocks: number }
  /** Nothing newer than the head at the moment when the schedule began. */
  | { readonly kind: 'standing-head' }
  /** Each request meets another node behind the balancer, up to `blocks` behind. */
  | { readonly kind: 'wandering-head'; readonly blocks: number }
  /** A branch that the chain has left, as it was. */
  | { readonly kind: 'orphaned'; readonly branch: Branch }
  /** Behind the address is a node of another chain: the proxy's stranger. */
  | { readonly kind: 'other-chain' }

/** How a node says that it has no such method. */
export type MissingForm =
  | 'not found'
  | 'not supported'
  | 'unsupported'
  | 'not whitelisted'
  | 'not on this plan'
  | 'HTTP 400'
  | 'HTTP 404'
  | 'HTTP 405'

export type RangeLimit = {
  /** What is limited. */
  readonly of: 'blocks' | 'logs'
  readonly most: number
  /** A key of `RANGE_WORDS`. */
  readonly words: string
}

export type Schedule = {
  /** Of the requests that a fault can concern: the part that meets it. */
  readonly rates: Partial<Record<ProbableFault, number>>
  readonly view: View | null
  /** Methods that are not there; the tags `safe` and `finalized` count as such. */
  readonly missing?: { readonly methods: readonly string[]; readonly form: MissingForm }
  readonly rangeLimit?: RangeLimit
  /** How many of the newest blocks it keeps the state of. */
  readonly keepsStates?: number
  /** It passes over the block that the state of this account (or of `all`) is asked of, and tells the newest. */
  readonly newestStateOf?: string
  /** More requests within a second are answered 429. */
  readonly requestsPerSecond?: number
  /** What `throttled-retry-after` asks for, and whether as a date. */
  readonly retryAfter?: { readonly seconds: number; readonly asDate: boolean }
}

/** A schedule while it is played. */
export type Play = {
  /** The node behind. */
  readonly target: string
  /** A node of another chain. */
  readonly stranger: string | null
  readonly dice: Dice
  readonly keys: Keys
  readonly counts: Map<FaultKind, number>
  /** Told of each fault that is counted. */
  readonly listeners: Set<() => void>
  /** When requests came, newest last: monotonic milliseconds. */
  readonly arrivals: Arrival[]
  schedule: Schedule | null
  /** The head that a standing view shows, once it was asked for. */
  standsAt: number | null
  /** What the node does not have yet though a websocket told of it, and when it will: monotonic milliseconds. */
  announced: { readonly number: number; readonly until: number } | null
}

export type Arrival = { readonly at: number; readonly method: string }

export function count(play: Play, fault: FaultKind): void {
  play.counts.set(fault, (play.counts.get(fault) ?? 0) + 1)
  for (const listener of play.listeners) listener()
}

/** Whether a fault is to be played now; counted if so. */
export function plays(play: Play, fault: ProbableFault): boolean {
  const rate = play.schedule?.rates[fault] ?? 0
  if (rate === 0 || !play.dice.chance(rate)) return false
  count(play, fault)
  return true
}
