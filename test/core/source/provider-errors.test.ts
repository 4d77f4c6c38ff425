/**
 * What nodes and providers were seen to answer, each served over HTTP and read as the daemon would read it.
 *
 * The texts are in provider-errors.json, with where each was seen. A text that is met in production and misread belongs there first.
 */

import { readFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { systemClock } from '../../../src/runtime/clock.ts'
import { createBudget } from '../../../src/source/budget.ts'
import { createEndpoint } from '../../../src/source/endpoint.ts'
import { EndpointFailure, type FailureKind } from '../../../src/source/failure.ts'

type Entry = {
  readonly provider: string
  readonly method: string
  /** null: 200. */
  readonly status: number | null
  /** null: the message is the whole body of the answer, and no JSON-RPC. */
  readonly code: number | null
  readonly message: string
  /** What else is in the error, beside code and message. */
  readonly extra?: Readonly<Record<string, unknown>>
  readonly headers?: Readonly<Record<string, string>>
  /** How many blocks of logs are asked for. */
  readonly askedBlocks?: number
  /** The words say nothing: the code alone tells. */
  readonly isWordless?: true
  readonly kind: FailureKind
  /** What the text suggests, whether or not it makes sense for what was asked. */
  readonly range?: { readonly fromBlock: string; readonly toBlock: string }
  readonly maxBlocks?: number
  /** Fewer blocks may be answered, though the kind is another. */
  readonly mayBeRange?: true
  readonly retryAfterMs?: number
}

const ASKED_BLOCKS = 100_000
const FROM_BLOCK = 16_000_000
const entries = JSON.parse(readFileSync(new URL('./provider-errors.json', import.meta.url), 'utf8')) as readonly Entry[]

/** The same words without a status, as over a websocket, and with a code that says nothing. */
const byWords = entries
  .filter(({ code, isWordless }) => code !== null && isWordless !== true)
  .map((entry): Entry => ({ ...entry, status: null, code: -32000 }))
const served = [...entries, ...byWords]

let server: Server
let url: string

beforeAll(async () => {
  server = createServer((request, response) => {
    request.resume()
    const { status, code, message, extra, headers } = served[Number(request.url?.slice(1))] as Entry
    const isHtml = code === null && message.startsWith('<')
    const body = code === null ? message : JSON.stringify({ jsonrpc: '2.0', id: 1, error: { code, message, ...extra } })
    response.writeHead(status ?? 200, { 'content-type': isHtml ? 'text/html' : 'application/json', ...headers })
    // What is neither a page nor JSON is what proxies send as text.
    response.end(code === null && !isHtml && !message.startsWith('{') ? JSON.stringify({ error: message }) : body)
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})

afterAll(() => {
  server.closeAllConnections()
  server.close()
})

/** The failure that the entry becomes, by the way of every question. */
async function meet(entry: Entry): Promise<EndpointFailure> {
  const budget = createBudget(
    { chainId: 1, endpoint: 'node', perDay: null, blockTimeSeconds: 12, ledger: null },
    systemClock,
  )
  const endpoint = createEndpoint(
    { url: `${url}/${served.indexOf(entry)}`, name: 'node', budget, perSecond: null, atOnce: 1 },
    systemClock,
  )
  const blocks = entry.askedBlocks ?? ASKED_BLOCKS
  const toBlock = `0x${(FROM_BLOCK + blocks - 1).toString(16)}`
  const filter = { fromBlock: `0x${FROM_BLOCK.toString(16)}`, toBlock }
  const failure: unknown = await endpoint
    .request(entry.method, entry.method === 'eth_getLogs' ? [filter] : [])
    .catch((error: unknown) => error)
  await endpoint.close()
  if (!(failure instanceof EndpointFailure)) throw new Error('The endpoint did not fail.', { cause: failure })
  return failure
}

/** The smallest of what is suggested, of what is smaller than what was asked. */
function suggestion({ range, maxBlocks, askedBlocks = ASKED_BLOCKS }: Entry): number | null {
  const ofRange = range === undefined ? [] : [Number(range.toBlock) - Number(range.fromBlock) + 1]
  const sensible = [...ofRange, ...(maxBlocks === undefined ? [] : [maxBlocks])].filter(blocks => blocks < askedBlocks)
  return sensible.length === 0 ? null : Math.min(...sensible)
}

describe('what nodes and providers were seen to answer', () => {
  test.each(entries.map(entry => [`${entry.provider}: ${entry.message}`, entry] as const))(
    '%s',
    async (_name, entry) => {
      const failure = await meet(entry)
      const isRange = entry.kind === 'range-too-large' || entry.mayBeRange === true
      expect({ kind: failure.kind, range: failure.range, retryAfterMs: failure.retryAfterMs }).toEqual({
        kind: entry.kind,
        range: isRange ? { suggestedBlocks: suggestion(entry) } : null,
        retryAfterMs: entry.retryAfterMs ?? null,
      })
    },
  )

  test.each(byWords.map(entry => [`${entry.provider}: ${entry.message}`, entry] as const))(
    'by the words alone, %s',
    async (_name, entry) => {
      const { kind, range } = await meet(entry)
      expect(kind).toBe(entry.kind)
      expect(range?.suggestedBlocks ?? null).toBe(range === null ? null : suggestion(entry))
    },
  )

  test('are many, of many, of every kind', () => {
    const ranges = entries.filter(({ kind }) => kind === 'range-too-large')
    expect(new Set(ranges.map(({ message, extra }) => JSON.stringify([message, extra]))).size).toBeGreaterThan(90)
    expect(new Set(entries.map(({ kind }) => kind)).size).toBe(10)
  })
})
