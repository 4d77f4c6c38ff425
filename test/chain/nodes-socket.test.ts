/**
 * Websockets that are worse than none: open and silent, to questions or to subscriptions, cut again and again, with heads that are
 * skipped, come twice, come before their block, or are of another branch. What a socket tells is a hint to look; what is not told is
 * found all the same.
 */
import { describe, test } from 'vitest'
import type { ProbableFault, Schedule } from '../support/fault-schedule.ts'
import { type Misbehaviour, playAlone, playOnTwo } from '../support/node-play.ts'
import { useNodeStage } from '../support/node-stage.ts'

const stage = useNodeStage(47)

const OFTEN = 0.6

const told = (what: string, rates: Schedule['rates'], more: Partial<Misbehaviour> = {}): Misbehaviour => ({
  what,
  schedule: { rates, view: null },
  ...more,
})
const often = (fault: ProbableFault) => ({ [fault]: OFTEN })

/** Of subscriptions: questions are answered well. */
const HEADS: readonly Misbehaviour[] = [
  told('7: subscriptions that tell nothing', { 'silent-heads': 1 }, { isHarmless: true }),
  told('7: heads that are skipped', often('skipped-head'), { isHarmless: true }),
  told('7: heads that come twice', often('repeated-head'), { isHarmless: true }),
  told('7: heads that come before their block is there', often('head-before-block'), { isHarmless: true }),
  told('7: heads of another branch', often('head-of-other-branch'), { isHarmless: true }),
  told('7: sockets that are cut when a head is due', often('cut-at-head')),
]

/** Of whatever goes over the socket. */
const SOCKETS: readonly Misbehaviour[] = [
  told('7: open sockets that say nothing at all', { silence: 1, 'silent-heads': 1 }, { shows: ['silence'], times: 1 }),
  told('7: answers that never come', often('silence'), { times: 1 }),
  told('7: sockets that are cut at every other question', { reset: 0.5 }),
  told('7: sockets that can not be opened again', { 'upgrade-refused': 1 }, { cuts: true }),
  told('5: answers that end in the middle', often('truncated'), { times: 1 }),
  told('5: pages in HTML', often('html'), { times: 1 }),
  told('5: too many requests', often('throttled-error')),
  told('5: answers that take seconds', often('slow'), { times: 1 }),
  told(
    '1: null for a block that was just announced',
    { 'null-block': OFTEN, 'null-receipts': OFTEN },
    { shows: ['null-block'] },
  ),
  told('3: the receipts of another block', often('foreign-receipts')),
]

describe('the only endpoint is a websocket', () => {
  for (const [seed, fault] of [...HEADS, ...SOCKETS].entries())
    test(fault.what, async () => {
      await playAlone(stage, fault, { seed, ways: ['websocket'] })
    })
})

describe('two of three websockets', () => {
  for (const [seed, fault] of [...HEADS, ...SOCKETS].entries())
    test(fault.what, async () => {
      await playOnTwo(stage, [fault, fault], { seed, ways: ['websocket', 'websocket', 'websocket'] })
    })
})

describe('a websocket that tells nothing beside two endpoints that fail', () => {
  const silent = told('', { silence: 1, 'silent-heads': 1 })
  for (const [seed, fault] of (['server-error', 'silence', 'throttled'] as const).entries())
    test(`5 and 7: ${fault}`, async () => {
      const failing = told(fault, { [fault]: 1 })
      const options = { seed, ways: ['websocket', 'http', 'http'], pairs: [[0, 1]] } as const
      await playOnTwo(stage, [silent, failing], options)
    })
})
