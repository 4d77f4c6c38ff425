/**
 * The workload `load`: two chains at once, three blocks a second each, a thousand transactions a block. Whether one daemon keeps up
 * shows in how far it is behind, early and late.
 *
 * Always holds: blocks come in their slots whether anybody keeps up or not; how far the node itself comes is told beside.
 */

import { performance } from 'node:perf_hooks'
import { systemClock } from '../../src/runtime/clock.ts'
import { sleep } from '../../src/runtime/sleep.ts'
import { createIndexer, type Indexer } from '../support/indexer.ts'
import { createCast } from './chain/cast.ts'
import { type ChainSpec, FIRST_HEIGHT } from './chain/generated-chain.ts'
import { atMost, plainRow, type Row, type Section } from './report.ts'
import type { Progress } from './requests.ts'
import { chainFile, type Stage } from './stage.ts'
import { maxOf, meanOf } from './statistics.ts'

export type LoadOptions = {
  readonly minutes: number
  readonly progress: (label: string, total: number, unit: string) => Progress
}

const CHAIN_IDS = [45_001, 45_002] as const
const BLOCKS_PER_SECOND = 3
const TRANSACTIONS = 1_000
const START_HEIGHT = FIRST_HEIGHT + 5_000
const LEAD_SECONDS = 2
const WARM_UP_SECONDS = 10
const LOOK_MS = 500
/** The parts of a run whose lag is compared. */
const EARLY_SHARE = 0.3
const LATE_SHARE = 0.3
/** Blocks; a look falls anywhere between two of them. */
const MAX_GROWTH = 1

type Look = { readonly head: number; readonly behind: number }

export async function measureLoad(stage: Stage, { minutes, progress }: LoadOptions): Promise<Section> {
  const { node } = stage
  const specs = CHAIN_IDS.map(describeChain)
  const database = await stage.createDatabase(createCast(specs[0] as ChainSpec).tracked)
  const places = await Promise.all(specs.map(chain => node.open({ chain, head: START_HEIGHT })))
  const indexer = createIndexer(
    database,
    specs.map((spec, index) => ({ chain: chainFile(spec), url: places[index]?.wsUrl ?? '' })),
  )
  try {
    await indexer.registry.refresh('now')
    indexer.start({ jobs: true })
    for (const { chainId } of specs) {
      await indexer.until(`chain ${chainId} to begin`, async () => (await indexer.store.checkpoint(chainId)) !== null)
      await node.run(chainId, { blockMs: 1000 / BLOCKS_PER_SECOND, jitterMs: 0, seed: chainId })
    }
    await sleep(WARM_UP_SECONDS * 1000)
    const seconds = minutes * 60
    const bar = progress('live under load', Math.ceil(seconds), 's')
    const before = process.cpuUsage()
    const started = performance.now()
    const looks = await watch(stage, indexer, seconds, done => bar.update(Math.min(Math.floor(done), seconds)))
    bar.end()
    const { user, system } = process.cpuUsage(before)
    const tookMs = performance.now() - started
    const cpuShare = (user + system) / 1000 / tookMs
    const [rows] = await indexer.store.sql<{ count: number }[]>`select count(*)::int as count from wallet_activity`
    for (const { chainId } of specs) await node.halt(chainId)
    return {
      rows: [
        ...specs.flatMap(({ chainId }) => rowsOf(chainId, looks.get(chainId) ?? [], tookMs)),
        plainRow('live under load: CPU of this process', `${Math.round(cpuShare * 100)} % of one core`),
        plainRow('live under load: rows of activities', String(rows?.count ?? 0)),
      ],
      numbers: { seconds, cpuShare, activities: rows?.count, looks: Object.fromEntries(looks) },
    }
  } finally {
    await indexer.close()
    for (const { chainId } of specs) await node.end(chainId)
    await stage.dropDatabase(database)
  }
}

function describeChain(chainId: number): ChainSpec {
  return {
    seed: 7,
    chainId,
    wallets: 10_000,
    tracked: 100,
    listedTokens: 4,
    unlistedTokens: 4,
    concerns: 'crowd',
    anchor: { height: START_HEIGHT, seconds: Math.floor(systemClock.now() / 1000) + LEAD_SECONDS },
    blockSeconds: 1 / BLOCKS_PER_SECOND,
    transactions: TRANSACTIONS,
  }
}

async function watch(
  { node }: Stage,
  { store }: Indexer,
  seconds: number,
  onSeconds: (done: number) => void,
): Promise<Map<number, Look[]>> {
  const looks = new Map<number, Look[]>(CHAIN_IDS.map(chainId => [chainId, []]))
  const started = performance.now()
  for (let done = 0; done < seconds; done = (performance.now() - started) / 1000) {
    for (const chainId of CHAIN_IDS) {
      const head = await node.mine(chainId, 0)
      const indexed = (await store.checkpoint(chainId))?.number ?? 0
      looks.get(chainId)?.push({ head, behind: Math.max(head - indexed, 0) })
    }
    onSeconds(done)
    await sleep(LOOK_MS)
  }
  return looks
}

function rowsOf(chainId: number, looks: readonly Look[], tookMs: number): Row[] {
  const name = `live under load, chain ${CHAIN_IDS.indexOf(chainId as (typeof CHAIN_IDS)[number]) + 1}`
  const behind = looks.map(look => look.behind)
  const early = meanOf(behind.slice(0, Math.ceil(behind.length * EARLY_SHARE)))
  const late = meanOf(behind.slice(Math.floor(behind.length * (1 - LATE_SHARE))))
  const blocks = (looks.at(-1)?.head ?? 0) - (looks[0]?.head ?? 0)
  return [
    plainRow(`${name}: blocks a second`, ((blocks / tookMs) * 1000).toFixed(2)),
    plainRow(`${name}: blocks behind, early and late`, `${early.toFixed(1)} and ${late.toFixed(1)}`),
    plainRow(`${name}: blocks behind, the most`, String(maxOf(behind))),
    atMost(`${name}: growth of the lag`, late - early, MAX_GROWTH, ' blocks', 1),
  ]
}
