/**
 * Nodes that fail and stall: errors, pages where JSON should be, answers that end in the middle, that come late, or never. A daemon with
 * one endpoint waits and recovers, one with three of which two are so does not even wait.
 */
import { describe, expect, test } from 'vitest'
import { FAILURES } from '../support/misbehaviours.ts'
import { playAlone, playOnTwo } from '../support/node-play.ts'
import { useNodeStage } from '../support/node-stage.ts'
import { expectRight } from '../support/node-verdict.ts'

const stage = useNodeStage(42)

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
