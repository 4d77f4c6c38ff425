/**
 * The blocks of a range in which a log names some wallets (`eth_getLogs` with filters), for histories that are too long to be read.
 *
 * An answer to a filtered question that lacks something can't be told from an honest one by itself. So the answer is used only to find
 * blocks, which are then read whole; and where there are several endpoints, two are asked, everything that either of them tells counts,
 * and where they differ the block itself says who was wrong: who lost or invented logs is not asked for any for a while.
 */

import { numberToHex } from 'viem/utils'
import { growRange, initialLogRange, type LogRange, shrinkRange } from '../core/log-range.ts'
import { type Proof, weakerProof } from '../core/proof.ts'
import type { Range } from '../core/range.ts'
import type { PlacedLog } from '../core/validate.ts'
import { topicOf, type WantedLogs } from '../core/wanted-logs.ts'
import type { Clock } from '../runtime/clock.ts'
import { askBlock, type BlockTerms, inconsistent } from './blocks.ts'
import type { Endpoint } from './endpoint.ts'
import { EndpointFailure } from './failure.ts'
import { parsePlacedLogs } from './parse.ts'
import type { Asker, Pool, Question } from './pool.ts'

/** Some limit how many topics a question may list; fewer wallets cost more questions. */
const WALLETS_AT_ONCE = 50
/** Filtered answers are small: more blocks than one would ask for without a filter. */
const MAX_BLOCKS = 100_000
const MAX_REFUSALS = 20
/** Blocks in which endpoints differ that are looked at to see who is wrong. What was told counts in any case. */
const MAX_JUDGED = 4

export type NamedBlocks = {
  /** Ascending. */
  readonly blocks: readonly number[]
  /** `witnessed`: two endpoints were asked for everything. */
  readonly proof: Extract<Proof, 'filtered' | 'witnessed'>
}

type Options = {
  readonly pool: Pool
  readonly clock: Clock
  readonly terms: BlockTerms
  readonly question: Question
}

type Filter = { readonly address?: readonly string[]; readonly topics: readonly (readonly string[] | null)[] }

/** @returns null where no endpoint answers such questions */
export async function askNamedBlocks(range: Range, wanted: WantedLogs, options: Options): Promise<NamedBlocks | null> {
  const blocks = new Set<number>()
  let proof: NamedBlocks['proof'] = 'witnessed'
  for (const filter of filtersOf(wanted)) {
    for (let next = range.from; next <= range.to; ) {
      const piece = await askPiece({ from: next, to: range.to }, filter, wanted, options)
      if (piece === null) return null
      for (const number of piece.blocks) blocks.add(number)
      proof = weakerProof(proof, piece.proof) as NamedBlocks['proof']
      next = piece.to + 1
    }
  }
  return { blocks: [...blocks].toSorted((a, b) => a - b), proof }
}

/** A wallet may stand in each of three topics: a question each. */
function filtersOf({ wallets, events }: WantedLogs): Filter[] {
  const filters: Filter[] = []
  for (let start = 0; start < wallets.length; start += WALLETS_AT_ONCE) {
    const topics = wallets.slice(start, start + WALLETS_AT_ONCE).map(topicOf)
    for (let position = 1; position <= 3; position += 1)
      filters.push({ topics: [...Array.from({ length: position }, () => null), topics] })
  }
  if (events.length > 0) {
    const address = [...new Set(events.map(event => event.address))]
    filters.push({ address, topics: [[...new Set(events.map(({ topic0 }) => topic0))]] })
  }
  return filters
}

type Piece = NamedBlocks & { readonly to: number }

/** As much of the range as one endpoint gives in one answer, and what another one says of the same blocks. */
async function askPiece(range: Range, filter: Filter, wanted: WantedLogs, options: Options): Promise<Piece | null> {
  const { pool, clock, question } = options
  const asked = { ...question, height: range.to, needs: 'logs' } as const
  const first = await pool.attempt(asker => askOnce(asker, range, filter, clock), asked)
  if (first === null) return null
  const same = { from: range.from, to: first.to }
  const second = await pool.second(first.endpoint, asker => askAll(asker, same, filter, clock), asked)
  const found = blocksOf(first.logs, wanted)
  if (second === null) return { blocks: [...found], to: first.to, proof: 'filtered' }
  const other = blocksOf(second.logs, wanted)
  const all = [...new Set([...found, ...other])]
  const contested = all.filter(number => found.has(number) !== other.has(number))
  await judge(contested, wanted, options, number =>
    found.has(number) ? { told: first.endpoint, not: second.endpoint } : { told: second.endpoint, not: first.endpoint },
  )
  return { blocks: all, to: first.to, proof: 'witnessed' }
}

function blocksOf(logs: readonly PlacedLog[], { concerns }: WantedLogs): Set<number> {
  return new Set(logs.filter(log => concerns(log, log.blockNumber)).map(({ blockNumber }) => blockNumber))
}

/** Reads the blocks of which one endpoint told and another did not, and holds it against whoever was wrong. */
async function judge(
  contested: readonly number[],
  { concerns }: WantedLogs,
  { pool, terms, question }: Options,
  sidesOf: (number: number) => { readonly told: Endpoint; readonly not: Endpoint },
): Promise<void> {
  for (const number of contested.slice(0, MAX_JUDGED)) {
    const block = await pool.attempt(asker => askBlock(asker, number, terms), { ...question, height: number })
    const isThere = block.receipts.some(({ logs }) => logs.some(log => concerns(log, number)))
    const { told, not } = sidesOf(number)
    const wrong = isThere ? not : told
    wrong.lies += 1
    wrong.abilities.note('logs', false)
  }
}

type Told = { readonly logs: readonly PlacedLog[]; readonly endpoint: Endpoint }

/** Every block of the range from one endpoint. */
async function askAll(asker: Asker, { from, to }: Range, filter: Filter, clock: Clock): Promise<Told | null> {
  const logs: PlacedLog[] = []
  for (let next = from; next <= to; ) {
    const piece = await askOnce(asker, { from: next, to }, filter, clock)
    if (piece === null) return null
    logs.push(...piece.logs)
    next = piece.to + 1
  }
  return { logs, endpoint: asker.endpoint }
}

/** As much of the range as the endpoint gives in one answer; null: it gives none. */
async function askOnce(
  { endpoint, request }: Asker,
  { from, to }: Range,
  filter: Filter,
  clock: Clock,
): Promise<(Told & { readonly to: number }) | null> {
  if (!endpoint.abilities.may('logs')) return null
  const ranges = rangesOf(endpoint)
  const kind = filter.address === undefined ? 'wallets' : 'events'
  for (let refusals = 0; ; refusals += 1) {
    const blocks = Math.min(ranges[kind].blocks, to - from + 1)
    const until = from + blocks - 1
    const started = clock.monotonic()
    try {
      const place = { fromBlock: numberToHex(from), toBlock: numberToHex(until) }
      const logs = parsePlacedLogs(await request('eth_getLogs', [{ ...place, ...filter }]))
      const stray = logs.find(({ blockNumber }) => blockNumber < from || blockNumber > until)
      if (stray !== undefined)
        throw inconsistent(endpoint, `logs of ${from} to ${until} were asked for and one of ${stray.blockNumber} came`)
      const tookMs = clock.monotonic() - started
      ranges[kind] = growRange(ranges[kind], { blocks, logs: logs.length, tookMs })
      return { logs, to: until, endpoint }
    } catch (error) {
      if (!(error instanceof EndpointFailure)) throw error
      if (error.kind === 'unsupported') endpoint.abilities.note('logs', false)
      if (error.range === null || refusals >= MAX_REFUSALS || blocks === 1) throw error
      ranges[kind] = shrinkRange(ranges[kind], { blocks, ...error.range })
    }
  }
}

/** How many blocks each endpoint may be asked for at once: another number with a filter than without. */
const known = new WeakMap<Endpoint, Record<'wallets' | 'events', LogRange>>()

function rangesOf(endpoint: Endpoint): Record<'wallets' | 'events', LogRange> {
  const ranges = known.get(endpoint) ?? { wallets: initialLogRange(MAX_BLOCKS), events: initialLogRange(MAX_BLOCKS) }
  known.set(endpoint, ranges)
  return ranges
}
