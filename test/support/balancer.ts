/**
 * A load balancer: one address for JSON-RPC over HTTP, behind which the node can change at any moment.
 */

import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

export type Balancer = {
  readonly url: string
  /** Requests from now on go there; null: they are refused. */
  pointTo(url: string | null): void
  /** Requests that came since the node behind it was last changed. */
  readonly requests: number
  close(): Promise<void>
}

export async function startBalancer(first: string): Promise<Balancer> {
  let target: string | null = first
  let requests = 0
  const server = createServer((request, response) => {
    requests += 1
    pass(target, request, response).catch(() => response.destroy())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    pointTo(url) {
      target = url
      requests = 0
    },
    get requests() {
      return requests
    },
    async close() {
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      await closed
    },
  }
}

async function pass(target: string | null, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  if (target === null) {
    response.writeHead(503).end()
    return
  }
  const answer = await fetch(target, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: Buffer.concat(chunks),
  })
  response.writeHead(answer.status, { 'content-type': 'application/json' }).end(await answer.text())
}
