/**
 * Nodes that fail and stall: errors, pages where JSON should be, answers that end in the middle, that come late, or never. A daemon with
 * one endpoint waits and recovers, one with three of which two are so does not even wait.
 */
import { describe, expect, test } from 'vitest'
import type { ProbableFault } from '../support/fault-schedule.ts'
import { type Misbehaviour, playAlone, playOnTwo } from '../support/node-play.ts'
import { useNodeStage } from '../support/node-stage.ts'
import { expectRight } from '../support/node-verdict.ts'

const stage = useNodeStage(42)

const OFTEN = 0.6

const failure = (what: string, fault: ProbableFault, more: Partial<Misbehaviour> = {}): Misbehaviour => ({
  what,
  schedule: { rates: { [fault]: OFTEN }, view: null },
  ...more,
})

const FAILURES: readonly Misbehaviour[] = [
  failure('5: the status of an error of the server', 'server-error'),
  failure('5: an error that names the URL of another server', 'internal-error'),
  failure('5: a page in HTML with status 200', 'html'),
  failure('5: a page in HTML with the status of an error', 'html-error'),
  failure('5: a sentence that begins with the key', 'bare-text'),
  failure('5: JSON that ends in the middle', 'truncated'),
  failure('5: JSON of an error that ends within a key', 'truncated-error'),
  failure('5: an answer without a body', 'empty'),
  failure('5: connections that are reset', 'reset'),
  failure('5: connections that end within the answer', 'broken-off'),
  failure('5: answers that take seconds', 'slow', { times: 1 }),
  failure('5: answers that never come', 'silence', { times: 1 }),
  failure('5: answers that begin and never end', 'stuck', { times: 1 }),
]

describe('one endpoint', () => {
  for (const [seed, fault] of FAILURES.entries())
    test(fault.what, async () => {
      await playAlone(stage, fault, { seed })
    })
})

describe('two of three endpoints', () => {
  for (const [seed, fault] of FAILURES.entries())
    test(fault.what, async () => {
      await playOnTwo(stage, [fault, fault], { seed })
    })
})

const GIVEN_UP_WITHIN_MS = 25_000

test('5: an answer that never comes is given up, though its connection stays open', async () => {
  const run = await stage.open({ ways: ['http'], seed: 1 })
  run.play({ rates: { silence: 1 }, view: null }, [0])
  await stage.world.mine(1)
  await run.proxies[0]?.until('silence', 1, AbortSignal.timeout(GIVEN_UP_WITHIN_MS))
  // What is held stays held; only new questions are answered.
  run.play({ rates: {}, view: null }, [0])
  const [mined] = await stage.world.mine(1)
  await run.watch.untilSeen(mined?.hash ?? '', AbortSignal.timeout(GIVEN_UP_WITHIN_MS))
  await stage.world.pass(2)
  await run.untilHead()
  expect(run.proxies[0]?.counters()).toMatchObject({ silence: expect.any(Number) })
  await expectRight(run)
})
