/**
 * Blocks of a range at the lowest cost in requests: the blocks, their logs by the range, and receipts only where nothing else tells.
 *
 * Always holds: every block was checked against its logs (or its receipts) as strictly as a single one. Where the two don't fit, the
 * receipts decide, once, and who told the logs is not asked for any for a while; so a chain whose bloom filters say nothing, or a node
 * that loses logs, costs requests and never a row.
 */

import pMap from 'p-map'
import { type Interest, openOutcomes } from '../core/interest.ts'
import type { Range } from '../core/range.ts'
import type { Block } from '../core/types.ts'
import { addReceipt, joinLogs } from '../core/validate.ts'
import type { Clock } from '../runtime/clock.ts'
import {
  askBlock,
  askRawBlock,
  askReceipt,
  believe,
  completeBlock,
  type BlockAnswer,
  type BlockTerms,
} from './blocks.ts'
import { askLogs, type LogsOf } from './logs.ts'
import { LackingBlock, type Pool, type Question } from './pool.ts'

const BLOCKS_AT_ONCE = 16

export type HistoryOptions = {
  readonly pool: Pool
  readonly clock: Clock
  readonly terms: BlockTerms
  readonly question: Question
}

/** In the order of their numbers. */
export async function askHistory(range: Range, interest: Interest, options: HistoryOptions): Promise<Block[]> {
  const { pool, clock, terms, question } = options
  const numbers = Array.from({ length: range.to - range.from + 1 }, (_, index) => range.from + index)
  const each = <T>(work: (number: number) => Promise<T>) => pMap(numbers, work, { concurrency: BLOCKS_AT_ONCE })
  // Roots are proved by receipts only.
  const logs = terms.level === 'full' ? null : askLogs(pool, range, clock, question)
  const byBlock = logs === null ? null : settled(logs)
  const whole = (number: number) =>
    pool.attempt(asker => askBlock(asker, number, terms), { ...question, height: number })
  if (byBlock === null) return each(whole)
  const blocks = await each(number => askAlone(number, options))
  const known = (await byBlock)()
  if (known === null) return pMap(blocks, block => complete(block, options), { concurrency: BLOCKS_AT_ONCE })
  return pMap(blocks, block => join(block, known.get(block.parsed.number), interest, options), {
    concurrency: BLOCKS_AT_ONCE,
  })
}

/** Waits for it later: a failure is thrown when it is asked for, and not before somebody looks. */
async function settled<T>(work: Promise<T>): Promise<() => T> {
  try {
    const answer = await work
    return () => answer
  } catch (error) {
    return () => {
      throw error
    }
  }
}

function askAlone(number: number, { pool, question }: HistoryOptions): Promise<BlockAnswer> {
  return pool.attempt(
    async asker => {
      const block = await askRawBlock(asker, number)
      if (block === null) throw new LackingBlock(asker.endpoint, number, 'block')
      return block
    },
    { ...question, height: number },
  )
}

function complete(block: BlockAnswer, { pool, terms, question }: HistoryOptions): Promise<Block> {
  return pool.attempt(asker => completeBlock(asker, block, terms), { ...question, height: block.parsed.number })
}

async function join(
  answer: BlockAnswer,
  known: LogsOf | undefined,
  interest: Interest,
  options: HistoryOptions,
): Promise<Block> {
  const { pool, terms, question } = options
  const { number } = answer.parsed
  const joined = joinLogs(number, answer.parsed, known?.logs ?? [])
  if (!joined.ok) {
    if (known !== undefined) {
      known.endpoint.lies += 1
      known.endpoint.abilities.note('logs', false)
    }
    return pool.attempt(asker => askBlock(asker, number, terms), { ...question, height: number })
  }
  const open = openOutcomes(joined.block, interest)
  const [only] = open
  if (only === undefined) return joined.block
  if (open.length > 1) return complete(answer, options)
  const { hash } = joined.block.transactions[only] ?? { hash: '0x' as const }
  return pool.attempt(
    async asker =>
      believe(asker.endpoint, number, addReceipt(joined.block, await askReceipt(asker, hash, number), only)),
    { ...question, height: number },
  )
}
