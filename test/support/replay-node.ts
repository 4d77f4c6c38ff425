/**
 * A JSON-RPC node of our own: real HTTP on loopback, answers prepared in memory, batches, counters, faults on demand.
 *
 * It knows what a daemon asks of a node and nothing else: any other method is refused with −32601, as nodes do, and so is one that
 * was switched off. It never lies by itself: what is to go wrong is said by `onRequest`, which sees each question and may answer in
 * the node's place.
 */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { prepare, type ReplayChain, type RpcLog } from './replay-chain.ts'

export type RpcRequest = { readonly id: unknown; readonly method: string; readonly params: readonly unknown[] }

/** What becomes of one question. The last three concern the whole HTTP request, in a batch too. */
export type Answer =
  | { readonly kind: 'result'; readonly json: Buffer }
  | { readonly kind: 'error'; readonly code: number; readonly message: string; readonly data?: string }
  | {
      readonly kind: 'http'
      readonly status: number
      readonly body: string
      readonly headers?: Readonly<Record<string, string>>
    }
  | { readonly kind: 'disconnect' }
  /** The connection stays open and nothing comes. */
  | { readonly kind: 'silence' }

/** Answers in the node's place; `answer()` is what it would have said. */
export type Hook = (request: RpcRequest, answer: () => Answer) => Answer | Promise<Answer>

export type ReplayOptions = {
  readonly chainId: number
  readonly chain: ReplayChain
  /** Heights of the tags; by default the highest block is final. null: nothing is yet. */
  readonly safe?: number | null
  readonly finalized?: number | null
  /** `eth_call`: the returned bytes; null: the call reverts. Absent: each returns nothing, as for an account without code. */
  readonly call?: (to: string, data: string, block: number | string) => string | null
  /** `eth_getTransactionCount`; null: that state was pruned. Absent: all of it was. */
  readonly nonce?: (address: string, block: number | string) => number | null
  /** `eth_getCode`. Absent: no account has code. */
  readonly code?: (address: string) => string
  /** Further methods, or others in place of the node's own. */
  readonly methods?: Readonly<Record<string, (params: readonly unknown[]) => Answer>>
  readonly onRequest?: Hook
  /** Milliseconds that each HTTP request takes at least. */
  readonly delayMs?: number
}

export type ReplayCounters = {
  /** HTTP requests; a batch is one. */
  readonly requests: number
  /** Questions, by method. */
  readonly methods: Readonly<Record<string, number>>
  readonly bytesOut: number
}

export type ReplayNode = {
  readonly url: string
  counters(): ReplayCounters
  resetCounters(): void
  /** From now on the node has another chain, as after a reorg or new blocks. Tags that were not set follow its highest block. */
  serve(chain: ReplayChain): void
  setTags(tags: { readonly safe?: number | null; readonly finalized?: number | null }): void
  /** A method that is switched off is not found. */
  switchOff(method: string): void
  switchOn(method: string): void
  setHook(hook: Hook | null): void
  close(): Promise<void>
}

type State = {
  readonly options: ReplayOptions
  chain: ReplayChain
  safe: number | null | undefined
  finalized: number | null | undefined
  hook: Hook | null
  readonly off: Set<string>
  readonly methods: Map<string, number>
  requests: number
  bytesOut: number
}

const METHOD_NOT_FOUND = -32_601
const INVALID_REQUEST = -32_600
const STATE_GONE = -32_000
const REVERTED = 3
const NULL = Buffer.from('null')

export async function startReplayNode(options: ReplayOptions): Promise<ReplayNode> {
  const state: State = {
    options,
    chain: options.chain,
    safe: options.safe,
    finalized: options.finalized,
    hook: options.onRequest ?? null,
    off: new Set(),
    methods: new Map(),
    requests: 0,
    bytesOut: 0,
  }
  const server = createServer((request, response) => {
    serve(state, request, response).catch(() => response.destroy())
  })
  server.keepAliveTimeout = 60_000
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    counters: () => ({
      requests: state.requests,
      methods: Object.fromEntries(state.methods),
      bytesOut: state.bytesOut,
    }),
    resetCounters() {
      state.requests = 0
      state.bytesOut = 0
      state.methods.clear()
    },
    serve: chain => void (state.chain = chain),
    setTags(tags) {
      if (tags.safe !== undefined) state.safe = tags.safe
      if (tags.finalized !== undefined) state.finalized = tags.finalized
    },
    switchOff: method => void state.off.add(method),
    switchOn: method => void state.off.delete(method),
    setHook: hook => void (state.hook = hook),
    async close() {
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      await closed
    },
  }
}

/** The answer to a question that has one. */
function resultOf(value: unknown): Answer {
  return { kind: 'result', json: prepare(value) }
}

// ── HTTP ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────

async function serve(state: State, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  state.requests += 1
  const { delayMs } = state.options
  if (delayMs !== undefined) await new Promise(resolve => setTimeout(resolve, delayMs))
  const asked = JSON.parse(Buffer.concat(chunks).toString()) as unknown
  const questions = Array.isArray(asked) ? asked : [asked]
  const parts: Buffer[] = []
  for (const question of questions) {
    const rpc = readRequest(question)
    const answer = rpc === null ? refuse(INVALID_REQUEST, 'invalid request') : await answerTo(state, rpc)
    if (answer.kind === 'silence') return
    if (answer.kind === 'disconnect') {
      response.destroy()
      return
    }
    if (answer.kind === 'http') {
      state.bytesOut += Buffer.byteLength(answer.body)
      response.writeHead(answer.status, answer.headers).end(answer.body)
      return
    }
    parts.push(...frame(rpc?.id ?? null, answer))
    parts.push(COMMA)
  }
  parts.pop()
  send(state, response, Array.isArray(asked) ? [OPEN, ...parts, CLOSE] : parts)
}

const COMMA = Buffer.from(',')
const OPEN = Buffer.from('[')
const CLOSE = Buffer.from(']')
const END = Buffer.from('}')

function frame(id: unknown, answer: Extract<Answer, { kind: 'result' | 'error' }>): Buffer[] {
  const head = `{"jsonrpc":"2.0","id":${JSON.stringify(id)},`
  if (answer.kind === 'result') return [Buffer.from(`${head}"result":`), answer.json, END]
  const { kind: _kind, ...error } = answer
  return [Buffer.from(`${head}"error":${JSON.stringify(error)}}`)]
}

/** In pieces, because an answer of a few megabytes is not worth a copy. */
function send(state: State, response: ServerResponse, parts: readonly Buffer[]): void {
  const sizeBytes = parts.reduce((sum, part) => sum + part.length, 0)
  state.bytesOut += sizeBytes
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': sizeBytes })
  response.cork()
  for (const part of parts) response.write(part)
  response.end()
  response.uncork()
}

function readRequest(question: unknown): RpcRequest | null {
  if (typeof question !== 'object' || question === null) return null
  const { id, method, params } = question as { id?: unknown; method?: unknown; params?: unknown }
  if (typeof method !== 'string') return null
  return { id: id ?? null, method, params: Array.isArray(params) ? params : [] }
}

// ── Answers ──────────────────────────────────────────────────────────────────────────────────────────────────────────────

async function answerTo(state: State, request: RpcRequest): Promise<Answer> {
  const { method, params } = request
  state.methods.set(method, (state.methods.get(method) ?? 0) + 1)
  const answer = () => (state.off.has(method) ? notFound(method) : ownAnswer(state, method, params))
  return state.hook === null ? answer() : state.hook(request, answer)
}

function ownAnswer(state: State, method: string, params: readonly unknown[]): Answer {
  const { chain, options } = state
  const own = options.methods?.[method]
  if (own !== undefined) return own(params)
  const [first, second] = params
  switch (method) {
    case 'eth_chainId':
      return resultOf(hexOf(options.chainId))
    case 'eth_blockNumber':
      return resultOf(hexOf(chain.highest))
    case 'eth_getBlockByNumber':
      return prepared(heightOf(state, first), height => chain.block(height, second === true))
    case 'eth_getBlockReceipts':
      return prepared(heightOf(state, first), height => chain.receipts(height))
    case 'eth_getLogs':
      return ownLogs(chain, first as LogFilter)
    case 'eth_getTransactionReceipt':
      return { kind: 'result', json: chain.receipt(String(first)) ?? NULL }
    case 'eth_getTransactionByHash':
      return { kind: 'result', json: chain.transaction(String(first)) ?? NULL }
    case 'eth_getTransactionCount': {
      const nonce = options.nonce?.(String(first), blockOf(second)) ?? null
      return nonce === null
        ? refuse(STATE_GONE, 'missing trie node 0x00 (path ) state is not available')
        : resultOf(hexOf(nonce))
    }
    case 'eth_getCode':
      return resultOf(options.code?.(String(first)) ?? '0x')
    case 'eth_call': {
      const { to, data } = first as { to: string; data: string }
      const answer = options.call === undefined ? '0x' : options.call(to, data, blockOf(second))
      return answer === null ? refuse(REVERTED, 'execution reverted', '0x') : resultOf(answer)
    }
    default:
      return notFound(method)
  }
}

type LogFilter = {
  readonly fromBlock: string
  readonly toBlock: string
  readonly blockHash?: string
  readonly address?: unknown
  readonly topics?: unknown
}

const isOf = (wanted: unknown, value: string | undefined) =>
  wanted === null || wanted === undefined || (value !== undefined && [wanted].flat().includes(value))

/** Of a range or one block, by addresses and topics: null stands for anything, a list for any of it. */
function ownLogs(chain: ReplayChain, { blockHash, fromBlock, toBlock, address, topics }: LogFilter): Answer {
  const { logs } = chain
  if (logs === undefined) return notFound('eth_getLogs')
  const positions = Array.isArray(topics) ? topics : []
  const matches = (log: RpcLog) =>
    isOf(address, log.address) && positions.every((wanted, index) => isOf(wanted, log.topics[index]))
  const height = blockHash === undefined ? undefined : chain.heightOf?.(blockHash)
  const [from, to] = height === undefined ? [Number(fromBlock), Number(toBlock)] : [height, height]
  const numbers = Array.from({ length: Math.max(to - from + 1, 0) }, (_, index) => from + index)
  return resultOf(numbers.flatMap(number => logs(number).filter(matches)))
}

/** null: there is no such block yet. Known hashes are not asked for by number. */
function heightOf(state: State, block: unknown): number | null {
  const { chain, safe, finalized } = state
  switch (block) {
    case 'latest':
    case 'pending':
      return chain.highest
    case 'earliest':
      return 0
    case 'safe':
      return safe === undefined ? chain.highest : safe
    case 'finalized':
      return finalized === undefined ? chain.highest : finalized
    default:
      return Number(block)
  }
}

function prepared(height: number | null, find: (height: number) => Buffer | null): Answer {
  return { kind: 'result', json: (height === null ? null : find(height)) ?? NULL }
}

function blockOf(block: unknown): number | string {
  return typeof block === 'string' && block.startsWith('0x') ? Number(block) : String(block)
}

function hexOf(number: number): string {
  return `0x${number.toString(16)}`
}

function notFound(method: string): Answer {
  return refuse(METHOD_NOT_FOUND, `the method ${method} does not exist/is not available`)
}

function refuse(code: number, message: string, data?: string): Answer {
  return { kind: 'error', code, message, ...(data === undefined ? {} : { data }) }
}
