/**
 * Real chain data, read from beside the repository: `../shared/fixtures`.
 *
 * It is other people's and not part of this repository. Where the folder is absent, tests that need it are skipped and say so:
 * a test calls `needFixtures` before anything else.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gunzipSync } from 'node:zlib'
import type { TestContext } from 'vitest'
import type { ReplayBlock, RpcBlock, RpcReceipt } from './replay-chain.ts'

const DIRECTORY = fileURLToPath(new URL('../../../shared/fixtures', import.meta.url))

/** Skips the test where the folder is absent. */
export function needFixtures(context: TestContext): void {
  context.skip(!existsSync(DIRECTORY), 'The real chain data (../shared/fixtures, beside the repository) is not there.')
}

/** Reads a file or its gzip. @param path relative to the folder, without `.gz` */
function readText(path: string): string {
  const file = join(DIRECTORY, path)
  return existsSync(file) ? readFileSync(file, 'utf8') : gunzipSync(readFileSync(`${file}.gz`)).toString('utf8')
}

function readFixture(path: string): unknown {
  return JSON.parse(readText(path))
}

/** The lines of a file with one JSON value a line. */
export function readFixtureLines(path: string): unknown[] {
  return readText(path)
    .split('\n')
    .filter(line => line !== '')
    .map(line => JSON.parse(line) as unknown)
}

/** What a real node answered, from a file with one recorded question (`>>`) and its answer (`<<`). */
export function readRecordedAnswer(path: string): unknown {
  const line = readText(path)
    .split('\n')
    .find(each => each.startsWith('<< '))
  return (JSON.parse(line?.slice('<< '.length) ?? 'null') as { result?: unknown } | null)?.result
}

function has(path: string): boolean {
  return existsSync(join(DIRECTORY, path)) || existsSync(join(DIRECTORY, `${path}.gz`))
}

/** A block of Mainnet; its receipts are null where nobody has kept them. */
export function readMainnetBlock(number: number): ReplayBlock {
  const receipts = `mainnet/receipts/${number}.json`
  return {
    block: readFixture(`mainnet/blocks/${number}.json`) as RpcBlock,
    receipts: has(receipts) ? (readFixture(receipts) as RpcReceipt[]) : null,
  }
}

/** The blocks of Mainnet whose receipts are there, or all of them, lowest first. */
export function listMainnetBlocks(of: 'blocks' | 'receipts' = 'receipts'): number[] {
  return readdirSync(join(DIRECTORY, 'mainnet', of))
    .map(name => Number.parseInt(name, 10))
    .sort((a, b) => a - b)
}

/** A token transfer as an independent program saw it. `value` of an ERC-721 token is its id. */
export type ListedTransfer = {
  readonly txHash: string
  readonly logIndex: number
  readonly token: string
  readonly from: string
  readonly to: string
  readonly value: string
  /** Only some programs say it. */
  readonly standard?: 'erc20' | 'erc721'
}

export type ListedTransfers = {
  readonly program: 'chainstorage' | 'ethereum-etl'
  readonly transfers: readonly ListedTransfer[]
}

const ETL_RANGES: readonly (readonly [number, number])[] = [
  [1_755_634, 1_755_635],
  [17_173_049, 17_173_050],
]

/** What independent programs said of the token transfers of a block; null where none was asked. */
export function readListedTransfers(number: number): ListedTransfers | null {
  const path = `oracle/chainstorage/${number}.token_transfers.json`
  if (has(path)) return { program: 'chainstorage', transfers: readFixture(path) as ListedTransfer[] }
  const range = ETL_RANGES.find(([from, to]) => number >= from && number <= to)
  if (range === undefined) return null
  const all = readFixture(
    `oracle/ethereum-etl-${range[0]}-${range[1]}/token_transfers.normalized.json`,
  ) as (ListedTransfer & { blockNumber: number })[]
  return { program: 'ethereum-etl', transfers: all.filter(({ blockNumber }) => blockNumber === number) }
}

/** Native value that a call moved, as a tracer saw it. Depth 0 is the transaction itself. */
export type ValueTrace = {
  readonly txHash: string
  readonly type: string
  readonly from: string
  readonly to: string
  readonly value: string
  readonly status: string
  readonly depth: number
}

export function readValueTraces(number: number): ValueTrace[] | null {
  const path = `oracle/chainstorage/${number}.native_value_traces.json`
  return has(path) ? (readFixture(path) as ValueTrace[]) : null
}
