/**
 * Nodes whose head is wrong: it goes back, stands still, is of no branch, of a branch that was left, or of another chain. With one
 * endpoint nothing is taken back for it that was right; with three of which two are so, the third one's blocks are taken.
 */
import { describe, expect, test } from 'vitest'
import { sleep } from '../../src/runtime/sleep.ts'
import { recordBranch } from '../support/branch.ts'
import { HEADS } from '../support/misbehaviours.ts'
import { playAlone, playOnTwo } from '../support/node-play.ts'
import { useNodeStage } from '../support/node-stage.ts'
import { expectRight, expectSoonVisible } from '../support/node-verdict.ts'

const stage = useNodeStage(44)

describe('one endpoint', () => {
  for (const [seed, fault] of HEADS.entries())
    test(fault.what, async () => {
      await playAlone(stage, fault, { seed })
    })
})

describe('two of three endpoints', () => {
  for (const [seed, fault] of HEADS.entries())
    test(fault.what, async () => {
      await playOnTwo(stage, [fault, fault], { seed })
    })
})

const STALL_TOLD_WITHIN_MS = 20_000

test('4: a head that stands still for long makes the daemon not ready, with the reason, and is no reason afterwards', async () => {
  const run = await stage.open({ ways: ['http'], seed: 1 })
  const { world } = run
  await world.mine(1)
  await run.untilHead()
  expect(await run.look()).toMatchObject({ ready: true })
  run.play({ rates: {}, view: { kind: 'standing-head' } }, [0])
  await world.mine(1)
  await expect
    .poll(async () => (await run.look()).reasons.join(), { timeout: STALL_TOLD_WITHIN_MS, interval: 200 })
    .toMatch(/head|block/i)
  run.heal()
  await world.mine(1)
  await world.pass(2)
  await run.untilHead()
  await expect.poll(async () => (await run.look()).ready, { timeout: STALL_TOLD_WITHIN_MS }).toBe(true)
  await expectRight(run)
})

const REORG_DEPTH = 2

test('4: two of three endpoints that stay on a branch which the chain has left do not keep a daemon there', async () => {
  const run = await stage.open({ ways: ['http', 'http', 'http'], seed: 1 })
  const { world } = run
  await world.mine(3)
  await run.untilHead()
  const branch = await recordBranch(world.anvil, REORG_DEPTH + 3)
  await world.traffic.reorganise(REORG_DEPTH, 1)
  run.play({ rates: {}, view: { kind: 'orphaned', branch } }, [0, 1])
  const mined = await world.mine(3)
  await expectSoonVisible(run, mined, 'endpoints 0 and 1 show the old branch')
  await world.pass(2)
  run.heal()
  await run.untilHead()
  await expectRight(run, { takesBack: true })
})

const WRONG_CHAIN_MS = 1_500

test.each([
  ['its only endpoint', ['http'], [0]],
  ['two of three endpoints', ['http', 'http', 'http'], [0, 1]],
] as const)('4: a daemon that begins on another chain, by %s, takes nothing of it', async (_what, ways, bad) => {
  const run = await stage.prepare({ ways, seed: 1 })
  run.play({ rates: {}, view: { kind: 'other-chain' } }, bad)
  run.start()
  await sleep(WRONG_CHAIN_MS)
  await run.look()
  const isAlone = bad.length === ways.length
  if (isAlone) expect(await run.indexer.store.checkpoint(run.chain.id)).toBeNull()
  const mined = await run.world.mine(2)
  if (!isAlone) await expectSoonVisible(run, mined, 'endpoints 0 and 1 are of another chain')
  await run.world.pass(2)
  run.heal()
  await run.untilHead()
  await expectRight(run)
})
