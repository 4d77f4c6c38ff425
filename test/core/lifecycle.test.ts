import { describe, expect, test } from 'vitest'
import type { Confirmations } from '../../src/core/chain.ts'
import { includedStatus, settledHeight, type Transition, transitionsOfInclusion } from '../../src/core/lifecycle.ts'
import type { TransactionStatus } from '../../src/core/types.ts'
import { fc } from './support/property.ts'

describe('the height that is deep enough', () => {
  test('is for a number n exactly where head − block + 1 >= n', () => {
    const tag = fc.option(fc.nat(500))
    fc.assert(
      fc.property(fc.nat(500), fc.integer({ min: 1, max: 100 }), fc.nat(500), tag, (head, n, block, tagNumber) => {
        const height = settledHeight({
          confirmations: n,
          checkpointNumber: head,
          tagNumber,
          finalizedNumber: tagNumber ?? -1,
        })
        expect(block <= height).toBe(head - block + 1 >= n)
      }),
    )
  })

  test.each<[string, Confirmations, number | null, number, number]>([
    ['safe is the tag', 'safe', 90, 60, 90],
    ['finalized is the tag', 'finalized', 60, 60, 60],
    ['a tag above the checkpoint is the checkpoint', 'safe', 130, 60, 100],
    ['safe without a tag is finality', 'safe', null, 36, 36],
    ['finalized without a tag is finality', 'finalized', null, 36, 36],
    ['nothing without a tag and finality', 'finalized', null, -1, -1],
    ['nothing where the tag is the genesis block alone', 'safe', 0, -1, 0],
    ['one confirmation is the checkpoint itself', 1, null, -1, 100],
    ['as many confirmations as blocks is the genesis block', 101, null, -1, 0],
    ['more confirmations than blocks is nothing', 102, null, -1, -1],
    ['a number ignores tags and finality', 12, 100, 100, 89],
  ])('%s', (_name, confirmations, tagNumber, finalizedNumber, height) => {
    expect(settledHeight({ confirmations, checkpointNumber: 100, tagNumber, finalizedNumber })).toBe(height)
  })
})

test.each<[boolean | null, boolean, TransactionStatus]>([
  [true, false, 'pending'],
  [false, false, 'pending'],
  [null, false, 'pending'],
  [true, true, 'confirmed'],
  [false, true, 'failed'],
  [null, true, 'pending'],
])('a transaction that succeeded (%s) and is deep enough (%s) is %s', (succeeded, settled, status) => {
  expect(includedStatus(succeeded, settled)).toBe(status)
})

describe('what is recorded when a transaction is seen in a block', () => {
  type Case = [string, TransactionStatus | null, boolean, boolean | null, boolean, string[]]
  test.each<Case>([
    ['new', null, false, true, false, ['null → pending included']],
    ['new, deep enough', null, false, true, true, ['null → pending included', 'pending → confirmed confirmed']],
    ['new, reverted', null, false, false, false, ['null → pending included']],
    ['new, reverted, deep', null, false, false, true, ['null → pending included', 'pending → failed reverted']],
    ['new, deep, outcome unknown', null, false, null, true, ['null → pending included']],
    ['seen again', 'pending', true, true, false, []],
    ['seen again, now deep', 'pending', true, true, true, ['pending → confirmed confirmed']],
    ['reverted, seen again', 'pending', true, false, false, []],
    ['reverted, now deep', 'pending', true, false, true, ['pending → failed reverted']],
    ['confirmed, seen again', 'confirmed', true, true, true, []],
    ['failed, seen again', 'failed', true, false, true, []],
    ['pending in another block', 'pending', false, true, false, ['pending → pending included']],
    ['confirmed, now in another block', 'confirmed', false, true, false, ['confirmed → pending included']],
    [
      'said to be confirmed, reverted',
      'confirmed',
      false,
      false,
      true,
      ['confirmed → pending included', 'pending → failed reverted'],
    ],
    [
      'said to have failed, in a block',
      'failed',
      false,
      true,
      true,
      ['failed → pending included', 'pending → confirmed confirmed'],
    ],
  ])('%s', (_name, before, sameBlock, succeeded, settled, expected) => {
    const transitions = transitionsOfInclusion(before, sameBlock, succeeded, settled)
    expect(transitions.map(({ from, to, reason }) => `${from} → ${to} ${reason}`)).toEqual(expected)
  })

  /** A block that the transaction stands in, whether it succeeds there, and how often it is seen while it deepens. */
  const episodes = fc.array(
    fc.record({
      succeeded: fc.option(fc.boolean()),
      sightings: fc.array(fc.boolean(), { minLength: 1, maxLength: 4 }),
    }),
    { minLength: 1, maxLength: 6 },
  )

  test('through any reorgs each transition begins where the last ended, and the newest agrees with the status', () => {
    fc.assert(
      fc.property(episodes, all => {
        const recorded: Transition[] = []
        let status: TransactionStatus | null = null
        for (const { succeeded, sightings } of all) {
          let settled = false
          for (const [i, deepens] of sightings.entries()) {
            settled ||= deepens
            const added = transitionsOfInclusion(status, i > 0, succeeded, settled)
            recorded.push(...added)
            status = includedStatus(succeeded, settled)
            expect(recorded.at(-1)?.to).toBe(status)
            // Nothing terminal without having been pending in this very block.
            if (status !== 'pending') expect(recorded.at(-1)?.from).toBe('pending')
            expect(transitionsOfInclusion(status, true, succeeded, settled)).toEqual([])
          }
          if (status !== 'pending') recorded.push({ from: status, to: 'pending', reason: 'reorged' })
          status = 'pending'
        }
        for (const [i, { from }] of recorded.entries()) expect(from).toBe(recorded[i - 1]?.to ?? null)
        expect(recorded.filter(({ reason }) => reason === 'included')).toHaveLength(all.length)
      }),
    )
  })
})
