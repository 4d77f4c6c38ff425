/**
 * History from nodes that answer eth_getLogs with lists that can't be right, or refuse ranges in all the ways in which nodes and
 * providers do: a backfill asks for less, asks again, asks otherwise, and its rows are right.
 */
import { beforeAll, describe, expect, test } from 'vitest'
import { AppError } from '../../src/errors.ts'
import { LOG_FAULTS, type LogFault, type RangeLimit, type Schedule } from '../support/fault-schedule.ts'
import { RANGE_WORDS } from '../support/fault-logs.ts'
import type { Run, Way } from '../support/node-run.ts'
import { useNodeStage } from '../support/node-stage.ts'
import { expectRight } from '../support/node-verdict.ts'

const SLOTS_IN_AN_EPOCH = 2
const stage = useNodeStage(46, { slotsInAnEpoch: SLOTS_IN_AN_EPOCH })

const HISTORY_BLOCKS = 24
const QUIET_BLOCKS = 100

let history: { readonly from: number; readonly to: number }

/** Busy blocks with quiet ones in between, all of them final. */
beforeAll(async () => {
  const from = (await stage.world.head()).number
  for (let blocks = 0; blocks < HISTORY_BLOCKS / 2; blocks += 1) await stage.world.mine(1, { pauseMs: 0 })
  await stage.world.pass(QUIET_BLOCKS)
  for (let blocks = 0; blocks < HISTORY_BLOCKS / 2; blocks += 1) await stage.world.mine(1, { pauseMs: 0 })
  const to = (await stage.world.head()).number
  await stage.world.pass(3 * SLOTS_IN_AN_EPOCH)
  history = { from, to }
})

const BACKFILLS = 6

/** As a person does it: whatever fails for now is done by the same command, run again. */
async function backfill(run: Run): Promise<void> {
  for (let times = 1; ; times += 1) {
    try {
      await run.indexer.backfill(history)
      return
    } catch (error) {
      run.search.addError('backfill', error)
      if (!(error instanceof AppError) || !error.retryable || times === BACKFILLS) throw error
    }
  }
}

type Setting = { readonly what: string; readonly ways: readonly Way[]; readonly bad: readonly number[] }
const ALONE: Setting = { what: 'the only endpoint', ways: ['http'], bad: [0] }
const TWO_OF_THREE: Setting = { what: 'two of three endpoints', ways: ['http', 'http', 'http'], bad: [0, 1] }

async function expectBackfilled(
  schedule: Schedule,
  shows: keyof ReturnType<Run['proxies'][0]['counters']>,
  setting: Setting,
  seed: number,
) {
  const run = await stage.prepare({ ways: setting.ways, seed, chain: { startBlock: history.from } })
  run.play(schedule, setting.bad)
  await backfill(run)
  await run.look()
  await expectRight(run, { to: history.to })
  const met = run.proxies.reduce((sum, proxy) => sum + (proxy.counters()[shows] ?? 0), 0)
  expect(met, 'it was met').toBeGreaterThan(0)
}

const WORDS_OF_LISTS: Readonly<Record<LogFault, string>> = {
  'logs-empty': '2: an empty list, of blocks that have some',
  'logs-missing': '2: a list of which a part is missing',
  'logs-of-other-block': '3: a list of other blocks',
  'logs-of-other-branch': '3: a list of another branch',
  'logs-twice': '3: a list in which everything comes twice',
  'logs-cut-short': '6: a list of the first blocks only, without a word',
}

/** A history is few questions for logs: chance would spare them. */
const OFTEN = 1

describe('lists of logs that can not be right', () => {
  for (const setting of [ALONE, TWO_OF_THREE])
    for (const [seed, fault] of LOG_FAULTS.entries())
      test(`${WORDS_OF_LISTS[fault]}, from ${setting.what}`, async () => {
        await expectBackfilled({ rates: { [fault]: OFTEN }, view: null }, fault, setting, seed)
      })
})

const limits: readonly RangeLimit[] = Object.keys(RANGE_WORDS).map((words, index) => ({
  words,
  ...(index % 2 === 0 ? { of: 'blocks', most: 7 } : { of: 'logs', most: 3 }),
}))
const told = ({ of, most, words }: RangeLimit) => `6: more than ${most} ${of}: ${words}`

describe('ranges that are refused', () => {
  for (const [seed, rangeLimit] of limits.entries())
    test(`${told(rangeLimit)}, by the only endpoint`, async () => {
      await expectBackfilled({ rates: {}, view: null, rangeLimit }, 'range-refused', ALONE, seed)
    })

  for (const [seed, rangeLimit] of limits.entries())
    if (seed % 4 === 0)
      test(`${told(rangeLimit)}, by two of three endpoints`, async () => {
        await expectBackfilled({ rates: {}, view: null, rangeLimit }, 'range-refused', TWO_OF_THREE, seed)
      })
})

describe('eth_getLogs is missing', () => {
  for (const form of ['not found', 'unsupported', 'not on this plan', 'HTTP 404', 'HTTP 405'] as const)
    test(`8: which is said as ${form}`, async () => {
      const missing = { methods: ['eth_getLogs'], form }
      await expectBackfilled({ rates: {}, view: null, missing }, 'missing-method', ALONE, 1)
    })
})
