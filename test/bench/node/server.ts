/**
 * The node's edge: real HTTP and websockets on loopback, batches, a delay and a limit where one is wanted.
 *
 * Always holds: a request is counted when it comes, and its questions when they are answered; `/<chain id>` says which chain is meant.
 */

import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { fill } from '../chain/sheet.ts'
import { acceptSocket, type Socket } from '../../support/websocket-server.ts'
import { type Answer, answerTo, type Told } from './answers.ts'
import type { Served } from './served.ts'

export type Site = {
  readonly served: Served
  readonly told: Told
  /** Resolves when a request may be worked on; what it gives is called when it was. */
  readonly enter: () => Promise<() => void>
}

export type Server = { readonly port: number; close(): Promise<void> }

type Rpc = { readonly id: unknown; readonly method: string; readonly params: readonly unknown[] }

const INVALID_REQUEST = -32_600
const OPEN = Buffer.from('[')
const CLOSE = Buffer.from(']')
const COMMA = Buffer.from(',')
const END = Buffer.from('}')

/** @param siteOf the chain of a path's id */
export async function startServer(siteOf: (chainId: number) => Site | undefined): Promise<Server> {
  const sockets = new Set<Socket>()
  const find = ({ url }: IncomingMessage) => siteOf(Number((url ?? '').slice(1)))
  const server = createServer((request, response) => {
    const site = find(request)
    if (site === undefined) response.writeHead(404).end()
    else serve(site, request, response).catch(() => response.destroy())
  })
  server.keepAliveTimeout = 60_000
  server.on('upgrade', (request, stream) => {
    const site = find(request)
    if (site === undefined) return void stream.destroy()
    const socket = acceptSocket(request, stream)
    sockets.add(socket)
    socket.onClose(() => sockets.delete(socket))
    serveSocket(site, socket)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    async close() {
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      for (const socket of sockets) socket.destroy()
      await closed
    },
  }
}

async function serve(site: Site, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const end = site.served.tally.begin()
  let sizeBytes = 0
  // Also where whoever asked went away.
  response.once('close', () => end(sizeBytes))
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  const parts = await work(site, Buffer.concat(chunks).toString(), rpc => answer(site, rpc))
  sizeBytes = sizeOf(parts)
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': sizeBytes })
  response.cork()
  for (const part of parts) response.write(part)
  response.end()
  response.uncork()
}

function serveSocket(site: Site, socket: Socket): void {
  const { served } = site
  const subscriptions = new Map<string, string>()
  let nextId = 0x5000
  const subscribe = ({ method, params }: Rpc): Answer | null => {
    if (method === 'eth_unsubscribe') {
      const known = subscriptions.delete(String(params[0]))
      return { kind: 'other', height: null, result: [Buffer.from(String(known))] }
    }
    if (method !== 'eth_subscribe') return null
    const id = `0x${((nextId += 1)).toString(16)}`
    subscriptions.set(id, String(params[0]))
    return { kind: 'other', height: null, result: [Buffer.from(`"${id}"`)] }
  }
  const tellHead = (height: number) => {
    for (const [id, topic] of subscriptions) if (topic === 'newHeads') socket.send(headMessage(served, height, id))
  }
  served.onHead.add(tellHead)
  socket.onClose(() => served.onHead.delete(tellHead))
  const answerHere = (rpc: Rpc) => {
    const subscribed = subscribe(rpc)
    if (subscribed !== null) served.tally.note({ ...subscribed, method: rpc.method }, served.head)
    return subscribed ?? answer(site, rpc)
  }
  const serveText = async (text: string) => {
    const end = served.tally.begin()
    const message = Buffer.concat(await work(site, text, answerHere))
    socket.send(message)
    end(message.length)
  }
  socket.onText(text => void serveText(text).catch(() => socket.destroy()))
}

function headMessage({ chain }: Served, height: number, id: string): Buffer {
  const head = `{"jsonrpc":"2.0","method":"eth_subscription","params":{"subscription":"${id}","result":`
  const header = fill(chain.mouldAt(height).header, chain.fillingAt(height))
  return Buffer.concat([Buffer.from(head), header, Buffer.from('}}')])
}

function answer({ served, told }: Site, { method, params }: Rpc): Answer {
  const given = answerTo(served, told, method, params)
  served.tally.note({ method, kind: given.kind, height: given.height }, served.head)
  return given
}

/** One request, or one message: its answer in pieces. */
async function work({ enter }: Site, text: string, answerRpc: (rpc: Rpc) => Answer): Promise<Buffer[]> {
  const leave = await enter()
  const asked = JSON.parse(text) as unknown
  const parts: Buffer[] = []
  for (const question of Array.isArray(asked) ? asked : [asked]) {
    const rpc = readRpc(question)
    if (parts.length > 0) parts.push(COMMA)
    parts.push(...frame(rpc?.id ?? null, rpc === null ? REFUSED : answerRpc(rpc)))
  }
  const framed = Array.isArray(asked) ? [OPEN, ...parts, CLOSE] : parts
  leave()
  return framed
}

const REFUSED: Answer = { kind: 'other', height: null, result: { code: INVALID_REQUEST, message: 'invalid request' } }

function readRpc(question: unknown): Rpc | null {
  if (typeof question !== 'object' || question === null) return null
  const { id, method, params } = question as { id?: unknown; method?: unknown; params?: unknown }
  return typeof method === 'string' ? { id: id ?? null, method, params: Array.isArray(params) ? params : [] } : null
}

function frame(id: unknown, { result }: Answer): Buffer[] {
  const head = `{"jsonrpc":"2.0","id":${JSON.stringify(id)},`
  if ('code' in result) return [Buffer.from(`${head}"error":${JSON.stringify(result)}}`)]
  return [Buffer.from(`${head}"result":`), ...result, END]
}

function sizeOf(parts: readonly Buffer[]): number {
  return parts.reduce((sum, part) => sum + part.length, 0)
}
