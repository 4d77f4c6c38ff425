/**
 * How nodes misbehave, as the tests play it, each under the number of what it is an example of:
 *
 * 1. null for a block, or for its receipts, that was just announced;
 * 2. lists of logs that are empty, or lack some, though the header promises logs;
 * 3. logs, receipts or transactions of another block; twice; or not as many as there are;
 * 4. a head that goes back, stands still, or belongs to another chain;
 * 5. 429, 402 and quotas; 5xx; HTML; truncated JSON; connections that are reset; answers that never come;
 * 6. "range too large" in many wordings, also as a timeout (`nodes-ranges.test.ts` alone: only history is asked for in ranges);
 * 7. websockets that stay open and say nothing;
 * 8. methods that are missing.
 *
 * Always holds: rates are those for an only endpoint, where what is asked again may be answered well; of several endpoints the bad ones
 * play at each chance (`node-play.ts`).
 */
import type { FaultKind, ProbableFault, Schedule, View } from './fault-schedule.ts'

export type Misbehaviour = {
  /** Begins with its number. */
  readonly what: string
  readonly schedule: Schedule
  /** What shows that it was met; absent: all that has a rate, and the view. */
  readonly shows?: readonly FaultKind[]
  /** Of times that show it; absent: a few. A daemon that waits for an answer does not ask again. */
  readonly times?: number
  /** Its websockets are cut as it begins. */
  readonly cuts?: boolean
  /** Also alone nothing waits for it. */
  readonly isHarmless?: boolean
  /** The endpoint is right to be left alone for a while afterwards. */
  readonly rests?: boolean
  /** Alone it looks like a reorg, for as long as it is played. */
  readonly takesBack?: boolean
}

const OFTEN = 0.6

type More = Omit<Partial<Misbehaviour>, 'what'>

/** @param faults the last of them shows that it was met */
function often(what: string, faults: readonly ProbableFault[], more: More = {}): Misbehaviour {
  const rates = Object.fromEntries(faults.map(fault => [fault, OFTEN]))
  return { what, schedule: { rates, view: null }, shows: faults.slice(-1), ...more }
}

function shows(what: string, view: View, more: More = {}): Misbehaviour {
  return { what, schedule: { rates: {}, view }, ...more }
}

export const LIES: readonly Misbehaviour[] = [
  often('1: null for a block that was just announced', ['null-block']),
  often('1: null for the receipts of a block that was just announced', ['null-receipts']),
  often('1: null for receipts one by one', ['no-block-receipts', 'null-transaction']),
  often('1: a head that is told before it is there', ['early-head']),
  often('2: receipts without logs, of a block that has some', ['receipts-without-logs']),
  often('2: receipts of which a log is missing', ['log-missing']),
  often('3: another block', ['foreign-block']),
  often('3: the transactions of another block', ['foreign-transactions']),
  often('3: a transaction that comes twice', ['transaction-twice']),
  often('3: the receipts of another block', ['foreign-receipts']),
  often('3: a receipt that comes twice', ['duplicate-receipts']),
  often('3: fewer receipts than transactions', ['missing-receipts']),
  often('3: the receipt of another transaction', ['no-block-receipts', 'foreign-receipt']),
  often('3: a log that comes twice', ['log-twice']),
  often('3: a log of another block', ['foreign-log']),
]

export const HEADS: readonly Misbehaviour[] = [
  shows('4: a head that goes back and forth', { kind: 'wandering-head', blocks: 3 }),
  // For longer than the patience with it: what a chain that was rolled back looks like.
  shows('4: a head that goes back, and stays behind', { kind: 'lagging', blocks: 3 }, { takesBack: true }),
  shows('4: a head that stands still', { kind: 'standing-head' }),
  shows('4: another chain behind the same address', { kind: 'other-chain' }),
  {
    what: '4: another chain id after connections were lost',
    schedule: { rates: { reset: 0.3, 'wrong-chain': 0.7 }, view: null },
    shows: ['wrong-chain'],
  },
  often('4: a head of a branch that nobody has', ['foreign-head']),
]

export const FAILURES: readonly Misbehaviour[] = [
  often('5: the status of an error of the server', ['server-error']),
  often('5: an error that names the URL of another server', ['internal-error']),
  often('5: a page in HTML with status 200', ['html']),
  often('5: a page in HTML with the status of an error', ['html-error']),
  often('5: a sentence that begins with the key', ['bare-text']),
  often('5: JSON that ends in the middle', ['truncated']),
  often('5: JSON of an error that ends within a key', ['truncated-error']),
  often('5: an answer without a body', ['empty']),
  often('5: connections that are reset', ['reset']),
  often('5: connections that end within the answer', ['broken-off']),
  often('5: answers that take seconds', ['slow'], { times: 1 }),
  often('5: answers that never come', ['silence'], { times: 1 }),
  often('5: answers that begin and never end', ['stuck'], { times: 1 }),
]

/** A throttle is told each time. */
function refused(what: string, fault: ProbableFault, more: Partial<Schedule> = {}): Misbehaviour {
  return { what, schedule: { rates: { [fault]: 1 }, view: null, ...more }, times: 1, rests: true }
}

export const RETRY_AFTER_SECONDS = 3

export const THROTTLES: readonly Misbehaviour[] = [
  refused('5: 429 without Retry-After', 'throttled'),
  ...[false, true].map(asDate =>
    refused(`5: 429 with Retry-After ${asDate ? 'as a date' : 'in seconds'}`, 'throttled-retry-after', {
      retryAfter: { seconds: RETRY_AFTER_SECONDS, asDate },
    }),
  ),
  refused('5: a limit told as an error with status 200', 'throttled-error'),
  refused('5: 402, the plan has no requests left', 'payment-required'),
  refused('5: a quota told as an error with status 200', 'quota'),
]

/** Of what a websocket tells; its questions are answered well. */
export const SOCKET_HEADS: readonly Misbehaviour[] = [
  {
    what: '7: subscriptions that tell nothing',
    schedule: { rates: { 'silent-heads': 1 }, view: null },
    isHarmless: true,
  },
  often('7: heads that are skipped', ['skipped-head'], { isHarmless: true }),
  often('7: heads that come twice', ['repeated-head'], { isHarmless: true }),
  often('7: heads that come before their block is there', ['head-before-block'], { isHarmless: true }),
  often('7: heads of another branch', ['head-of-other-branch'], { isHarmless: true }),
  often('7: sockets that are cut when a head is due', ['cut-at-head']),
]

/** Of whatever goes over a websocket. */
export const SOCKETS: readonly Misbehaviour[] = [
  {
    what: '7: open sockets that say nothing at all',
    schedule: { rates: { silence: 1, 'silent-heads': 1 }, view: null },
    shows: ['silence'],
    times: 1,
  },
  often('7: answers that never come over a socket', ['silence'], { times: 1 }),
  often('7: sockets that are cut at every other question', ['reset']),
  {
    what: '7: sockets that can not be opened again',
    schedule: { rates: { 'upgrade-refused': 1 }, view: null },
    cuts: true,
  },
]

export const MISSING: readonly Misbehaviour[] = (['not found', 'not on this plan', 'HTTP 404'] as const).map(form => ({
  what: `8: no eth_getBlockReceipts and no eth_getLogs, which is said as ${form}`,
  schedule: { rates: {}, view: null, missing: { methods: ['eth_getBlockReceipts', 'eth_getLogs'], form } },
  shows: ['missing-method'],
  times: 1,
}))
