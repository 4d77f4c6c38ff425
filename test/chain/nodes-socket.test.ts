/**
 * Websockets that are worse than none: open and silent, to questions or to subscriptions, cut again and again, with heads that are
 * skipped, come twice, come before their block, or are of another branch. What a socket tells is a hint to look; what is not told is
 * found all the same.
 */
import { describe, test } from 'vitest'
import { FAILURES, LIES, SOCKET_HEADS, SOCKETS, THROTTLES } from '../support/misbehaviours.ts'
import { playAlone, playOnTwo } from '../support/node-play.ts'
import { useNodeStage } from '../support/node-stage.ts'

const stage = useNodeStage(47)

/** What the same faults of answers are over a socket. */
const OF_ANSWERS = new Set([
  '1: null for a block that was just announced',
  '3: the receipts of another block',
  '5: a page in HTML with status 200',
  '5: JSON that ends in the middle',
  '5: answers that take seconds',
  '5: a limit told as an error with status 200',
])
const ANSWERS = [...LIES, ...FAILURES, ...THROTTLES].filter(({ what }) => OF_ANSWERS.has(what))

describe('the only endpoint is a websocket', () => {
  for (const [seed, fault] of [...SOCKET_HEADS, ...SOCKETS, ...ANSWERS].entries())
    test(fault.what, async () => {
      await playAlone(stage, fault, { seed, ways: ['websocket'] })
    })
})

describe('two of three websockets', () => {
  for (const [seed, fault] of [...SOCKET_HEADS, ...SOCKETS].entries())
    test(fault.what, async () => {
      await playOnTwo(stage, [fault, fault], { seed, ways: ['websocket', 'websocket', 'websocket'] })
    })
})

describe('a silent websocket, an endpoint that fails, and a good one', () => {
  const [silent] = SOCKETS
  if (silent === undefined) throw new Error('there is no silent socket')
  const failing = [...FAILURES, ...THROTTLES].filter(({ what }) =>
    /status of an error|never come|429 without/.test(what),
  )
  for (const [seed, fault] of failing.entries())
    test(`7 and ${fault.what}`, async () => {
      const options = { seed, ways: ['websocket', 'http', 'http'], pairs: [[0, 1]] } as const
      await playOnTwo(stage, [silent, fault], options)
    })
})
