/**
 * One JSON-RPC endpoint: a viem transport, its health, and what it can do.
 *
 * Retries are not made here: an endpoint answers once or fails with a kind, and the pool decides where to ask next.
 */

import { http, webSocket } from 'viem'
import type { Clock } from '../runtime/clock.ts'
import { describeFailure, EndpointFailure, gaveNoAnswer } from './failure.ts'
import type { EndpointHealth } from './source.ts'

const REQUEST_TIMEOUT_MS = 20_000
/** Log data is cheap in gas: a block's receipts can exceed viem's limit of 10 MiB many times, and must not stop a chain. */
const MAX_RESPONSE_BYTES = 256 * 1024 * 1024
const CONSECUTIVE_FAILURES_OF_UNHEALTHY = 3

type Subscribe = (args: {
  params: readonly unknown[]
  onData: (data: { result?: unknown }) => void
  onError: (error: unknown) => void
}) => Promise<{ unsubscribe: () => Promise<unknown> }>
type Request = (args: { method: string; params: readonly unknown[] }) => Promise<unknown>
type SocketClient = { readonly socket: { readonly readyState: number }; close(): void }

export type Endpoint = {
  /** Scheme, host and port; never the path, which may be a key. */
  readonly name: string
  /** Whether it is a websocket, over which can be subscribed. */
  readonly isSocket: boolean
  /** Asks once. Throws EndpointFailure. */
  request(method: string, params: readonly unknown[]): Promise<unknown>
  /**
   * Subscribes (`eth_subscribe`), over a websocket only. Resolves to what ends it; `onEnd` tells that it ended by itself. Neither
   * has a deadline: a socket may be open and silent.
   */
  subscribe(
    params: readonly unknown[],
    onData: (data: unknown) => void,
    onEnd: () => void,
  ): Promise<() => Promise<void>>
  /** Known only after the first try. */
  capabilities: { blockReceipts: boolean }
  /** Whether `eth_chainId` was right since the endpoint last failed. */
  chainVerified: boolean
  consecutiveFailures: number
  /** Monotonic milliseconds until which it is left alone. */
  restsUntil: number
  noteFailure(message: string, restMs: number): void
  noteSuccess(): void
  health(): EndpointHealth
  close(): Promise<void>
}

/** @param name what may be shown of the URL */
export function createEndpoint(url: string, name: string, clock: Clock, timeoutMs = REQUEST_TIMEOUT_MS): Endpoint {
  const isSocket = /^wss?:/i.test(url)
  const options = { retryCount: 0, timeout: timeoutMs }
  const transport = isSocket
    ? webSocket(url, { ...options, reconnect: false })({})
    : http(url, { ...options, maxResponseBodySize: MAX_RESPONSE_BYTES })({})
  const send = transport.request as unknown as Request
  let client: SocketClient | null = null
  let requests = 0
  let errors = 0
  let lastError: string | null = null
  let latencyMs: number | null = null

  /** viem keeps a socket that closed or fell silent, and fails on it for good: it is let go, and the next question opens another. */
  const dropSocket = () => {
    const dropped = client
    client = null
    dropped?.close()
  }
  const openSocket = async () => {
    if (!isSocket) return
    if (client !== null && client.socket.readyState !== WebSocket.OPEN) dropSocket()
    const { getRpcClient } = transport.value as unknown as { getRpcClient: () => Promise<SocketClient> }
    client = await getRpcClient()
  }

  const endpoint: Endpoint = {
    name,
    isSocket,
    capabilities: { blockReceipts: true },
    chainVerified: false,
    consecutiveFailures: 0,
    restsUntil: 0,
    async request(method, params) {
      const started = clock.monotonic()
      requests += 1
      try {
        await openSocket()
        const answer = await send({ method, params })
        const took = clock.monotonic() - started
        latencyMs = latencyMs === null ? took : latencyMs * 0.9 + took * 0.1
        return answer
      } catch (error) {
        errors += 1
        const failure = describeFailure(error, url, { method, params })
        if (gaveNoAnswer(failure.kind)) dropSocket()
        throw new EndpointFailure(name, method, failure, error)
      }
    },
    async subscribe(params, onData, onEnd) {
      try {
        await openSocket()
        const { subscribe } = transport.value as unknown as { subscribe: Subscribe }
        const { unsubscribe } = await subscribe({ params, onData: ({ result }) => onData(result), onError: onEnd })
        return async () => {
          await unsubscribe()
        }
      } catch (error) {
        throw new EndpointFailure(name, 'eth_subscribe', describeFailure(error, url), error)
      }
    },
    noteFailure(message, restMs) {
      const now = clock.monotonic()
      // What failed side by side failed once: the rest must not grow with the number of questions that were under way.
      if (now >= endpoint.restsUntil) endpoint.consecutiveFailures += 1
      endpoint.restsUntil = Math.max(endpoint.restsUntil, now + restMs)
      lastError = message
    },
    noteSuccess() {
      endpoint.consecutiveFailures = 0
    },
    health: () => ({
      name,
      requests,
      errors,
      lastError,
      healthy: endpoint.consecutiveFailures < CONSECUTIVE_FAILURES_OF_UNHEALTHY,
      latencyMs: latencyMs === null ? null : Math.round(latencyMs),
    }),
    async close() {
      client?.close()
    },
  }
  return endpoint
}
