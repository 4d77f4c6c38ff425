/**
 * All logs of a range of blocks (`eth_getLogs` without a filter), in questions as large as the endpoint lets us ask.
 *
 * Without a filter, because only then the answer can be checked: each block's header commits to the bloom filter of all its logs.
 * An answer to a filtered question that is empty can't be told from a lie.
 */

import { numberToHex } from 'viem/utils'
import type { Interest } from '../core/interest.ts'
import { growRange, shrinkRange } from '../core/log-range.ts'
import type { Range } from '../core/range.ts'
import type { Clock } from '../runtime/clock.ts'
import { inconsistent } from './blocks.ts'
import type { Endpoint } from './endpoint.ts'
import type { Entries } from './entries.ts'
import { EndpointFailure } from './failure.ts'
import { parseBlockNumber, parsePlacedLogs, readList } from './parse.ts'
import type { Asker, Pool, Question } from './pool.ts'
import { digestLogs, type LogDigest } from './sieving.ts'

/** Refusals after which one question is given up: halving gets from the largest range to one block in fewer. */
const MAX_REFUSALS = 16

export type LogsOf = {
  /** What was seen of them, or all of them as they were told, where they look unusual. */
  readonly logs: LogDigest | readonly unknown[]
  /** Who told them: whoever is found out to have lied by the blocks. */
  readonly endpoint: Endpoint
}

export type LogTerms = {
  readonly pool: Pool
  readonly clock: Clock
  readonly question: Question
  readonly interest: Interest
  readonly entries: Entries
}

/** @returns logs by block number, for every block of the range; null where no endpoint gives logs in this way */
export async function askLogs({ from, to }: Range, terms: LogTerms): Promise<Map<number, LogsOf> | null> {
  const { pool, question } = terms
  const all = new Map<number, LogsOf>()
  for (let next = from; next <= to; ) {
    const start = next
    const asked = { ...question, height: to, needs: 'logs' } as const
    const piece = await pool.attempt(asker => askPiece(asker, { from: start, to }, terms), asked)
    if (piece === null) return null
    for (let number = start; number <= piece.to; number += 1) {
      all.set(number, { logs: piece.logs.get(number) ?? [], endpoint: piece.endpoint })
    }
    next = piece.to + 1
  }
  return all
}

type Piece = { readonly logs: ReadonlyMap<number, LogsOf['logs']>; readonly to: number; readonly endpoint: Endpoint }

/** As much of the range as the endpoint gives in one answer; null: it gives none. */
async function askPiece({ endpoint, request }: Asker, { from, to }: Range, terms: LogTerms): Promise<Piece | null> {
  if (!endpoint.abilities.may('logs')) return null
  const { clock } = terms
  for (let refusals = 0; ; refusals += 1) {
    const blocks = Math.min(endpoint.logRange.blocks, to - from + 1)
    const until = from + blocks - 1
    const started = clock.monotonic()
    try {
      const answer = await request('eth_getLogs', [{ fromBlock: numberToHex(from), toBlock: numberToHex(until) }])
      const tookMs = clock.monotonic() - started
      const told = readList(answer, 'logs')
      const byBlock = groupByBlock(told)
      const stray = byBlock.keys().find(number => number < from || number > until)
      if (stray !== undefined) {
        endpoint.abilities.note('logs', false)
        throw inconsistent(endpoint, `logs of ${from} to ${until} were asked for and one of ${stray} came`)
      }
      const logs = readLogs(byBlock, terms)
      endpoint.logRange = growRange(endpoint.logRange, { blocks, logs: told.length, tookMs })
      endpoint.abilities.note('logs', true)
      return { logs, to: until, endpoint }
    } catch (error) {
      if (!(error instanceof EndpointFailure)) throw error
      if (error.kind === 'unsupported') endpoint.abilities.note('logs', false)
      if (error.range === null || refusals >= MAX_REFUSALS) throw error
      // Not even one block: the receipts tell the same.
      if (blocks === 1) {
        endpoint.abilities.note('logs', false)
        throw error
      }
      endpoint.logRange = shrinkRange(endpoint.logRange, { blocks, ...error.range })
    }
  }
}

/** Logs of one block stand side by side, so that its number is read once. */
function groupByBlock(logs: readonly unknown[]): Map<number, unknown[]> {
  const byBlock = new Map<number, unknown[]>()
  let text: unknown
  let own: unknown[] = []
  for (const log of logs) {
    const blockNumber = (log as { blockNumber?: unknown } | null)?.blockNumber
    if (blockNumber !== text || text === undefined) {
      const number = parseBlockNumber(log)
      own = byBlock.get(number) ?? []
      byBlock.set(number, own)
      text = blockNumber
    }
    own.push(log)
  }
  return byBlock
}

function readLogs(byBlock: ReadonlyMap<number, readonly unknown[]>, { interest, entries }: LogTerms) {
  const logs = new Map<number, LogsOf['logs']>()
  for (const [number, told] of byBlock) {
    const digest = digestLogs(told, interest, entries)
    // What is no answer at all is found out here, and not when the block is there.
    if (digest === null) parsePlacedLogs(told)
    logs.set(number, digest ?? told)
  }
  return logs
}
