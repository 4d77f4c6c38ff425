import { describe, expect, test } from 'vitest'
import { isTagDue, noteTag, UNKNOWN_TAG } from '../../src/core/tags.ts'

/** Follows a chain for a number of blocks. @returns questions, and by how many blocks a move was noticed late at most, after a while */
function follow(heightAt: (head: number) => number | null, blocks: number, atLeast = 1) {
  let tag = UNKNOWN_TAG
  let asked = 0
  let late = 0
  for (let head = 1; head <= blocks; head += 1) {
    if (isTagDue(tag, head, atLeast)) {
      tag = noteTag(tag, head, heightAt(head))
      asked += 1
    }
    const height = heightAt(head)
    let since = head
    while (since > 0 && heightAt(since - 1) === height) since -= 1
    if (head > blocks / 2 && tag.height !== height) late = Math.max(late, head - since + 1)
  }
  return { asked, late }
}

describe('a tag', () => {
  test('that moves once an epoch is asked about twice an epoch, and its move is noticed within a few blocks', () => {
    const { asked, late } = follow(head => (head < 96 ? 0 : Math.floor((head - 70) / 32) * 32), 3200)
    // Until it is first seen to move it is asked about with every second block.
    expect(asked).toBeLessThan((3200 / 32) * 2 + 50)
    expect(late).toBeLessThanOrEqual(4)
  })

  test('that moves with every block is asked about with every block', () => {
    expect(follow(head => Math.max(head - 2, 0), 500)).toMatchObject({ late: 0 })
  })

  test('is asked about twice an epoch at most where nothing depends on it', () => {
    expect(follow(head => Math.max(head - 2, 0), 3200, 16).asked).toBeLessThanOrEqual(201)
  })

  test('that nodes do not know is asked about now and then', () => {
    expect(follow(() => null, 640).asked).toBeLessThanOrEqual(11)
  })

  test('that stands still for long and goes on is noticed within a few blocks', () => {
    const { late } = follow(head => (head < 1000 ? 0 : Math.floor(head / 32) * 32), 1999)
    expect(late).toBeLessThanOrEqual(8)
  })

  test('is asked about anew after the chain was set back', () => {
    expect(isTagDue(noteTag(UNKNOWN_TAG, 100, 60), 40, 16)).toBe(true)
  })
})
