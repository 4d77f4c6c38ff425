import { describe, expect, test } from 'vitest'
import type { Confirmations } from '../../src/core/chain.ts'
import { finalityAfter, type Plan, type PlanInput, planStep } from '../../src/core/plan.ts'
import { hashOf } from './support/build.ts'
import { fc } from './support/property.ts'

const checkpoint = { number: 100, hash: hashOf(100), timestamp: 1_000, finalizedNumber: 30 }
const head = (number: number, hash = hashOf(number)) => ({
  number,
  hash,
  parentHash: hashOf(number - 1),
  timestamp: 1_000,
})
const other = hashOf(0xbad)

describe('what a follower does next', () => {
  test.each<[string, Partial<PlanInput>, Plan]>([
    ['no checkpoint, head below the start', { checkpoint: null, head: head(49) }, { kind: 'idle' }],
    ['no checkpoint, head at the start', { checkpoint: null, head: head(50) }, { kind: 'advance', from: 50, to: 50 }],
    ['no checkpoint, head far above', { checkpoint: null, head: head(900) }, { kind: 'advance', from: 50, to: 59 }],
    ['the same block', { head: head(100) }, { kind: 'idle' }],
    ['another block at the same height', { head: head(100, other) }, { kind: 'rewind' }],
    ['one block more', { head: head(101) }, { kind: 'advance', from: 101, to: 101 }],
    ['exactly one step of blocks', { head: head(110) }, { kind: 'advance', from: 101, to: 110 }],
    ['one more than a step takes', { head: head(111) }, { kind: 'advance', from: 101, to: 110 }],
    ['after long downtime', { head: head(1_000_000) }, { kind: 'advance', from: 101, to: 110 }],
    ['a lower head of our own branch', { head: head(98), ownHashAtHead: hashOf(98) }, { kind: 'behind' }],
    ['a lower head of another branch', { head: head(98, other), ownHashAtHead: hashOf(98) }, { kind: 'rewind' }],
    ['a lower head below our window', { head: head(3, other), ownHashAtHead: null }, { kind: 'behind' }],
    ['the genesis block as head', { head: head(0), ownHashAtHead: null }, { kind: 'behind' }],
  ])('%s', (_name, changes, plan) => {
    expect(
      planStep({ checkpoint, head: head(100), ownHashAtHead: null, startBlock: 50, maxBlocks: 10, ...changes }),
    ).toEqual(plan)
  })

  test('from any checkpoint, steps reach any higher head without leaving a block out or taking one twice', () => {
    fc.assert(
      fc.property(fc.nat(300), fc.nat(300), fc.integer({ min: 1, max: 40 }), (start, more, maxBlocks) => {
        const taken: number[] = []
        let now = { ...checkpoint, number: start }
        for (;;) {
          const plan = planStep({
            checkpoint: now,
            head: head(start + more),
            ownHashAtHead: null,
            startBlock: 0,
            maxBlocks,
          })
          if (plan.kind !== 'advance') break
          expect(plan.to - plan.from).toBeLessThan(maxBlocks)
          for (let number = plan.from; number <= plan.to; number += 1) taken.push(number)
          now = { ...checkpoint, number: plan.to, hash: hashOf(plan.to) }
        }
        expect(taken).toEqual(Array.from({ length: more }, (_, i) => start + 1 + i))
      }),
    )
  })
})

describe('finality', () => {
  test.each<[string, Partial<Parameters<typeof finalityAfter>[0]>, number]>([
    ['is the tag', { finalizedTag: 940 }, 940],
    ['is the tag also where it is deeper than 64 blocks', { finalizedTag: 3 }, 3],
    ['is 64 blocks down without a tag', {}, 936],
    ['is deeper where more confirmations are asked', { confirmations: 200 }, 800],
    ['is 64 blocks down where fewer are asked', { confirmations: 12 }, 936],
    ['is nothing on a young chain', { topNumber: 63 }, -1],
    ['is the first block when 64 are above it', { topNumber: 64 }, 0],
    ['does not go back with a tag', { finalizedTag: 900, previous: 930 }, 930],
    ['does not go back when the tag is gone', { previous: 950 }, 950],
    ['does not go back with the head', { topNumber: 500, previous: 936 }, 936],
    ['is never above the head', { finalizedTag: 5_000_000 }, 1_000],
  ])('%s', (_name, changes, expected) => {
    const input = {
      topNumber: 1_000,
      finalizedTag: null,
      confirmations: 12 as Confirmations,
      previous: -1,
      ...changes,
    }
    expect(finalityAfter(input)).toBe(expected)
  })

  test('never goes back, whatever heads and tags come', () => {
    const said = fc.record({ topNumber: fc.nat(1_000), finalizedTag: fc.option(fc.nat(2_000)) })
    const confirmations = fc.constantFrom<Confirmations>(1, 12, 100, 'safe', 'finalized')
    fc.assert(
      fc.property(fc.array(said, { maxLength: 20 }), confirmations, (answers, asked) => {
        let previous = -1
        for (const answer of answers) {
          const now = finalityAfter({ ...answer, confirmations: asked, previous })
          expect(now).toBeGreaterThanOrEqual(previous)
          expect(now).toBeLessThanOrEqual(Math.max(previous, answer.topNumber))
          previous = now
        }
      }),
    )
  })
})
