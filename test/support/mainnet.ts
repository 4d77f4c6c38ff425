/**
 * A block of Mainnet, indexed by the program's own backfill over HTTP into a database of its own, with every address in it tracked.
 *
 * What tests ask of it is read once and kept: rows, counts, times, and what a second run over the same block changed.
 */
import type { Chain } from '../../src/core/chain.ts'
import { createDatabase } from './database.ts'
import { addressesOf } from './expected-rows.ts'
import { readMainnetBlock } from './fixtures.ts'
import {
  type ActivityRecord,
  forgetCoverage,
  indexRange,
  readActivities,
  readMainnet,
  readRowVersions,
  watch,
  withContext,
} from './program.ts'
import { type ReplayOptions, startReplayNode } from './replay-node.ts'
import { prepareChain, type RpcBlock, type RpcReceipt } from './replay-chain.ts'

/** High enough that every block below is final and settled. */
const HEAD = 22_431_086
const WORD_18 = `0x${'0'.repeat(62)}12`
const DECIMALS_SELECTOR = '0x313ce567'

export type IndexedBlock = {
  readonly chain: Chain
  readonly block: RpcBlock
  readonly receipts: readonly RpcReceipt[]
  readonly addresses: readonly string[]
  readonly rows: readonly ActivityRecord[]
  /** New rows that the program said it wrote: at first, and when the block was indexed again. */
  readonly written: readonly [number, number]
  /** The version of every row, before and after the second time. */
  readonly versions: readonly [readonly string[], readonly string[]]
  /** Milliseconds of the first time, tokens asked for included. */
  readonly tookMs: number
  readonly requests: Readonly<Record<string, number>>
}

/** Every token has 18 decimals. */
export function eighteenDecimals(_to: string, data: string): string {
  return data === DECIMALS_SELECTOR ? WORD_18 : '0x'
}

/** @param node what else the node knows: nonces, other answers to calls */
export async function indexMainnetBlock(
  number: number,
  node: Partial<Pick<ReplayOptions, 'call' | 'nonce'>> = {},
): Promise<IndexedBlock> {
  const chain = readMainnet()
  const { block, receipts } = readMainnetBlock(number)
  if (receipts === null) throw new RangeError(`block ${number} has no receipts`)
  const addresses = addressesOf(block, receipts)
  const database = await createDatabase()
  const replay = await startReplayNode({
    chainId: chain.id,
    chain: prepareChain([{ block, receipts }, readMainnetBlock(HEAD)]),
    call: eighteenDecimals,
    ...node,
  })
  try {
    await watch(database, addresses)
    return await withContext({ database, url: replay.url, chain }, async context => {
      await context.registry.refresh('now')
      const started = performance.now()
      const first = await indexRange(context, number, number)
      const tookMs = performance.now() - started
      const requests = replay.counters().methods
      const rows = await readActivities(database)
      const before = await readRowVersions(database)
      await forgetCoverage(database)
      const second = await indexRange(context, number, number)
      const after = await readRowVersions(database)
      return {
        chain,
        block,
        receipts,
        addresses,
        rows,
        written: [first.activities, second.activities],
        versions: [before, after],
        tookMs,
        requests,
      }
    })
  } finally {
    await replay.close()
    await database.drop()
  }
}

/** The block, indexed when it is first asked for. */
export function createBlockCache(): (number: number) => Promise<IndexedBlock> {
  const known = new Map<number, Promise<IndexedBlock>>()
  return number => {
    const indexed = known.get(number) ?? indexMainnetBlock(number)
    known.set(number, indexed)
    return indexed
  }
}
