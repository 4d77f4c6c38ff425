/**
 * A bad endpoint: a JSON-RPC proxy in front of a good node, over HTTP and websockets, which errs as public nodes are known to do.
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
import type { Duplex } from 'node:stream'
import type { Dice } from '../../src/demo/dice.ts'
import { sleep } from '../../src/runtime/sleep.ts'
import { type Answer, answerMethod } from './fault-answers.ts'
import { keyedUrl, type Keys, makeKeys } from './fault-keys.ts'
import {
  type Arrival,
  count,
  type FaultKind,
  type Play,
  plays,
  type Schedule,
  TRANSPORT_FAULTS,
} from './fault-schedule.ts'
import { type FaultSocket, serveFaultSocket } from './fault-socket.ts'
import { playTransport } from './fault-transport.ts'
import { acceptSocket } from './websocket-server.ts'

export type FaultProxy = {
  readonly url: string
  /** The same with keys in path, query and credentials: it ignores them, and its complaints repeat them. */
  readonly keyedUrl: string
  readonly keyedWsUrl: string
  readonly keys: Keys
  /** null: no fault from now on, and answers that were held are cut off. */
  play(schedule: Schedule | null): void
  /** How often each fault was played. */
  counters(): Readonly<Partial<Record<FaultKind, number>>>
  /** Resolves when a fault was played that often in all. */
  until(fault: FaultKind, times: number, signal: AbortSignal): Promise<void>
  /** When requests came, oldest first. */
  arrivals(): readonly Arrival[]
  /** Ends the connections of websockets, as a restart does. */
  cutSockets(): void
  close(): Promise<void>
}

type Item = { readonly id?: unknown; readonly method?: string; readonly params?: readonly unknown[] }
type State = Play & { readonly held: Set<ServerResponse>; readonly sockets: Set<FaultSocket>; lifted: AbortController }

const MAX_DELAY_MS = 300
const SLOW_MS = 4_000
const SECOND_MS = 1_000

export type FaultProxyOptions = {
  readonly target: string
  readonly dice: Dice
  /** A node of another chain. */
  readonly stranger?: string
  /** What the keys are made of. */
  readonly name?: string
}

export async function startFaultProxy(options: FaultProxyOptions): Promise<FaultProxy> {
  const state = newState(options)
  const { keys } = state
  const server = createServer((request, response) => {
    serve(state, request, response).catch(() => response.destroy())
  })
  server.on('upgrade', (request, stream) => {
    if (!isRefused(state, stream)) serveFaultSocket(state, state.sockets, acceptSocket(request, stream), answerAfterAll)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    keyedUrl: keyedUrl(`http://127.0.0.1:${port}`, keys),
    keyedWsUrl: keyedUrl(`ws://127.0.0.1:${port}`, keys),
    keys,
    play(schedule) {
      state.schedule = schedule
      state.standsAt = null
      state.announced = null
      if (schedule === null) release(state)
    },
    counters: () => Object.fromEntries(state.counts),
    until: (fault, times, signal) => untilPlayed(state, fault, times, signal),
    arrivals: () => state.arrivals,
    cutSockets: () => cutSockets(state),
    async close() {
      const closed = once(server, 'close')
      server.close()
      release(state)
      server.closeAllConnections()
      cutSockets(state)
      await closed
    },
  }
}

function newState({ target, dice, stranger, name = 'the endpoint' }: FaultProxyOptions): State {
  return {
    target,
    dice,
    stranger: stranger ?? null,
    keys: makeKeys(name),
    counts: new Map(),
    listeners: new Set(),
    arrivals: [],
    held: new Set(),
    sockets: new Set(),
    schedule: null,
    standsAt: null,
    announced: null,
    lifted: new AbortController(),
  }
}

function release(state: State): void {
  state.lifted.abort()
  state.lifted = new AbortController()
  for (const response of state.held) response.destroy()
  state.held.clear()
}

function cutSockets({ sockets }: State): void {
  for (const socket of sockets) socket.cut()
}

function untilPlayed(state: State, fault: FaultKind, times: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const look = () => {
      if ((state.counts.get(fault) ?? 0) < times) return
      state.listeners.delete(look)
      resolve()
    }
    const giveUp = () => {
      state.listeners.delete(look)
      reject(new Error(`${fault} was played ${state.counts.get(fault) ?? 0} times and not ${times}`))
    }
    state.listeners.add(look)
    signal.addEventListener('abort', giveUp, { once: true })
    look()
  })
}

/** A websocket that is not even opened. */
function isRefused(state: State, stream: Duplex): boolean {
  if (!plays(state, 'upgrade-refused')) return false
  const { status, body } = playTransport(state, 'throttled')
  stream.end(`HTTP/1.1 ${status} Refused\r\nconnection: close\r\ncontent-length: ${body.length}\r\n\r\n${body}`)
  return true
}

async function serve(state: State, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  const body = JSON.parse(Buffer.concat(chunks).toString('utf8')) as Item | readonly Item[]
  const items = isList(body) ? body : [body]
  for (const { method = '' } of items) state.arrivals.push({ at: performance.now(), method })
  const fault = isOverLimit(state) ? 'throttled' : TRANSPORT_FAULTS.find(kind => plays(state, kind))
  if (fault === 'reset') {
    response.socket?.resetAndDestroy()
    return
  }
  if (fault === 'silence') {
    hold(state, response)
    return
  }
  if (fault !== undefined && !isOfAnswer(fault)) {
    const { status, headers, body: text } = playTransport(state, fault)
    response.writeHead(status, headers).end(text)
    return
  }
  if (fault === 'delay' || fault === 'slow') await dawdle(state, fault)
  const answers = await Promise.all(items.map(item => answerItem(state, item)))
  if (answers.includes(undefined)) {
    hold(state, response)
    return
  }
  const [first] = answers
  const text = first?.body ?? JSON.stringify(isList(body) ? answers.map(one => one?.envelope) : first?.envelope)
  response.writeHead(first?.status ?? 200, { 'content-type': 'application/json' })
  if (fault === 'stuck' || fault === 'broken-off') breakOff(state, response, text, fault)
  else response.end(fault === 'truncated' ? text.slice(0, text.length >> 1) : text)
}

type OfAnswer = 'delay' | 'slow' | 'truncated' | 'stuck' | 'broken-off'

/** Faults that need the node's answer first. */
function isOfAnswer(fault: (typeof TRANSPORT_FAULTS)[number]): fault is OfAnswer {
  return ['delay', 'slow', 'truncated', 'stuck', 'broken-off'].includes(fault)
}

function hold(state: State, response: ServerResponse): void {
  state.held.add(response)
  response.once('close', () => state.held.delete(response))
}

async function dawdle(state: State, fault: 'delay' | 'slow'): Promise<void> {
  await sleep(fault === 'slow' ? SLOW_MS : state.dice.integer(1, MAX_DELAY_MS), state.lifted.signal)
}

function breakOff(state: State, response: ServerResponse, text: string, fault: 'stuck' | 'broken-off'): void {
  response.write(text.slice(0, text.length >> 1), () => {
    if (fault === 'broken-off') response.destroy()
  })
  if (fault === 'stuck') hold(state, response)
}

/** Whether this request is one too many of the last second. */
function isOverLimit(state: State): boolean {
  const most = state.schedule?.requestsPerSecond
  if (most === undefined) return false
  const since = performance.now() - SECOND_MS
  const recent = state.arrivals.length - 1 - state.arrivals.findLastIndex(({ at }) => at <= since)
  if (recent <= most) return false
  count(state, 'over-limit')
  return true
}

function isList(body: Item | readonly Item[]): body is readonly Item[] {
  return Array.isArray(body)
}

type Ready = { readonly envelope: object; readonly status?: number | undefined; readonly body?: string | undefined }

async function answerItem(state: State, item: Item): Promise<Ready | undefined> {
  const { method = '', params = [] } = item
  const answer = await answerMethod(state, method, params)
  if (answer === undefined) return undefined
  return { envelope: envelopeOf(item.id, answer), status: answer.status, body: answer.body }
}

function envelopeOf(id: unknown, { result, error }: Answer): object {
  const envelope = { jsonrpc: '2.0', id: id ?? null }
  return error === undefined ? { ...envelope, result: result ?? null } : { ...envelope, error }
}

/** What a websocket is told in answer to a request: undefined: nothing, ever. */
async function answerAfterAll(play: Play, id: unknown, method: string, params: readonly unknown[]) {
  const answer = await answerMethod(play, method, params)
  return answer === undefined ? undefined : (answer.body ?? JSON.stringify(envelopeOf(id, answer)))
}
