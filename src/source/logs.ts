/**
 * All logs of a range of blocks (`eth_getLogs` without a filter), in questions as large as the endpoint lets us ask.
 *
 * Without a filter, because only then the answer can be checked: each block's header commits to the bloom filter of all its logs.
 * An answer to a filtered question that is empty can't be told from a lie.
 */

import { numberToHex } from 'viem/utils'
import { growRange, shrinkRange } from '../core/log-range.ts'
import type { Range } from '../core/range.ts'
import type { PlacedLog } from '../core/validate.ts'
import type { Clock } from '../runtime/clock.ts'
import { inconsistent } from './blocks.ts'
import type { Endpoint } from './endpoint.ts'
import { EndpointFailure } from './failure.ts'
import { parsePlacedLogs } from './parse.ts'
import type { Asker, Pool, Question } from './pool.ts'

/** Refusals after which one question is given up: halving gets from the largest range to one block in fewer. */
const MAX_REFUSALS = 16

export type LogsOf = {
  readonly logs: readonly PlacedLog[]
  /** Who told them: whoever is found out to have lied by the blocks. */
  readonly endpoint: Endpoint
}

/** @returns logs by block number, for every block of the range; null where no endpoint gives logs in this way */
export async function askLogs(
  pool: Pool,
  { from, to }: Range,
  clock: Clock,
  question: Question,
): Promise<ReadonlyMap<number, LogsOf> | null> {
  const all = new Map<number, LogsOf>()
  for (let next = from; next <= to; ) {
    const start = next
    const asked = { ...question, height: to, needs: 'logs' } as const
    const piece = await pool.attempt(asker => askPiece(asker, { from: start, to }, clock), asked)
    if (piece === null) return null
    const byBlock = Map.groupBy(piece.logs, ({ blockNumber }) => blockNumber)
    for (let number = start; number <= piece.to; number += 1)
      all.set(number, { logs: byBlock.get(number) ?? [], endpoint: piece.endpoint })
    next = piece.to + 1
  }
  return all
}

type Piece = { readonly logs: readonly PlacedLog[]; readonly to: number; readonly endpoint: Endpoint }

/** As much of the range as the endpoint gives in one answer; null: it gives none. */
async function askPiece({ endpoint, request }: Asker, { from, to }: Range, clock: Clock): Promise<Piece | null> {
  if (!endpoint.abilities.may('logs')) return null
  for (let refusals = 0; ; refusals += 1) {
    const blocks = Math.min(endpoint.logRange.blocks, to - from + 1)
    const until = from + blocks - 1
    const started = clock.monotonic()
    try {
      const answer = await request('eth_getLogs', [{ fromBlock: numberToHex(from), toBlock: numberToHex(until) }])
      const logs = parsePlacedLogs(answer)
      const stray = logs.find(({ blockNumber }) => blockNumber < from || blockNumber > until)
      if (stray !== undefined) {
        endpoint.abilities.note('logs', false)
        throw inconsistent(endpoint, `logs of ${from} to ${until} were asked for and one of ${stray.blockNumber} came`)
      }
      const tookMs = clock.monotonic() - started
      endpoint.logRange = growRange(endpoint.logRange, { blocks, logs: logs.length, tookMs })
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
