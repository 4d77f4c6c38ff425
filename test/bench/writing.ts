/**
 * The workload `writing`: rows a second through the commit of a backfill, where nothing is there and where all is there already.
 *
 * The bars are for rows of activities alone; with their transactions a piece is four tables and three times as many rows more, and is
 * put beside the COPY of the same rows.
 *
 * Blocks are fetched and matched before a commit is timed, so that neither a node nor the decoding is in these numbers. What this
 * process itself takes for it (its CPU) is told, because in a backfill it has other work to do meanwhile.
 */

import type { ChainContext } from '../../src/steps/context.ts'
import { matchBlocks } from '../../src/steps/match.ts'
import type { BackfillCommit } from '../../src/store/commit.ts'
import { createIndexer, type Indexer } from '../support/indexer.ts'
import { createCast } from './chain/cast.ts'
import { type ChainSpec, FIRST_HEIGHT } from './chain/generated-chain.ts'
import { type Copied, copyRows } from './copy.ts'
import { atLeast, plainRow, type Row, type Section } from './report.ts'
import { historySpec, type Progress } from './requests.ts'
import { chainFile, type Stage } from './stage.ts'

export type WritingOptions = {
  readonly blocks: number
  readonly progress: (label: string, total: number, unit: string) => Progress
}

type Written = {
  readonly activities: number
  readonly tookMs: number
  /** Of this process. */
  readonly cpuMs: number
}

const CHAIN_ID = 44_000
const PIECE_BLOCKS = 100
const FINAL_BLOCKS = 200
const DEADLINE_MS = 600_000

export async function measureWriting(stage: Stage, { blocks, progress }: WritingOptions): Promise<Section> {
  const { node } = stage
  const spec = historySpec('dense', CHAIN_ID)
  const { url } = await node.open({ chain: spec, head: FIRST_HEIGHT + blocks + FINAL_BLOCKS })
  try {
    const whole = await measureTables(stage, { spec, url, blocks, progress, hasTransactions: true })
    const alone = await measureTables(stage, { spec, url, blocks, progress, hasTransactions: false })
    return {
      rows: [...rowsOf('activities alone', alone), ...rowsOf('all tables', whole)],
      numbers: { blocks, alone, whole },
    }
  } finally {
    await node.end(spec.chainId)
  }
}

type Tables = {
  readonly spec: ChainSpec
  readonly url: string
  readonly blocks: number
  readonly progress: WritingOptions['progress']
  readonly hasTransactions: boolean
}

type Measured = { readonly empty: Written; readonly again: Written; readonly copied: Copied }

async function measureTables(stage: Stage, tables: Tables): Promise<Measured> {
  const { spec, url, blocks, progress, hasTransactions } = tables
  const database = await stage.createDatabase(createCast(spec).tracked)
  const copy = await stage.createDatabase([])
  const indexer = createIndexer(database, [{ chain: chainFile(spec), url }])
  const write = async (what: string) => {
    const bar = progress(`writing, ${hasTransactions ? 'all tables' : 'activities alone'}, ${what}`, blocks, 'blocks')
    const written = await writePieces(indexer, tables, done => bar.update(done))
    bar.end()
    return written
  }
  try {
    const empty = await write('nothing there')
    const copied = await copyRows(database, copy)
    return { empty, copied, again: await write('all there') }
  } finally {
    await indexer.close()
    await stage.dropDatabase(database)
    await stage.dropDatabase(copy)
  }
}

async function writePieces(
  indexer: Indexer,
  { spec, blocks, hasTransactions }: Tables,
  onBlocks: (done: number) => void,
): Promise<Written> {
  const context = indexer.context(spec.chainId)
  await context.registry.refresh('now')
  let written: Written = { activities: 0, tookMs: 0, cpuMs: 0 }
  for (let done = 0; done < blocks; done += PIECE_BLOCKS) {
    const from = FIRST_HEIGHT + 1 + done
    const whole = await preparePiece(context, from, FIRST_HEIGHT + Math.min(done + PIECE_BLOCKS, blocks))
    const piece = hasTransactions ? whole : { ...whole, transactions: [] }
    const before = process.cpuUsage()
    const started = performance.now()
    await context.store.commitBackfill(piece)
    const tookMs = performance.now() - started
    const { user, system } = process.cpuUsage(before)
    written = {
      activities: written.activities + piece.activities.length,
      tookMs: written.tookMs + tookMs,
      cpuMs: written.cpuMs + (user + system) / 1000,
    }
    onBlocks(Math.min(done + PIECE_BLOCKS, blocks))
  }
  return written
}

async function preparePiece(context: ChainContext, from: number, to: number): Promise<BackfillCommit> {
  const signal = AbortSignal.timeout(DEADLINE_MS)
  const numbers = Array.from({ length: to - from + 1 }, (_, index) => from + index)
  const blocks = await Promise.all(numbers.map(number => context.source.block(number, signal)))
  return {
    chain: context.chain,
    registryVersion: context.registry.version,
    range: { from, to },
    wallets: null,
    settledHeight: to,
    ...(await matchBlocks(context, blocks, { sought: new Set() }, signal)),
  }
}

function rowsOf(what: string, { empty, again, copied }: Measured): Row[] {
  const speeds =
    what === 'activities alone'
      ? [
          atLeast(`writing, ${what}: rows a second, nothing there`, perSecond(empty), 30_000),
          atLeast(`writing, ${what}: rows a second, all there`, perSecond(again), 20_000),
        ]
      : [
          plainRow(
            `writing, ${what}: activities a second, nothing there`,
            Math.round(perSecond(empty)).toLocaleString('en-US'),
          ),
          plainRow(
            `writing, ${what}: activities a second, all there`,
            Math.round(perSecond(again)).toLocaleString('en-US'),
          ),
        ]
  return [
    ...speeds,
    plainRow(`writing, ${what}: rows of all tables`, copied.rows.toLocaleString('en-US')),
    plainRow(`writing, ${what}: time / limit W, nothing there`, (empty.tookMs / copied.tookMs).toFixed(2)),
    plainRow(`writing, ${what}: time / limit W, all there`, (again.tookMs / copied.tookMs).toFixed(2)),
    plainRow(`writing, ${what}: CPU of this process for an activity`, `${cost(empty)} and ${cost(again)}`),
  ]
}

function perSecond({ activities, tookMs }: Written): number {
  return (activities / tookMs) * 1000
}

function cost({ activities, cpuMs }: Written): string {
  return `${((cpuMs / activities) * 1000).toFixed(1)} µs`
}
