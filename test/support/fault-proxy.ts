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
import { answerFrom, type Branch } from './branch.ts'
import { type Fields, withForeignLog, withLogTwice, withoutLogs, withTransactionsOf } from './spoilt.ts'

/** Faults of a whole HTTP answer. */
const TRANSPORT_FAULTS = [
  'throttled',
  'throttled-retry-after',
  'payment-required',
  'server-error',
  'html',
  'truncated',
  'reset',
  'silence',
  'delay',
] as const
/** Faults within an answer, each for the methods that it concerns. */
const ANSWER_FAULTS = [
  'quota',
  'null-block',
  'foreign-block',
  'foreign-transactions',
  'no-tags',
  'null-receipts',
  'null-transaction',
  'foreign-receipts',
  'duplicate-receipts',
  'missing-receipts',
  'receipts-without-logs',
  'log-twice',
  'foreign-log',
  'wrong-chain',
  'no-block-receipts',
] as const
/** Views: the endpoint shows an older chain than there is, with all that belongs to it. */
const VIEW_FAULTS = ['lagging', 'standing-head', 'wandering-head', 'orphaned'] as const

export const PROBABLE_FAULTS = [...TRANSPORT_FAULTS, ...ANSWER_FAULTS] as const
export type ProbableFault = (typeof PROBABLE_FAULTS)[number]
export type FaultKind = ProbableFault | (typeof VIEW_FAULTS)[number]

export type View =
  /** The newest `blocks` blocks are not there. */
  | { readonly kind: 'lagging'; readonly blocks: number }
  /** Nothing newer than the head at the moment when the schedule began. */
  | { readonly kind: 'standing-head' }
  /** Each request meets another node behind the balancer, up to `blocks` behind. */
  | { readonly kind: 'wandering-head'; readonly blocks: number }
  /** A branch that the chain has left, as it was. */
  | { readonly kind: 'orphaned'; readonly branch: Branch }

export type Schedule = {
  /** Of the requests that a fault can concern: the part that meets it. */
  readonly rates: Partial<Record<ProbableFault, number>>
  readonly view: View | null
}

export type FaultProxy = {
  readonly url: string
  /** null: no fault from now on, and answers that were held are cut off. */
  play(schedule: Schedule | null): void
  /** How often each fault was played. */
  counters(): Readonly<Partial<Record<FaultKind, number>>>
  close(): Promise<void>
}

type Item = { readonly id?: unknown; readonly method?: string; readonly params?: readonly unknown[] }
type Answer = { readonly result?: unknown; readonly error?: { readonly code: number; readonly message: string } }

type State = {
  readonly target: string
  readonly dice: Dice
  readonly counts: Map<FaultKind, number>
  readonly held: Set<ServerResponse>
  schedule: Schedule | null
  /** The head that a standing view shows, once it was asked for. */
  standsAt: number | null
}

const UPSTREAM_DEADLINE_MS = 20_000
const MAX_DELAY_MS = 300
const RETRY_AFTER_SECONDS = 1
/** A block is "just announced" while it is among this many newest ones. */
const RECENT_BLOCKS = 3
const METHOD_NOT_FOUND = -32_601
const SERVER_ERROR = -32_000
const LIMIT_EXCEEDED = -32_005
const BLOCK_NOT_FOUND = -39_001

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

function count(state: State, fault: FaultKind): void {
  state.counts.set(fault, (state.counts.get(fault) ?? 0) + 1)
}

/** Whether a fault is to be played now; counted if so. */
function plays(state: State, fault: ProbableFault): boolean {
  const rate = state.schedule?.rates[fault] ?? 0
  if (rate === 0 || !state.dice.chance(rate)) return false
  count(state, fault)
  return true
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

// ── What is answered ─────────────────────────────────────────────────────────────────────────────────────────────────────

async function answerMethod(state: State, method: string, params: readonly unknown[]): Promise<Answer> {
  const view = state.schedule?.view ?? null
  if (view?.kind === 'orphaned') {
    const answer = answerFrom(view.branch, method, params)
    count(state, 'orphaned')
    if (answer !== undefined) return { result: answer }
  }
  const limit = await visibleHead(state)
  if (plays(state, 'quota'))
    return { error: { code: LIMIT_EXCEEDED, message: 'daily request count exceeded, request rate limited' } }
  if (method === 'eth_chainId' && plays(state, 'wrong-chain')) return { result: '0x5' }
  if (method === 'eth_getBlockReceipts' && plays(state, 'no-block-receipts')) {
    return { error: { code: METHOD_NOT_FOUND, message: 'the method eth_getBlockReceipts does not exist' } }
  }
  const seen = limit === null ? await ask(state, method, params) : await askWithin(state, method, params, limit)
  if (seen.error !== undefined || seen.result === null || seen.result === undefined) return seen
  if (method === 'eth_getBlockByNumber') return spoilBlock(state, params, seen)
  if (method.startsWith('eth_getTransaction') && typeof seen.result === 'object' && plays(state, 'null-transaction'))
    return { result: null }
  if (method === 'eth_getBlockReceipts') return spoilReceipts(state, params, seen)
  return seen
}

async function spoilBlock(state: State, params: readonly unknown[], seen: Answer): Promise<Answer> {
  const [number, isWhole] = params
  if ((number === 'safe' || number === 'finalized') && plays(state, 'no-tags'))
    return { error: { code: BLOCK_NOT_FOUND, message: `${number} block not found` } }
  if ((await isRecent(state, number)) && plays(state, 'null-block')) return { result: null }
  const before = hex(Number(number) - 1)
  if (!(Number(number) > 0)) return seen
  if (plays(state, 'foreign-block')) return ask(state, 'eth_getBlockByNumber', [before, isWhole])
  if (isWhole !== true || !plays(state, 'foreign-transactions')) return seen
  const other = (await ask(state, 'eth_getBlockByNumber', [before, true])).result as Fields
  return { result: withTransactionsOf(seen.result as Fields, other) ?? seen.result }
}

async function spoilReceipts(state: State, params: readonly unknown[], seen: Answer): Promise<Answer> {
  if ((await isRecent(state, params[0])) && plays(state, 'null-receipts')) return { result: null }
  const receipts = seen.result as readonly Fields[]
  if (Number(params[0]) > 0 && plays(state, 'foreign-receipts'))
    return ask(state, 'eth_getBlockReceipts', [hex(Number(params[0]) - 1)])
  const [first] = receipts
  if (first === undefined) return seen
  if (plays(state, 'duplicate-receipts')) return { result: [first, ...receipts] }
  if (plays(state, 'missing-receipts')) return { result: receipts.slice(0, -1) }
  if (plays(state, 'receipts-without-logs')) return { result: withoutLogs(receipts) ?? receipts }
  if (plays(state, 'log-twice')) return { result: withLogTwice(receipts) ?? receipts }
  if (plays(state, 'foreign-log')) return { result: withForeignLog(receipts, first['transactionHash']) ?? receipts }
  return seen
}

/** The height of the newest block that this endpoint admits; null: of all. */
async function visibleHead(state: State): Promise<number | null> {
  const view = state.schedule?.view ?? null
  if (view === null) return null
  const head = await headOf(state)
  if (view.kind === 'orphaned') return view.branch.head
  count(state, view.kind)
  if (view.kind === 'standing-head') {
    state.standsAt ??= head
    return Math.min(state.standsAt, head)
  }
  const behind = view.kind === 'lagging' ? view.blocks : state.dice.integer(0, view.blocks)
  return Math.max(head - behind, 0)
}

/** Answers as a node that has nothing above `limit`. */
async function askWithin(state: State, method: string, params: readonly unknown[], limit: number): Promise<Answer> {
  if (method === 'eth_blockNumber') return { result: hex(limit) }
  if (method === 'eth_getBlockByNumber' || method === 'eth_getBlockReceipts') {
    const [tag, ...rest] = params
    if (tag === 'latest') return ask(state, method, [hex(limit), ...rest])
    if (String(tag).startsWith('0x')) return Number(tag) > limit ? { result: null } : ask(state, method, params)
    const answer = await ask(state, method, params)
    const tagged = answer.result as Fields | null | undefined
    return Number(tagged?.['number'] ?? 0) > limit ? ask(state, method, [hex(limit), ...rest]) : answer
  }
  if (method === 'eth_getTransactionByHash' || method === 'eth_getTransactionReceipt') {
    const answer = await ask(state, method, params)
    const found = answer.result as Fields | null | undefined
    if (Number(found?.['blockNumber'] ?? 0) <= limit) return answer
    if (method === 'eth_getTransactionReceipt') return { result: null }
    return { result: { ...found, blockNumber: null, blockHash: null, transactionIndex: null } }
  }
  if (method === 'eth_call' || method === 'eth_getTransactionCount' || method === 'eth_getCode') {
    const at = params.at(-1)
    if (at === 'latest') return ask(state, method, [...params.slice(0, -1), hex(limit)])
    if (Number(at) > limit) return { error: { code: SERVER_ERROR, message: 'header not found' } }
  }
  return ask(state, method, params)
}

async function isRecent(state: State, block: unknown): Promise<boolean> {
  if (!String(block).startsWith('0x')) return false
  return Number(block) > (await headOf(state)) - RECENT_BLOCKS
}

async function headOf(state: State): Promise<number> {
  return Number((await ask(state, 'eth_blockNumber', [])).result)
}

function hex(number: number): string {
  return `0x${number.toString(16)}`
}

async function ask(state: State, method: string, params: readonly unknown[]): Promise<Answer> {
  const response = await fetch(state.target, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }),
    signal: AbortSignal.timeout(UPSTREAM_DEADLINE_MS),
  })
  return (await response.json()) as Answer
}
