import { setImmediate as settled } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import type { Priority } from '../../../src/core/budget.ts'
import { systemClock } from '../../../src/runtime/clock.ts'
import { createLimiter } from '../../../src/source/limiter.ts'

const NEVER = new AbortController().signal
const open = (limits: { perSecond?: number | null; atOnce?: number } = {}) => {
  let sent = 0
  const limiter = createLimiter({ perSecond: null, atOnce: 4, ...limits }, systemClock, () => (sent += 1))
  return { limiter, sent: () => sent }
}

describe('the gate in front of an endpoint', () => {
  test('lets through as many at once as it may, and the next as soon as one leaves', async () => {
    const { limiter, sent } = open({ atOnce: 2 })
    await Promise.all([limiter.enter('live', NEVER), limiter.enter('live', NEVER)])
    const third = limiter.enter('live', NEVER)
    expect([sent(), limiter.underWay, limiter.waiting]).toEqual([2, 2, 1])
    limiter.leave(null)
    await third
    expect([sent(), limiter.underWay, limiter.waiting]).toEqual([3, 2, 0])
  })

  test('lets live questions pass those of a backfill', async () => {
    const { limiter } = open({ atOnce: 1 })
    await limiter.enter('live', NEVER)
    const order: string[] = []
    const wait = async (priority: Priority, name: string) => {
      await limiter.enter(priority, NEVER)
      order.push(name)
      limiter.leave(null)
    }
    const waiting = [wait('backfill', 'old'), wait('backfill', 'older'), wait('live', 'new'), wait('live', 'newer')]
    limiter.leave(null)
    await Promise.all(waiting)
    expect(order).toEqual(['new', 'newer', 'old', 'older'])
  })

  test('lets a backfill have as few under way as a quick endpoint needs, and live questions as many as there may be', async () => {
    const { limiter } = open({ atOnce: 16 })
    const begin = async (priority: Priority, count: number) => {
      for (let index = 0; index < count; index += 1) void limiter.enter(priority, NEVER)
      await settled()
      return limiter.underWay
    }
    expect(await begin('backfill', 20), 'before anything is known of it').toBe(16)
    for (let index = 0; index < 16; index += 1) limiter.leave(1)
    await settled()
    expect([limiter.underWay, limiter.waiting]).toEqual([4, 0])
    expect(await begin('backfill', 20)).toBe(6)
    expect(await begin('live', 3)).toBe(9)
  })

  test('has as many of a backfill under way as there may be where answers take long', async () => {
    const { limiter } = open({ atOnce: 16 })
    await limiter.enter('backfill', NEVER)
    limiter.leave(50)
    for (let index = 0; index < 20; index += 1) void limiter.enter('backfill', NEVER)
    await settled()
    expect([limiter.underWay, limiter.waiting]).toEqual([16, 4])
  })

  test('gives up whoever waits when the daemon stops, and nobody else', async () => {
    const { limiter } = open({ atOnce: 1 })
    await limiter.enter('live', NEVER)
    const stop = new AbortController()
    const stopped = limiter.enter('live', stop.signal)
    const patient = limiter.enter('live', NEVER)
    stop.abort()
    await expect(stopped).rejects.toMatchObject({ code: 'ABORTED' })
    limiter.leave(null)
    await patient
    await expect(limiter.enter('live', stop.signal)).rejects.toMatchObject({ code: 'ABORTED' })
    expect(limiter.waiting).toBe(0)
  })

  test('keeps the rate that is set', async () => {
    const { limiter } = open({ perSecond: 100, atOnce: 1_000 })
    const started = performance.now()
    await Promise.all(Array.from({ length: 60 }, () => limiter.enter('live', NEVER)))
    // Of sixty, a quarter of a second's worth may come at once.
    expect(performance.now() - started).toBeGreaterThan(300)
  })

  test('is slower after a refusal, and never closed, however many there are', async () => {
    const { limiter } = open()
    for (let refusal = 0; refusal < 100; refusal += 1) limiter.refused()
    expect(limiter.pace.perSecond).toBeGreaterThan(0)
    expect(limiter.pace.atOnce).toBeGreaterThanOrEqual(1)
    await limiter.enter('live', NEVER)
    expect(limiter.underWay).toBe(1)
  })
})
