/**
 * What a bad endpoint plays: kinds of faults, how often each, and which part of the chain it shows.
 */
import type { Dice } from '../../src/demo/dice.ts'
import type { Branch } from './branch.ts'

/** Faults of a whole HTTP answer. */
export const TRANSPORT_FAULTS = [
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
/** Faults within an answer, each for the methods that it concerns. */
const ANSWER_FAULTS = [
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
/** Views: the endpoint shows an older chain than there is, with all that belongs to it. */
const VIEW_FAULTS = ['lagging', 'standing-head', 'wandering-head', 'orphaned'] as const

export const PROBABLE_FAULTS = [...TRANSPORT_FAULTS, ...ANSWER_FAULTS] as const
export type ProbableFault = (typeof PROBABLE_FAULTS)[number]
export type FaultKind = ProbableFault | (typeof VIEW_FAULTS)[number]

export type View =
  /** The newest `blocks` blocks are not there. */
  | { readonly kind: 'lagging'; readonly blocks: number }
  /** Nothing newer than the head at the moment when the schedule began. */
  | { readonly kind: 'standing-head' }
  /** Each request meets another node behind the balancer, up to `blocks` behind. */
  | { readonly kind: 'wandering-head'; readonly blocks: number }
  /** A branch that the chain has left, as it was. */
  | { readonly kind: 'orphaned'; readonly branch: Branch }

export type Schedule = {
  /** Of the requests that a fault can concern: the part that meets it. */
  readonly rates: Partial<Record<ProbableFault, number>>
  readonly view: View | null
}

/** A schedule while it is played. */
export type Play = {
  /** The node behind. */
  readonly target: string
  readonly dice: Dice
  readonly counts: Map<FaultKind, number>
  schedule: Schedule | null
  /** The head that a standing view shows, once it was asked for. */
  standsAt: number | null
}

export function count(play: Play, fault: FaultKind): void {
  play.counts.set(fault, (play.counts.get(fault) ?? 0) + 1)
}

/** Whether a fault is to be played now; counted if so. */
export function plays(play: Play, fault: ProbableFault): boolean {
  const rate = play.schedule?.rates[fault] ?? 0
  if (rate === 0 || !play.dice.chance(rate)) return false
  count(play, fault)
  return true
}
