/**
 * One JSON-RPC endpoint: a connection behind a limiter, how it has behaved, and what it can do.
 *
 * Retries are not made here: an endpoint answers once or fails with a kind, and the pool decides where to ask next.
 */

import { webSocket } from 'viem'
import type { Priority } from '../core/budget.ts'
import { initialLogRange, type LogRange } from '../core/log-range.ts'
import type { Clock } from '../runtime/clock.ts'
import { within } from '../runtime/sleep.ts'
import { type Abilities, createAbilities } from './abilities.ts'
import type { Budget } from './budget.ts'
import { asksForRest, describeFailure, EndpointFailure, gaveNoAnswer } from './failure.ts'
import { createHttpClient } from './http.ts'
import { createLimiter, type Limiter } from './limiter.ts'
import type { EndpointHealth } from './source.ts'
import { createStanding, type StandingOf } from './standing.ts'

const REQUEST_TIMEOUT_MS = 20_000
/** Log data is cheap in gas: a block's receipts can exceed viem's limit of 10 MiB many times, and must not stop a chain. */
const MAX_RESPONSE_BYTES = 256 * 1024 * 1024
const FAILURES_OF_UNHEALTHY = 3
/** Blocks that one question for logs asks for at most, however little comes back. */
const MAX_LOG_RANGE_BLOCKS = 2_000
const NEVER = new AbortController().signal
const GOODBYE_MS = 200

type Subscribe = (args: {
  params: readonly unknown[]
  onData: (data: { result?: unknown }) => void
  onError: (error: unknown) => void
}) => Promise<{ unsubscribe: () => Promise<unknown> }>
type Request = (args: { method: string; params: readonly unknown[] }) => Promise<unknown>
type SocketClient = { readonly socket: { readonly readyState: number }; close(): void }

export type Turn = { readonly priority: Priority; readonly signal: AbortSignal }

export type Endpoint = {
  /** Scheme, host and port; never the path, which may be a key. */
  readonly name: string
  /** Whether it is a websocket, over which can be subscribed. */
  readonly isSocket: boolean
  readonly abilities: Abilities
  readonly standing: StandingOf
  readonly limiter: Limiter
  /** Blocks that a question for logs may ask for. */
  logRange: LogRange
  /** Whether `eth_chainId` was right since the endpoint last failed. */
  chainVerified: boolean
  /** What it calls itself (`web3_clientVersion`), cleaned; null: not known. */
  client: string | null
  /** Answers that did not fit together, or contradicted what is proved. */
  lies: number
  /** Asks once, when it is its turn. Throws EndpointFailure, or AppError ABORTED while it waits for its turn. */
  request(method: string, params: readonly unknown[], turn?: Turn): Promise<unknown>
  /**
   * Subscribes (`eth_subscribe`), over a websocket only. Resolves to what ends it; `onEnd` tells that it ended by itself. Neither
   * has a deadline: a socket may be open and silent.
   */
  subscribe(
    params: readonly unknown[],
    onData: (data: unknown) => void,
    onEnd: () => void,
  ): Promise<() => Promise<void>>
  /** Lets a websocket go that is deaf; the next question opens another. */
  readonly reset: () => void
  /** @param newest the newest block that any endpoint of the chain showed lately */
  health(newest: number): EndpointHealth
  close(): Promise<void>
}

export type EndpointOptions = {
  readonly url: string
  /** What may be shown of the URL. */
  readonly name: string
  readonly budget: Budget
  readonly perSecond: number | null
  readonly atOnce: number
  readonly timeoutMs?: number | undefined
}

export function createEndpoint(options: EndpointOptions, clock: Clock): Endpoint {
  const { url, name, budget, perSecond, atOnce, timeoutMs = REQUEST_TIMEOUT_MS } = options
  const wire = openWire(url, timeoutMs)
  let requests = 0
  let errors = 0
  const limiter = createLimiter({ perSecond, atOnce }, clock, () => {
    requests += 1
    budget.spend()
  })
  const standing = createStanding(budget, clock)
  const fail = (method: string, params: readonly unknown[], error: unknown): EndpointFailure => {
    errors += 1
    const failure = describeFailure(error, url, { method, params })
    if (gaveNoAnswer(failure.kind)) wire.drop()
    if (asksForRest(failure.kind)) limiter.refused()
    return new EndpointFailure(name, method, failure, error)
  }

  const endpoint: Endpoint = {
    name,
    isSocket: wire.isSocket,
    abilities: createAbilities(clock),
    standing,
    limiter,
    logRange: initialLogRange(MAX_LOG_RANGE_BLOCKS),
    chainVerified: false,
    client: null,
    lies: 0,
    async request(method, params, { priority, signal } = { priority: 'live', signal: NEVER }) {
      await limiter.enter(priority, signal)
      const started = clock.monotonic()
      try {
        const answer = await wire.request(method, params)
        standing.noteLatency(clock.monotonic() - started)
        return answer
      } catch (error) {
        throw fail(method, params, error)
      } finally {
        limiter.leave()
      }
    },
    async subscribe(params, onData, onEnd) {
      try {
        return await wire.subscribe(params, onData, onEnd)
      } catch (error) {
        throw fail('eth_subscribe', params, error)
      }
    },
    reset: wire.drop,
    health: newest => healthOf(endpoint, budget, newest, { requests, errors }),
    async close() {
      await wire.close()
      // A database that is away must not keep the process from ending; a few requests are then not counted.
      await within(GOODBYE_MS, budget.flush())
    },
  }
  return endpoint
}

function healthOf(
  { name, client, lies, abilities, standing, limiter }: Endpoint,
  budget: Budget,
  newest: number,
  counters: { readonly requests: number; readonly errors: number },
): EndpointHealth {
  const { barredBy, failuresInARow, lastError, latencyMs, head } = standing
  const { pace, underWay, waiting } = limiter
  const lags = head !== null && standing.lacks(head + 1, newest)
  return {
    name,
    client,
    ...counters,
    lies,
    lastError,
    state: barredBy ?? (failuresInARow >= FAILURES_OF_UNHEALTHY ? 'failing' : lags ? 'lagging' : 'ok'),
    healthy: failuresInARow < FAILURES_OF_UNHEALTHY && barredBy === null,
    latencyMs: latencyMs === null ? null : Math.round(latencyMs),
    head,
    underWay,
    waiting,
    perSecond: pace.perSecond,
    today: budget.today.requests,
    perDay: budget.today.perDay,
    abilities: abilities.known(),
  }
}

/** HTTP, or a websocket of viem's that is opened anew when it closed. */
function openWire(url: string, timeoutMs: number): Wire {
  return /^wss?:/i.test(url) ? openSocket(url, timeoutMs) : openHttp(url, timeoutMs)
}

type Wire = Pick<Endpoint, 'isSocket' | 'subscribe'> & {
  request(method: string, params: readonly unknown[]): Promise<unknown>
  /** Lets go what is open; the next question opens it anew. */
  readonly drop: () => void
  close(): Promise<void>
}

function openHttp(url: string, timeoutMs: number): Wire {
  const client = createHttpClient(url, { timeoutMs, maxBytes: MAX_RESPONSE_BYTES })
  return {
    isSocket: false,
    request: (method, params) => client.request(method, params),
    close: () => client.close(),
    drop: () => undefined,
    async subscribe() {
      throw new Error('Nothing can be subscribed to over HTTP.')
    },
  }
}

function openSocket(url: string, timeoutMs: number): Wire {
  const transport = webSocket(url, { retryCount: 0, timeout: timeoutMs, reconnect: false })({})
  const send = transport.request as unknown as Request
  let client: SocketClient | null = null

  /** viem keeps a socket that closed or fell silent, and fails on it for good: it is let go, and the next question opens another. */
  const drop = () => {
    const dropped = client
    client = null
    dropped?.close()
  }
  const open = async () => {
    if (client !== null && client.socket.readyState !== WebSocket.OPEN) drop()
    const { getRpcClient } = transport.value as unknown as { getRpcClient: () => Promise<SocketClient> }
    // A server may accept a connection and never say a word.
    const opened = await within(timeoutMs, getRpcClient())
    if (opened === null) throw new Error('The connection took too long to open.')
    client = opened
  }
  return {
    isSocket: true,
    drop,
    async request(method, params) {
      await open()
      return send({ method, params })
    },
    async subscribe(params, onData, onEnd) {
      await open()
      const { subscribe } = transport.value as unknown as { subscribe: Subscribe }
      const { unsubscribe } = await subscribe({ params, onData: ({ result }) => onData(result), onError: onEnd })
      return async () => {
        await unsubscribe()
      }
    },
    async close() {
      drop()
    },
  }
}
