/**
 * COPY within a transaction: the fastest way into a table, and the only one without parameters.
 *
 * Always holds: it ends, by itself or with its connection, and leaves the connection to whoever comes next. The driver (3.4.9) makes
 * three things necessary:
 * - A refusal that comes after the last byte (a key that is there already shows then) is told only to the query, which was resolved when
 *   the stream was handed out; the stream itself would never end. So the query's `reject` is listened to.
 * - A stream that has ended sends a word of failure after itself. Between two copies the server passes it over; in the next one it
 *   would end that. So a copy is over when its stream is closed, and not when it is finished.
 * - A stream that fails without a listener ends the process.
 */

import type { Writable } from 'node:stream'
import { finished } from 'node:stream/promises'
import type { Tx } from './connection.ts'

/** Characters of one message to the server, which works on it while the next one is made. */
const CHUNK_LENGTH = 64 * 1024

type Value = string | number | bigint | boolean | null

/** What the text format of COPY would take for something else. */
const AWKWARD = /[\\\n\r\t]/g
const HAS_AWKWARD = /[\\\n\r\t]/
const ESCAPED: Readonly<Record<string, string>> = { '\\': '\\\\', '\n': '\\n', '\r': '\\r', '\t': '\\t' }

/** One row in the text format. */
export function copyLine(...values: readonly Value[]): string {
  let line = field(values[0] ?? null)
  for (let index = 1; index < values.length; index += 1) line += `\t${field(values[index] ?? null)}`
  return `${line}\n`
}

function field(value: Value): string {
  if (value === null) return '\\N'
  if (typeof value !== 'string') return String(value)
  return HAS_AWKWARD.test(value) ? value.replaceAll(AWKWARD, character => ESCAPED[character] ?? character) : value
}

/**
 * Copies rows into a table. Nothing else of the transaction may be under way.
 *
 * @param target table and columns, as in SQL
 * @throws what the server or the connection says
 */
export async function copyRows<T>(
  tx: Tx,
  target: string,
  rows: readonly T[],
  lineOf: (row: T) => string,
): Promise<void> {
  if (rows.length === 0) return
  const query = tx.unsafe(`copy ${target} from stdin`)
  const stream = await query.writable()
  // Whoever fails meanwhile is heard below.
  stream.on('error', () => undefined)
  const { promise: refused, reject } = Promise.withResolvers<never>()
  refused.catch(() => undefined)
  ;(query as unknown as { reject: (error: unknown) => void }).reject = reject
  try {
    await Promise.race([send(stream, rows, lineOf), refused])
  } catch (error) {
    stream.destroy()
    throw error
  }
}

async function send<T>(stream: Writable, rows: readonly T[], lineOf: (row: T) => string): Promise<void> {
  const closed = finished(stream)
  closed.catch(() => undefined)
  let chunk = ''
  for (const row of rows) {
    chunk += lineOf(row)
    if (chunk.length < CHUNK_LENGTH) continue
    await write(stream, chunk)
    chunk = ''
  }
  if (chunk !== '') await write(stream, chunk)
  stream.end()
  await closed
}

function write(stream: Writable, chunk: string): Promise<void> {
  return new Promise((resolve, reject) => {
    stream.write(chunk, error => {
      if (error) reject(error)
      else resolve()
    })
  })
}
