/**
 * `eth_getLogs`: a range or one block, by address and topics, or all of them.
 *
 * Always holds: what comes out is cut from the block's prepared logs. Positions of topics are as in the specification: null stands for
 * anything, a list for any of it, and a shorter list of positions matches longer logs.
 */

import type { LogFacts, Mould } from '../chain/mould.ts'
import { fill } from '../chain/sheet.ts'
import type { Served } from './served.ts'

export type LogFilter = {
  readonly fromBlock?: string
  readonly toBlock?: string
  readonly blockHash?: string
  readonly address?: string | readonly string[] | null
  readonly topics?: readonly (string | readonly string[] | null)[] | null
}

const OPEN = Buffer.from('[')
const CLOSE = Buffer.from(']')
const COMMA = Buffer.from(',')

/** The JSON list in pieces, of the blocks from one height to another. */
export function findLogs({ chain }: Served, from: number, to: number, filter: LogFilter): Buffer[] {
  const matches = compile(filter)
  const parts: Buffer[] = [OPEN]
  for (let height = from; height <= to; height += 1) {
    const mould = chain.mouldAt(height)
    const wanted = itemsOf(mould, matches)
    if (wanted.length === 0) continue
    const text = fill(mould.logs, chain.fillingAt(height))
    for (const { start, end } of wanted) {
      if (parts.length > 1) parts.push(COMMA)
      parts.push(text.subarray(start, end))
    }
  }
  parts.push(CLOSE)
  return parts
}

type Span = { readonly start: number; readonly end: number }

/** The text of all logs at once where none is left out. */
function itemsOf({ logs, logFacts }: Mould, matches: ((log: LogFacts) => boolean) | null): readonly Span[] {
  const { items } = logs
  const first = items[0]
  const last = items.at(-1)
  if (first === undefined || last === undefined) return []
  if (matches === null) return [{ start: first.start, end: last.end }]
  return items.filter((_, index) => {
    const facts = logFacts[index]
    return facts !== undefined && matches(facts)
  })
}

/** null: everything matches. */
function compile({ address, topics }: LogFilter): ((log: LogFacts) => boolean) | null {
  const addresses = setOf(address)
  const positions = (topics ?? []).map(setOf)
  if (addresses === null && positions.every(position => position === null)) return null
  return log =>
    (addresses === null || addresses.has(log.address)) &&
    positions.every((position, index) => position === null || position.has(log.topics[index] ?? ''))
}

/** null: anything. */
function setOf(wanted: string | readonly string[] | null | undefined): ReadonlySet<string> | null {
  if (wanted === null || wanted === undefined) return null
  const list = typeof wanted === 'string' ? [wanted] : wanted
  return list.length === 0 ? null : new Set(list.map(text => text.toLowerCase()))
}
