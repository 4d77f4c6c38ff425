/**
 * The workload `requests`: what following a chain and its history cost in questions to a node.
 *
 * A question is one JSON-RPC call, in a batch too: providers count those. Time may be compressed here, because a daemon asks once a
 * block however long a block takes; only idle polls depend on the rhythm, which is scaled with it.
 */

import { createIndexer } from '../support/indexer.ts'
import { createCast } from './chain/cast.ts'
import { type ChainSpec, FIRST_HEIGHT } from './chain/generated-chain.ts'
import type { LiveOutcome } from './live-run.ts'
import { runLive } from './live-run.ts'
import { atMost, plainRow, type Row, type Section } from './report.ts'
import { chainFile, type Stage } from './stage.ts'
import { maxOf, meanOf } from './statistics.ts'

export type RequestsOptions = {
  /** Blocks of each live run: whole epochs. */
  readonly liveBlocks: number
  readonly backfillBlocks: number
  readonly progress: (label: string, total: number, unit: string) => Progress
}

export type Progress = { update(done: number): void; end(): void }

const LIVE = { blockSeconds: 1, jitterMs: 83, chains: 2 }
const HISTORY_ANCHOR = { height: FIRST_HEIGHT, seconds: 1_700_000_000 }
const BACKFILL_CHAINS = { sparse: 42_001, dense: 42_002 } as const
/** Far enough above the range that all of it is final. */
const FINAL_BLOCKS = 200

export async function measureRequests(stage: Stage, options: RequestsOptions): Promise<Section> {
  const rows: Row[] = []
  const numbers: Record<string, unknown> = {}
  for (const transport of ['http', 'websocket'] as const) {
    const name = transport === 'http' ? 'live, polling' : 'live, websocket'
    const progress = options.progress(name, options.liveBlocks * LIVE.chains, 'blocks')
    const outcome = await runLive(stage, {
      ...LIVE,
      transport,
      blocks: options.liveBlocks,
      concerns: { oneBlockIn: 2 },
      lookMs: 50,
      onProgress: done => progress.update(done),
    })
    progress.end()
    rows.push(...liveRows(name, outcome))
    numbers[name] = summarizeLive(outcome)
  }
  for (const kind of ['sparse', 'dense'] as const) {
    const progress = options.progress(`backfill, ${kind}`, options.backfillBlocks, 'blocks')
    const counts = await countBackfill(stage, kind, options.backfillBlocks)
    progress.update(options.backfillBlocks)
    progress.end()
    const perBlock = counts.items / options.backfillBlocks
    rows.push(atMost(`backfill, ${kind}: calls a block`, perBlock, kind === 'sparse' ? 1.1 : 2.1))
    const { blocks: _blocks, idle: _idle, ...totals } = counts
    numbers[`backfill, ${kind}`] = { blocks: options.backfillBlocks, callsPerBlock: perBlock, ...totals }
  }
  return { rows, numbers }
}

function liveRows(name: string, { plain, concerned, idle, tagsPerEpoch }: LiveOutcome): Row[] {
  return [
    atMost(`${name}: calls a block without a tracked wallet`, meanOf(plain), 2),
    atMost(`${name}: calls a block with one`, meanOf(concerned), 3),
    plainRow(`${name}: the most for one block, without and with`, `${maxOf(plain)} and ${maxOf(concerned)}`),
    atMost(`${name}: idle polls a block`, meanOf(idle), 3),
    atMost(`${name}: calls for tags an epoch`, tagsPerEpoch, 2),
  ]
}

export function summarizeLive({ plain, concerned, idle, tagsPerEpoch, methods }: LiveOutcome) {
  return {
    blocks: plain.length + concerned.length,
    callsWithoutTrackedWallet: { mean: meanOf(plain), max: maxOf(plain) },
    callsWithTrackedWallet: { mean: meanOf(concerned), max: maxOf(concerned) },
    idlePolls: { mean: meanOf(idle), max: maxOf(idle) },
    tagsPerEpoch,
    methods,
  }
}

export function historySpec(kind: 'sparse' | 'dense', chainId: number): ChainSpec {
  return {
    seed: 11,
    chainId,
    wallets: 1_000,
    tracked: 100,
    listedTokens: 4,
    unlistedTokens: 4,
    concerns: kind === 'dense' ? 'crowd' : { oneBlockIn: 100 },
    anchor: HISTORY_ANCHOR,
    blockSeconds: 12,
  }
}

async function countBackfill(stage: Stage, kind: 'sparse' | 'dense', blocks: number) {
  const { node } = stage
  const spec = historySpec(kind, BACKFILL_CHAINS[kind])
  const range = { from: FIRST_HEIGHT + 1, to: FIRST_HEIGHT + blocks }
  const database = await stage.createDatabase(createCast(spec).tracked)
  const { url } = await node.open({ chain: spec, head: range.to + FINAL_BLOCKS })
  const indexer = createIndexer(database, [{ chain: chainFile(spec), url }])
  try {
    await indexer.backfill(range)
    return await node.counts(spec.chainId)
  } finally {
    await indexer.close()
    await node.end(spec.chainId)
    await stage.dropDatabase(database)
  }
}
