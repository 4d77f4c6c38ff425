/**
 * Blocks of a range at the lowest cost in requests, and of each only what concerns somebody: the blocks, their logs by the range, and
 * receipts where nothing else tells; or blocks and receipts, where most blocks need them anyway.
 *
 * Always holds: every block was checked against its logs (or its receipts) before anything of it was left out. Where the two don't
 * fit, the receipts decide, once, and who told the logs is not asked for any for a while; so a chain whose bloom filters say nothing,
 * or a node that loses logs, costs requests and never a row. A block is let go as soon as it is sieved: what is held is what is under
 * way, and what concerns somebody.
 */

import pMap from 'p-map'
import type { EntryBits } from '../core/bloom.ts'
import { type Interest, openOutcomes } from '../core/interest.ts'
import { type Range, splitRanges } from '../core/range.ts'
import { sieveBlock } from '../core/sieve.ts'
import type { Block } from '../core/types.ts'
import { addReceipt, joinLogs } from '../core/validate.ts'
import type { Clock } from '../runtime/clock.ts'
import { askReceipt, askReceipts, askToldBlock, believe, type BlockTerms, joinAndProve } from './blocks.ts'
import { Entries } from './entries.ts'
import { askLogs, type LogsOf } from './logs.ts'
import { parseBlock, parsePlacedLogs } from './parse.ts'
import type { Asker, Pool, Question } from './pool.ts'
import { digestLogs, sieveByLogs, sieveByReceipts, type SievedByLogs } from './sieving.ts'
import type { HistoryWay } from './source.ts'

const BLOCKS_AT_ONCE = 16
/** Of one question for logs: more would save one request in forty blocks at most, and is held for longer. */
const LOG_BLOCKS = 40

export type HistoryOptions = {
  readonly pool: Pool
  readonly clock: Clock
  readonly terms: BlockTerms
  readonly question: Question
  readonly bits: EntryBits
}

type Stretch = Omit<HistoryOptions, 'bits'> & { readonly interest: Interest; readonly entries: Entries }

/** In the order of their numbers. */
export async function askHistory(
  range: Range,
  interest: Interest,
  way: HistoryWay,
  { bits, ...options }: HistoryOptions,
): Promise<Block[]> {
  const byLogs = way === 'logs' && options.terms.level !== 'full'
  const stretch = { ...options, interest, entries: new Entries(interest, byLogs ? bits : null) }
  const logs = byLogs ? logsAhead(range, stretch) : null
  const numbers = Array.from({ length: range.to - range.from + 1 }, (_, index) => range.from + index)
  const take = async (number: number) => {
    const known = logs === null ? null : await logs(number)
    return known === null ? byReceipts(number, stretch) : byLogsOf(number, known, stretch)
  }
  return pMap(numbers, take, { concurrency: BLOCKS_AT_ONCE })
}

/** Asks for the logs of a stretch when those of the one before have come. @returns the logs of a block, once; null: nobody gives any */
function logsAhead(range: Range, stretch: Stretch): (number: number) => Promise<LogsOf | null> {
  const parts = splitRanges([range], LOG_BLOCKS)
  const asked: Promise<Map<number, LogsOf> | null>[] = []
  const part = (index: number) => {
    const own = parts[index]
    if (own === undefined) return null
    let answer = asked[index]
    if (answer === undefined) {
      answer = askLogs(own, stretch)
      // A failure is met by the blocks that need the answer.
      answer.catch(() => undefined)
      asked[index] = answer
    }
    return answer
  }
  return async number => {
    const index = Math.floor((number - range.from) / LOG_BLOCKS)
    const logs = await part(index)
    void part(index + 1)
    const known = logs?.get(number)
    logs?.delete(number)
    return known ?? null
  }
}

async function byReceipts(number: number, stretch: Stretch): Promise<Block> {
  const { pool, terms, question, interest, entries } = stretch
  return pool.attempt(
    async asker => {
      const [told, receipts] = await Promise.all([askToldBlock(asker, number), askReceipts(asker, number)])
      // Roots are proved of the whole.
      if (receipts !== null && terms.level === 'basic') {
        const block = await sieveByReceipts(number, told, receipts, interest, entries)
        if (block !== null) return block
      }
      const block = { told, parsed: await parseBlock(told) }
      return sieveBlock(await joinAndProve(asker, number, block, receipts, { ...terms, interest }), interest)
    },
    { ...question, height: number },
  )
}

async function byLogsOf(number: number, known: LogsOf, stretch: Stretch): Promise<Block> {
  const { pool, question, interest } = stretch
  const { told, joined } = await pool.attempt(async asker => joinTold(asker, number, known, stretch), {
    ...question,
    height: number,
  })
  if (joined.kind === 'unfit') {
    known.endpoint.lies += 1
    known.endpoint.abilities.note('logs', false)
    return byReceipts(number, stretch)
  }
  if (joined.kind !== 'sieved') return withReceipts(number, told, stretch)
  const [first, ...more] = openOutcomes(joined.block, interest)
  if (first === undefined) return joined.block
  return more.length > 0 ? withReceipts(number, told, stretch) : withReceipt(joined.block, first, stretch)
}

/** A block as it was told, and what came of it and its logs. */
type Joined = { readonly told: unknown; readonly joined: SievedByLogs }

async function joinTold(asker: Asker, number: number, { logs }: LogsOf, stretch: Stretch): Promise<Joined> {
  const { interest, entries } = stretch
  const told = await askToldBlock(asker, number)
  const digest = isList(logs) ? (logs.length === 0 ? digestLogs([], interest, entries) : null) : logs
  if (digest !== null) {
    const joined = await sieveByLogs(number, told, digest, interest, entries)
    // Without a log nothing is held that could be missing then.
    if (joined.kind !== 'unusual' || digest.groups.length > 0) return { told, joined }
  }
  const whole = joinLogs(number, await parseBlock(told), parsePlacedLogs(isList(logs) ? logs : []))
  return { told, joined: whole.ok ? { kind: 'sieved', block: sieveBlock(whole.block, interest) } : { kind: 'unfit' } }
}

function isList(logs: LogsOf['logs']): logs is readonly unknown[] {
  return Array.isArray(logs)
}

/** All of them at once, where several are needed. */
async function withReceipts(number: number, told: unknown, stretch: Stretch): Promise<Block> {
  const { pool, terms, question, interest, entries } = stretch
  return pool.attempt(
    async asker => {
      const receipts = await askReceipts(asker, number)
      if (receipts !== null) {
        const block = await sieveByReceipts(number, told, receipts, interest, entries)
        if (block !== null) return block
      }
      const block = { told, parsed: await parseBlock(told) }
      return sieveBlock(await joinAndProve(asker, number, block, receipts, { ...terms, interest }), interest)
    },
    { ...question, height: number },
  )
}

async function withReceipt(block: Block, place: number, { pool, question }: Stretch): Promise<Block> {
  const { number } = block
  const { hash } = block.transactions[place] ?? { hash: '0x' as const }
  return pool.attempt(
    async asker => believe(asker.endpoint, number, addReceipt(block, await askReceipt(asker, hash, number), place)),
    { ...question, height: number },
  )
}
