/**
 * The HTTP server: is the process alive, is it ready, how far is it, and the same as metrics. Nothing here writes.
 */

import { createServer, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { AppError } from '../errors.ts'
import { METRICS_TYPE } from './metrics.ts'

export type Readiness = { readonly ready: boolean; readonly reasons: readonly string[] }

export type HttpPages = {
  readiness(): Promise<Readiness>
  status(): Promise<unknown>
  /** In the text format of Prometheus. */
  metrics(): Promise<string>
}

export type HttpServer = { readonly url: string; close(): Promise<void> }

export type HttpOptions = {
  readonly host: string
  readonly port: number
  /** The operator chose this port: another one would be a surprise. */
  readonly explicit: boolean
  readonly onFallback: (takenPort: number) => void
}

/** @throws AppError HTTP_PORT_TAKEN, if the port was chosen by the operator; a default one is replaced by a free one */
export async function startHttp(
  pages: HttpPages,
  { host, port, explicit, onFallback }: HttpOptions,
): Promise<HttpServer> {
  const server = createServer((request, response) => {
    void respond(pages, request.url ?? '/', response)
  })
  try {
    await listen(server, host, port)
  } catch (error) {
    const isTaken = error instanceof Error && 'code' in error && error.code === 'EADDRINUSE'
    if (!isTaken || explicit) {
      throw new AppError('HTTP_PORT_TAKEN', `The HTTP server can not listen on ${host}:${port}.`, {
        facts: { host, port, reason: error instanceof Error ? error.message : String(error) },
        hint: 'Set HTTP_HOST and HTTP_PORT to something free, HTTP_PORT=0 for any port, or HTTP_PORT=off.',
        cause: error,
      })
    }
    onFallback(port)
    await listen(server, host, 0)
  }
  const { port: actual } = server.address() as AddressInfo
  return {
    url: `http://${host.includes(':') ? `[${host}]` : host}:${actual}`,
    close: () =>
      new Promise(resolve => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

async function respond(pages: HttpPages, url: string, response: ServerResponse): Promise<void> {
  const { code, body, type } = await answer(pages, url)
  response.writeHead(code, { 'content-type': type ?? 'application/json; charset=utf-8', 'cache-control': 'no-store' })
  response.end(type === undefined ? `${JSON.stringify(body, null, 2)}\n` : body)
}

async function answer(pages: HttpPages, url: string): Promise<{ code: number; body: unknown; type?: string }> {
  const path = url.split('?', 1)[0]
  try {
    if (path === '/healthz') return { code: 200, body: { alive: true } }
    if (path === '/readyz') {
      const readiness = await pages.readiness()
      return { code: readiness.ready ? 200 : 503, body: readiness }
    }
    if (path === '/metrics') return { code: 200, body: await pages.metrics(), type: METRICS_TYPE }
    if (path === '/status' || path === '/') return { code: 200, body: await pages.status() }
    return { code: 404, body: { error: 'There are /healthz, /readyz, /status and /metrics.' } }
  } catch {
    return { code: 503, body: { error: 'The status can not be read right now; see the log.' } }
  }
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, () => {
      server.off('error', reject)
      resolve()
    })
  })
}
