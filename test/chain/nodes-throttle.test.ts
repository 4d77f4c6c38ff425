/**
 * Nodes that are asked too much, or whose plan has no requests left: they are left alone for as long as they say, or longer and longer
 * where they don't; nothing is lost meanwhile, and with another endpoint nobody waits.
 */
import { describe, expect, test } from 'vitest'
import { sleep } from '../../src/runtime/sleep.ts'
import type { FaultProxy } from '../support/fault-proxy.ts'
import { RETRY_AFTER_SECONDS, THROTTLES } from '../support/misbehaviours.ts'
import { playOnTwo } from '../support/node-play.ts'
import { useNodeStage } from '../support/node-stage.ts'
import { expectRight } from '../support/node-verdict.ts'

const stage = useNodeStage(43)

/** What was under way side by side when the first was refused counts too. */
const FEW = 2
const FEW_OF_SECONDS = 6
const REFUSED_MS = 3_000
const TOLD_MS = RETRY_AFTER_SECONDS * 1_000
const BACK_WITHIN_MS = 20_000

/** Requests after one moment and before another. */
const askedWithin = (proxy: FaultProxy | undefined, from: number, to: number) =>
  (proxy?.arrivals() ?? []).filter(({ at }) => at >= from && at < to).length

describe('one endpoint is hardly asked while it refuses, and used again afterwards', () => {
  for (const [seed, { what, schedule }] of THROTTLES.entries())
    test(what, async () => {
      const run = await stage.open({ ways: ['http'], seed })
      const [proxy] = run.proxies
      const playedAt = performance.now()
      run.play(schedule, [0])
      await stage.world.mine(1)
      await sleep(REFUSED_MS)
      await run.look()
      const firstAt = proxy?.arrivals().find(({ at }) => at >= playedAt)?.at ?? Number.NaN
      expect(askedWithin(proxy, firstAt, firstAt + REFUSED_MS)).toBeLessThanOrEqual(FEW_OF_SECONDS)
      if (schedule.retryAfter !== undefined)
        expect(askedWithin(proxy, firstAt, firstAt + TOLD_MS)).toBeLessThanOrEqual(FEW)
      run.heal()
      const [mined] = await stage.world.mine(1)
      await run.watch.untilSeen(mined?.hash ?? '', AbortSignal.timeout(BACK_WITHIN_MS))
      await stage.world.pass(2)
      await run.untilHead()
      await expectRight(run)
    })
})

describe('two of three endpoints', () => {
  for (const [seed, fault] of THROTTLES.entries())
    test(fault.what, async () => {
      const run = await playOnTwo(stage, [fault, fault], { seed, pairs: [[0, 1]] })
      const refused = run.proxies.slice(0, 2).map(proxy => Object.values(proxy.counters()).reduce((a, b) => a + b, 0))
      expect(Math.max(...refused)).toBeLessThanOrEqual(FEW_OF_SECONDS)
    })
})

/** Less than a daemon asks that catches up without any restraint, and enough to get through in seconds. */
const ALLOWED_PER_SECOND = 40
const HISTORY_BLOCKS = 60
const REFUSED_SHARE = 0.25

test('5: a daemon that catches up finds out how much a node allows', async () => {
  const from = (await stage.world.head()).number
  await stage.world.pass(HISTORY_BLOCKS)
  await stage.world.mine(1)
  const run = await stage.prepare({ ways: ['http'], seed: 1, chain: { startBlock: from } })
  run.play({ rates: {}, view: null, requestsPerSecond: ALLOWED_PER_SECOND }, [0])
  run.start()
  await run.untilHead()
  const [proxy] = run.proxies
  expect(proxy?.counters()['over-limit'] ?? 0).toBeLessThan((proxy?.arrivals().length ?? 0) * REFUSED_SHARE)
  run.heal()
  await stage.world.pass(2)
  await run.untilHead()
  await expectRight(run)
})
