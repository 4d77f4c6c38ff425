/**
 * A real daemon follows generated chains live, over HTTP or websockets: what it asks for, and when its rows can be seen.
 *
 * Always holds: nothing is counted before it has settled into its rhythm; only whole blocks are counted, from one's announcement to
 * the next one's.
 */

import { createIndexer } from '../support/indexer.ts'
import { systemClock } from '../../src/runtime/clock.ts'
import { sleep } from '../../src/runtime/sleep.ts'
import { createCast } from './chain/cast.ts'
import { type ChainSpec, createChain, FIRST_HEIGHT } from './chain/generated-chain.ts'
import { chainFile, type Stage } from './stage.ts'
import type { Counts } from './node/tally.ts'

export type LiveRun = {
  readonly transport: 'http' | 'websocket'
  /** How many chains one daemon follows side by side. */
  readonly chains: number
  readonly blockSeconds: number
  /** See `Rhythm`. */
  readonly jitterMs: number
  /** Blocks of each chain that are counted. */
  readonly blocks: number
  readonly concerns: ChainSpec['concerns']
  /** How often another connection looks for rows. */
  readonly lookMs: number
  readonly onProgress: (blocksDone: number) => void
}

export type LiveOutcome = {
  /** Questions about each block, the idle ones and those for tags aside. */
  readonly plain: readonly number[]
  readonly concerned: readonly number[]
  /** Idle questions from each block to the next. */
  readonly idle: readonly number[]
  readonly tagsPerEpoch: number
  /** Anything else while blocks were counted, by method. */
  readonly methods: Readonly<Record<string, number>>
  /** Milliseconds from the announcement of a block until its rows were seen by another connection. */
  readonly latenciesMs: readonly number[]
  /** Blocks whose rows were not seen within a minute. */
  readonly unseen: number
}

const FIRST_CHAIN_ID = 41_000
const START_HEIGHT = FIRST_HEIGHT + 5_000
const WARM_UP_BLOCKS = 6
const EPOCH_BLOCKS = 32
const LOOK_MS = 250
const LEAD_SECONDS = 1

let runs = 0

export async function runLive(stage: Stage, run: LiveRun): Promise<LiveOutcome> {
  const { node } = stage
  const specs = describeChains(run)
  const database = await stage.createDatabase(createCast(specs[0] as ChainSpec).tracked)
  const places = await Promise.all(specs.map(chain => node.open({ chain, head: START_HEIGHT })))
  const indexer = createIndexer(
    database,
    specs.map((spec, index) => ({
      chain: chainFile(spec),
      url: (run.transport === 'http' ? places[index]?.url : places[index]?.wsUrl) ?? '',
    })),
  )
  const isAt = async (chainId: number, height: number) =>
    ((await indexer.store.checkpoint(chainId))?.number ?? 0) >= height
  try {
    await indexer.registry.refresh('now')
    indexer.start({ jobs: true })
    for (const { chainId } of specs) {
      await indexer.until(`chain ${chainId} to begin`, () => isAt(chainId, START_HEIGHT))
      await node.observe(chainId, database, run.lookMs)
      await node.run(chainId, { blockMs: run.blockSeconds * 1000, jitterMs: run.jitterMs, seed: chainId })
    }
    await eachPasses(node, specs, () => START_HEIGHT + WARM_UP_BLOCKS)
    const starts = await Promise.all(specs.map(({ chainId }) => node.resetCounts(chainId)))
    const tell = (index: number, height: number) => {
      if (index === 0) run.onProgress(Math.max(height - (starts[0] ?? height), 0) * specs.length)
    }
    await eachPasses(node, specs, index => (starts[index] ?? 0) + run.blocks, tell)
    const outcomes: LiveOutcome[] = []
    for (const [index, spec] of specs.entries()) {
      const end = await node.halt(spec.chainId)
      await indexer.until(`chain ${spec.chainId} to end`, () => isAt(spec.chainId, end))
      const counts = await node.counts(spec.chainId)
      const sightings = await node.sightings(spec.chainId)
      outcomes.push(summarize(spec, { from: (starts[index] ?? 0) + 1, to: end }, counts, sightings))
    }
    return merge(outcomes)
  } finally {
    await indexer.close()
    for (const { chainId } of specs) await node.end(chainId)
    await stage.dropDatabase(database)
  }
}

/** The slots of side-by-side chains are spread over one block time, each at a whole second: timestamps know no others. */
function describeChains({ chains, blockSeconds, concerns }: LiveRun): ChainSpec[] {
  runs += 1
  const now = Math.floor(systemClock.now() / 1000) + LEAD_SECONDS
  return Array.from({ length: chains }, (_, index) => ({
    seed: 7,
    chainId: FIRST_CHAIN_ID + runs * 100 + index,
    wallets: 1_000,
    tracked: 100,
    listedTokens: 4,
    unlistedTokens: 4,
    concerns,
    anchor: { height: START_HEIGHT, seconds: now + Math.floor((index * blockSeconds) / chains) },
    blockSeconds,
  }))
}

/** Waits until each chain has passed a height. It looks rarely, because this is the process that is measured. */
async function eachPasses(
  node: Stage['node'],
  specs: readonly ChainSpec[],
  heightOf: (index: number) => number,
  onHead: (index: number, height: number) => void = () => undefined,
): Promise<void> {
  for (;;) {
    const heads = await Promise.all(specs.map(({ chainId }) => node.mine(chainId, 0)))
    for (const [index, head] of heads.entries()) onHead(index, head)
    if (heads.every((head, index) => head >= heightOf(index))) return
    await sleep(LOOK_MS)
  }
}

function summarize(
  spec: ChainSpec,
  { from, to }: { readonly from: number; readonly to: number },
  counts: Counts,
  sightings: Awaited<ReturnType<Stage['node']['sightings']>>,
): LiveOutcome {
  const chain = createChain(spec)
  const asked = new Map(counts.blocks.map(([height, methods]) => [height, sumOf(Object.values(methods))]))
  const idle = new Map(counts.idle)
  const heights = Array.from({ length: to - from + 1 }, (_, index) => from + index)
  const askedFor = (concerned: boolean) =>
    heights.filter(height => chain.isConcerned(height) === concerned).map(height => asked.get(height) ?? 0)
  const seen = sightings.filter(({ height }) => height >= from && height <= to)
  return {
    plain: askedFor(false),
    concerned: askedFor(true),
    // After the last block nothing more was to come.
    idle: heights.slice(0, -1).map(height => idle.get(height) ?? 0),
    tagsPerEpoch: (counts.kinds.tag / heights.length) * EPOCH_BLOCKS,
    methods: counts.methods,
    latenciesMs: seen.flatMap(({ tookMs }) => tookMs ?? []),
    unseen: seen.filter(({ tookMs }) => tookMs === null).length,
  }
}

function merge(outcomes: readonly LiveOutcome[]): LiveOutcome {
  const methods: Record<string, number> = {}
  for (const outcome of outcomes)
    for (const [method, count] of Object.entries(outcome.methods)) methods[method] = (methods[method] ?? 0) + count
  return {
    plain: outcomes.flatMap(({ plain }) => plain),
    concerned: outcomes.flatMap(({ concerned }) => concerned),
    idle: outcomes.flatMap(({ idle }) => idle),
    tagsPerEpoch: sumOf(outcomes.map(({ tagsPerEpoch }) => tagsPerEpoch)) / outcomes.length,
    methods,
    latenciesMs: outcomes.flatMap(({ latenciesMs }) => latenciesMs),
    unseen: sumOf(outcomes.map(({ unseen }) => unseen)),
  }
}

function sumOf(numbers: readonly number[]): number {
  return numbers.reduce((sum, number) => sum + number, 0)
}
