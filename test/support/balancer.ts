/**
 * A load balancer: one address for JSON-RPC over HTTP, behind which the node can change at any moment.
 */

import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/** One JSON-RPC answer. */
export type Answer = { readonly result?: unknown }

/** @param params of the request */
export type Change = (method: string, answer: Answer, params: readonly unknown[]) => Answer

export type Balancer = {
  readonly url: string
  /** Requests from now on go there; null: they are refused. */
  pointTo(url: string | null): void
  /** What becomes of each answer from now on; null: nothing. */
  alter(change: Change | null): void
  close(): Promise<void>
}

export async function startBalancer(first: string): Promise<Balancer> {
  let target: string | null = first
  let change: Change | null = null
  const server = createServer((request, response) => {
    pass(target, change, request, response).catch(() => response.destroy())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    pointTo(url) {
      target = url
    },
    alter(next) {
      change = next
    },
    async close() {
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      await closed
    },
  }
}

async function pass(
  target: string | null,
  change: Change | null,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  if (target === null) {
    response.writeHead(503).end()
    return
  }
  const headers = { 'content-type': 'application/json' }
  const body = Buffer.concat(chunks)
  const answer = await fetch(target, { method: 'POST', headers, body })
  let text = await answer.text()
  if (change !== null) {
    const { method, params } = JSON.parse(body.toString()) as { method: string; params: readonly unknown[] }
    text = JSON.stringify(change(method, JSON.parse(text) as Answer, params))
  }
  response.writeHead(answer.status, headers).end(text)
}
