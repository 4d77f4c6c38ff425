/**
 * The websocket of a bad endpoint: requests meet the same faults as over HTTP, as far as a socket can have them, and what it tells of
 * new blocks meets some of its own.
 *
 * Always holds: without a schedule every head of the chain is told once, in order; a socket that is silent stays open.
 */
import { once } from 'node:events'
import { otherHash } from './fault-logs.ts'
import { refuseMissing } from './fault-missing.ts'
import { count, type Play, plays, TRANSPORT_FAULTS, type TransportFault } from './fault-schedule.ts'
import { playTransport } from './fault-transport.ts'
import type { Fields } from './spoilt.ts'
import type { Socket } from './websocket-server.ts'

export type FaultSocket = {
  cut(): void
}

/** Answers a request in one text; undefined: never. */
export type AnswerText = (
  play: Play,
  id: unknown,
  method: string,
  params: readonly unknown[],
) => Promise<string | undefined>

type Question = { readonly id?: unknown; readonly method?: string; readonly params?: readonly unknown[] }
type Told = { readonly id?: unknown; readonly method?: string; readonly params?: { readonly result?: Fields } }
type Line = {
  readonly play: Play
  readonly socket: Socket
  /** The chain's own websocket: subscriptions are its. */
  readonly behind: WebSocket
  readonly answerText: AnswerText
  readonly timers: Set<NodeJS.Timeout>
}

const MAX_DELAY_MS = 300
const SLOW_MS = 4_000
/** How long the node lacks a block that was told of. */
const EARLY_MS = 400

export function serveFaultSocket(play: Play, all: Set<FaultSocket>, socket: Socket, answerText: AnswerText): void {
  const behind = new WebSocket(play.target.replace(/^http/, 'ws'))
  const line: Line = { play, socket, behind, answerText, timers: new Set() }
  const own: FaultSocket = { cut: () => socket.destroy() }
  all.add(own)
  const opened = once(behind, 'open')
  opened.catch(() => socket.destroy())
  behind.addEventListener('error', () => socket.destroy())
  behind.addEventListener('message', ({ data }) => tell(line, String(data)))
  socket.onText(text => {
    serve(line, JSON.parse(text) as Question, opened).catch(() => socket.destroy())
  })
  socket.onClose(() => {
    all.delete(own)
    for (const timer of line.timers) clearTimeout(timer)
    behind.close()
  })
}

async function serve(line: Line, question: Question, opened: Promise<unknown>): Promise<void> {
  const { play, socket, behind } = line
  const { id, method = '', params = [] } = question
  play.arrivals.push({ at: performance.now(), method })
  const fault = TRANSPORT_FAULTS.find(kind => plays(play, kind))
  if (fault === 'silence' || fault === 'stuck') return
  if (fault === 'reset' || fault === 'broken-off') {
    socket.destroy()
    return
  }
  if (fault === 'delay') await wait(line, play.dice.integer(1, MAX_DELAY_MS))
  if (fault === 'slow') await wait(line, SLOW_MS)
  if (fault === 'delay' || fault === 'slow' || fault === 'truncated' || fault === undefined) {
    const isOfSubscription = method === 'eth_subscribe' || method === 'eth_unsubscribe'
    if (isOfSubscription && refuseMissing(play, method, params) === null) {
      await opened
      behind.send(JSON.stringify({ ...question, id }))
      return
    }
    const text = await line.answerText(play, id, method, params)
    if (text !== undefined) socket.send(fault === 'truncated' ? text.slice(0, text.length >> 1) : text)
    return
  }
  socket.send(inSocket(play, id, fault))
}

/** What has a status over HTTP is an error here. */
function inSocket(play: Play, id: unknown, fault: Exclude<TransportFault, TransportOfLine>): string {
  const { status, body } = playTransport(play, fault)
  if (status === 200) return body
  return JSON.stringify({ jsonrpc: '2.0', id, error: { code: status === 429 ? -32_005 : -status, message: body } })
}

type TransportOfLine = 'delay' | 'slow' | 'truncated' | 'reset' | 'silence' | 'stuck' | 'broken-off'

function wait(line: Line, delayMs: number): Promise<void> {
  return new Promise(resolve => {
    const timer = setTimeout(() => {
      line.timers.delete(timer)
      resolve()
    }, delayMs)
    line.timers.add(timer)
  })
}

/** Hands on what the chain says: answers to subscriptions, and heads. */
function tell(line: Line, text: string): void {
  const { play, socket } = line
  const told = JSON.parse(text) as Told
  const head = told.params?.result
  if (told.method !== 'eth_subscription' || head?.['parentHash'] === undefined) {
    socket.send(text)
    return
  }
  const view = play.schedule?.view ?? null
  if (view !== null) {
    // A node that has no newer block tells of none.
    count(play, view.kind)
    return
  }
  if (plays(play, 'silent-heads') || plays(play, 'skipped-head')) return
  if (plays(play, 'cut-at-head')) {
    socket.destroy()
    return
  }
  if (plays(play, 'head-before-block'))
    play.announced = { number: Number(head['number']), until: performance.now() + EARLY_MS }
  if (plays(play, 'head-of-other-branch')) {
    const { hash, parentHash } = head
    socket.send(withHead(told, { ...head, hash: otherHash(hash), parentHash: otherHash(parentHash) }))
    return
  }
  socket.send(text)
  if (plays(play, 'repeated-head')) socket.send(text)
}

function withHead(told: Told, head: Fields): string {
  return JSON.stringify({ ...told, params: { ...told.params, result: head } })
}
