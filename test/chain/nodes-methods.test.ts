/**
 * Nodes that lack methods, and say so in as many ways as there are: what is missing is found out by asking once, and replaced by what is
 * there.
 */
import { describe, expect, test } from 'vitest'
import { MISSING_FORMS } from '../support/fault-missing.ts'
import type { FaultProxy } from '../support/fault-proxy.ts'
import type { MissingForm, Schedule } from '../support/fault-schedule.ts'
import type { Run } from '../support/node-run.ts'
import { useNodeStage } from '../support/node-stage.ts'
import { expectRight, expectSoonVisible } from '../support/node-verdict.ts'

const stage = useNodeStage(45)

const without = (form: MissingForm, ...methods: readonly string[]): Schedule => ({
  rates: {},
  view: null,
  missing: { methods, form },
})

/** Those that differ most. */
const SOME_FORMS: readonly MissingForm[] = ['not found', 'not whitelisted', 'HTTP 404']
const BLOCKS = 4
/** Once; and once more where it was asked side by side. */
const PROBES = 2

const askedFor = (proxy: FaultProxy | undefined, method: string) =>
  proxy?.arrivals().filter(arrival => arrival.method === method).length ?? 0

/** A daemon whose endpoints lack it from the beginning. */
async function openWithout(schedule: Schedule, options: Parameters<typeof stage.open>[0], bad: readonly number[]) {
  const run = await stage.prepare(options)
  run.play(schedule, bad)
  run.start()
  await run.untilHead()
  return run
}

/** Goes on as if nothing were missing. */
async function expectServed(run: Run): Promise<void> {
  const mined = await run.world.mine(BLOCKS)
  await expectSoonVisible(run, mined, 'a method is missing')
  await run.look()
  await run.world.pass(2)
  await run.untilHead()
  await expectRight(run)
}

describe('8: eth_getBlockReceipts is missing', () => {
  for (const [seed, form] of MISSING_FORMS.entries()) {
    test(`at the only endpoint, which says so as ${form}`, async () => {
      const run = await openWithout(without(form, 'eth_getBlockReceipts'), { ways: ['http'], seed }, [0])
      await expectServed(run)
      expect(askedFor(run.proxies[0], 'eth_getBlockReceipts')).toBeLessThanOrEqual(PROBES)
    })
  }

  for (const [seed, form] of SOME_FORMS.entries()) {
    test(`at two of three, which say so as ${form}`, async () => {
      const schedule = without(form, 'eth_getBlockReceipts')
      const run = await openWithout(schedule, { ways: ['http', 'http', 'http'], seed }, [0, 1])
      await expectServed(run)
      for (const proxy of run.proxies.slice(0, 2))
        expect(askedFor(proxy, 'eth_getBlockReceipts')).toBeLessThanOrEqual(PROBES)
    })
  }
})

describe('8: the tags safe and finalized are missing', () => {
  const schedules: readonly (readonly [string, Schedule])[] = [
    ['a number that is none', without('not found', 'safe', 'finalized')],
    ['a block that is not found', { rates: { 'no-tags': 1 }, view: null }],
  ]
  for (const [how, schedule] of schedules) {
    test(`at the only endpoint, which takes them for ${how}`, async () => {
      await expectServed(await openWithout(schedule, { ways: ['http'], seed: 1 }, [0]))
    })

    test(`at two of three, which take them for ${how}`, async () => {
      await expectServed(await openWithout(schedule, { ways: ['http', 'http', 'http'], seed: 1 }, [0, 1]))
    })
  }
})

/** Whatever is more than blocks and receipts one by one. */
const REPLACEABLE = [
  'eth_getBlockReceipts',
  'eth_getLogs',
  'eth_newFilter',
  'eth_newBlockFilter',
  'eth_newPendingTransactionFilter',
  'eth_getFilterChanges',
  'eth_subscribe',
  'eth_blockNumber',
  'eth_feeHistory',
  'txpool_content',
  'trace_block',
  'debug_traceBlockByNumber',
  'safe',
  'finalized',
]

describe('8: all that can be replaced is missing', () => {
  const options = { seed: 1, jobs: true, chain: { mempool: 'poll' } } as const

  test.each(SOME_FORMS)('at the only endpoint, which says so as %s', async form => {
    const run = await openWithout(without(form, ...REPLACEABLE), { ...options, ways: ['http'] }, [0])
    await expectServed(run)
    for (const method of REPLACEABLE) expect(askedFor(run.proxies[0], method), method).toBeLessThanOrEqual(PROBES)
  })

  test('at the only endpoint, a websocket', async () => {
    const run = await openWithout(without('not found', ...REPLACEABLE), { ...options, ways: ['websocket'] }, [0])
    await expectServed(run)
    for (const method of REPLACEABLE) expect(askedFor(run.proxies[0], method), method).toBeLessThanOrEqual(PROBES)
  })

  test('at two of three, one of them a websocket', async () => {
    const ways = ['websocket', 'http', 'http'] as const
    await expectServed(await openWithout(without('unsupported', ...REPLACEABLE), { ...options, ways }, [0, 1]))
  })
})
