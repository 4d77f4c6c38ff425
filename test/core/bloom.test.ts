import { describe, expect, test } from 'vitest'
import { bloomOf } from '../../src/core/bloom.ts'
import type { Log } from '../../src/core/types.ts'
import { listMainnetBlocks, needFixtures, readMainnetBlock } from '../support/fixtures.ts'

const logOf = (address: string, ...topics: string[]) => ({ address, topics }) as unknown as Log

describe('the bloom filter of logs', () => {
  test('of none is empty', () => {
    expect(bloomOf([])).toBe(`0x${'0'.repeat(512)}`)
  })

  test('is what the headers of real blocks promise, and not so when a log is missing', context => {
    needFixtures(context)
    let missed = 0
    let logsOfAll = 0
    for (const number of listMainnetBlocks()) {
      const { block, receipts } = readMainnetBlock(number)
      if (receipts === null) continue
      const logs = receipts.flatMap(receipt => receipt.logs) as unknown as Log[]
      expect(bloomOf(logs), `block ${number}`).toBe(block.logsBloom)
      logsOfAll += logs.length
      const without = logs.slice(0, -1)
      if (logs.length > 0 && bloomOf(without) === block.logsBloom) missed += 1
    }
    expect(logsOfAll).toBeGreaterThan(1_000)
    // The last log of a block may have nothing of its own; then nothing but the receipts root tells.
    expect(missed).toBeLessThan(6)
  })

  test('sets three bits at most for each address and topic', () => {
    const bloom = bloomOf([logOf(`0x${'1'.repeat(40)}`, `0x${'2'.repeat(64)}`)])
    const bits = BigInt(bloom).toString(2).replaceAll('0', '').length
    expect(bits).toBeGreaterThan(2)
    expect(bits).toBeLessThanOrEqual(6)
  })
})
