/**
 * A bad endpoint: an HTTP JSON-RPC proxy in front of a good node, which errs as public nodes are known to do.
 *
 * Always holds: what it plays is said by a schedule that can be changed while it runs, and chance comes from the dice that it was
 * given; with the schedule `null` it is as good as the node behind it; an answer that "never comes" is held until the schedule
 * is lifted or the proxy closes, so nothing outlives it.
 *
 * Every fault is one that a careful reader can tell from the truth, alone or by asking again: an endpoint that lies consistently in
 * everything is another chain, and no reader could know.
 */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Dice } from '../../src/demo/dice.ts'
import { sleep } from '../../src/runtime/sleep.ts'
import { answerMethod } from './fault-answers.ts'
import { type FaultKind, type Play, plays, type Schedule, TRANSPORT_FAULTS } from './fault-schedule.ts'

export type FaultProxy = {
  readonly url: string
  /** null: no fault from now on, and answers that were held are cut off. */
  play(schedule: Schedule | null): void
  /** How often each fault was played. */
  counters(): Readonly<Partial<Record<FaultKind, number>>>
  close(): Promise<void>
}

type Item = { readonly id?: unknown; readonly method?: string; readonly params?: readonly unknown[] }
type State = Play & { readonly held: Set<ServerResponse> }

const MAX_DELAY_MS = 300
const RETRY_AFTER_SECONDS = 1

export async function startFaultProxy(options: { readonly target: string; readonly dice: Dice }): Promise<FaultProxy> {
  const state: State = { ...options, counts: new Map(), held: new Set(), schedule: null, standsAt: null }
  const server = createServer((request, response) => {
    serve(state, request, response).catch(() => response.destroy())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const release = () => {
    for (const response of state.held) response.destroy()
    state.held.clear()
  }
  return {
    url: `http://127.0.0.1:${port}`,
    play(schedule) {
      state.schedule = schedule
      state.standsAt = null
      if (schedule === null) release()
    },
    counters: () => Object.fromEntries(state.counts),
    async close() {
      release()
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      await closed
    },
  }
}

async function serve(state: State, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  const body = JSON.parse(Buffer.concat(chunks).toString('utf8')) as Item | readonly Item[]
  const fault = TRANSPORT_FAULTS.find(kind => plays(state, kind))
  if (fault !== undefined && fault !== 'delay' && fault !== 'truncated') {
    playTransport(state, fault, response)
    return
  }
  if (fault === 'delay') await sleep(state.dice.integer(1, MAX_DELAY_MS))
  const answer = isList(body)
    ? await Promise.all(body.map(item => answerItem(state, item)))
    : await answerItem(state, body)
  const text = JSON.stringify(answer)
  response.writeHead(200, { 'content-type': 'application/json' })
  response.end(fault === 'truncated' ? text.slice(0, text.length >> 1) : text)
}

function playTransport(
  state: State,
  fault: Exclude<(typeof TRANSPORT_FAULTS)[number], 'delay' | 'truncated'>,
  response: ServerResponse,
): void {
  switch (fault) {
    case 'throttled':
      response.writeHead(429, { 'content-type': 'text/plain' }).end('Too Many Requests')
      return
    case 'throttled-retry-after':
      response.writeHead(429, { 'retry-after': String(RETRY_AFTER_SECONDS) }).end('Too Many Requests')
      return
    case 'payment-required':
      response.writeHead(402, { 'content-type': 'text/plain' }).end('Payment Required: the plan has no requests left')
      return
    case 'server-error':
      response.writeHead(state.dice.pick([500, 502, 503, 504]), { 'content-type': 'text/plain' }).end('upstream error')
      return
    case 'html':
      response
        .writeHead(200, { 'content-type': 'text/html' })
        .end('<!doctype html><html><body>Just a moment...</body></html>')
      return
    case 'reset':
      response.socket?.resetAndDestroy()
      return
    case 'silence':
      state.held.add(response)
      response.once('close', () => state.held.delete(response))
      return
    default:
      fault satisfies never
  }
}

function isList(body: Item | readonly Item[]): body is readonly Item[] {
  return Array.isArray(body)
}

async function answerItem(state: State, item: Item): Promise<object> {
  const { method = '', params = [] } = item
  const { result, error } = await answerMethod(state, method, params)
  const envelope = { jsonrpc: '2.0', id: item.id ?? null }
  return error === undefined ? { ...envelope, result: result ?? null } : { ...envelope, error }
}
