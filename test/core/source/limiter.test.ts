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
    limiter.leave()
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
      limiter.leave()
    }
    const waiting = [wait('backfill', 'old'), wait('backfill', 'older'), wait('live', 'new'), wait('live', 'newer')]
    limiter.leave()
    await Promise.all(waiting)
    expect(order).toEqual(['new', 'newer', 'old', 'older'])
  })

  test('gives up whoever waits when the daemon stops, and nobody else', async () => {
    const { limiter } = open({ atOnce: 1 })
    await limiter.enter('live', NEVER)
    const stop = new AbortController()
    const stopped = limiter.enter('live', stop.signal)
    const patient = limiter.enter('live', NEVER)
    stop.abort()
    await expect(stopped).rejects.toMatchObject({ code: 'ABORTED' })
    limiter.leave()
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
