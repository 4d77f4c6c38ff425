import { describe, expect, test } from 'vitest'
import type { Header } from '../../src/core/types.ts'
import { createTip, type Tip } from '../../src/steps/tip.ts'
import { hashOf } from './support/build.ts'

const header = (number: number): Header => ({
  number,
  hash: hashOf(number),
  parentHash: hashOf(number - 1),
  timestamp: number * 12,
})

/** A tip that was reached, and what came since: `b` a block that was there by its height, `-` a look that found nothing. */
function after(story: string): Tip {
  const tip = createTip()
  tip.reached(header(100))
  let number = 100
  for (const what of story) {
    if (what === '-') tip.looked()
    else tip.advanced(header((number += 1)))
  }
  return tip
}

describe('the next block is asked for by its height', () => {
  test.each([
    ['as soon as the head is reached', ''],
    ['while looks find nothing', '----'],
    ['while blocks come after a look or two', '-b--b-b--b'],
    ['after as many blocks as that, until a look finds nothing', '-b-b-b-b-b-b-b-b-b-b-b-b-b-b-b-b-b'],
    ['with every other look, when it is late', '------'],
  ])('%s', (_when, story) => {
    expect(after(story).mayAskNext).toBe(true)
  })
})

describe('the newest block is asked for, whatever its height,', () => {
  test.each([
    ['when the next is late', '-----'],
    ['with every other look, when it is late', '-------'],
    ['when block after block was there at the first look', 'b'.repeat(16)],
    ['now and then, while nothing new is there', `${'-b'.repeat(16)}-`],
  ])('%s', (_when, story) => {
    expect(after(story).mayAskNext).toBe(false)
  })
})

test('what contradicts makes it begin anew', () => {
  const tip = after('-b-')
  tip.leave()
  expect([tip.head, tip.idleLooks]).toEqual([null, 0])
})

test('the head again is no news, and another one is', () => {
  const tip = after('---')
  tip.reached(header(100))
  expect(tip.idleLooks).toBe(3)
  tip.reached(header(101))
  expect(tip.idleLooks).toBe(0)
})
