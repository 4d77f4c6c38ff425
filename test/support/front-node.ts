/**
 * A node with manners of its own in front of a local chain: real HTTP and websockets, and a hook that may answer in the chain's place.
 *
 * Always holds: without a hook it is as good as the chain behind it, subscriptions included; what it was asked for is counted before
 * it is answered; `close` ends all that it opened.
 */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type Anvil, requestAll } from '../../src/demo/anvil.ts'
import { AppError } from '../../src/errors.ts'
import { acceptSocket, type Socket } from './websocket-server.ts'

export type Question = { readonly method: string; readonly params: readonly unknown[] }
type Ask = (method: string, params: readonly unknown[]) => Promise<unknown>
/** Answers, or refuses by throwing; `ask` asks the chain. What never settles is never answered. */
export type Manners = (question: Question, ask: Ask) => Promise<unknown>

export type FrontNode = {
  readonly url: string
  readonly wsUrl: string
  behave(manners: Manners): void
  /** How often methods were asked for; subscriptions also by what they are of: `eth_subscribe newHeads`. */
  asked(...methods: readonly string[]): number
  /** Ends the connections of websockets, as a restart does. */
  cutSockets(): void
  close(): Promise<void>
}

/** A JSON-RPC error, or with `status` an HTTP answer. */
export class Refusal extends Error {
  readonly code: number
  readonly status: number | null

  constructor(code: number, message: string, status: number | null = null) {
    super(message)
    this.code = code
    this.status = status
  }
}

export function refuseMethod(method: string): Refusal {
  return new Refusal(-32_601, `the method ${method} does not exist/is not available`)
}

type State = {
  readonly anvil: Anvil
  readonly counts: Map<string, number>
  readonly sockets: Set<Socket>
  manners: Manners
}

export async function startFrontNode(
  anvil: Anvil,
  manners: Manners = (question, ask) => ask(question.method, question.params),
): Promise<FrontNode> {
  const state: State = { anvil, counts: new Map(), sockets: new Set(), manners }
  const server = createServer((request, response) => {
    serve(state, request, response).catch(() => response.destroy())
  })
  server.on('upgrade', (request, stream) => serveSocket(state, acceptSocket(request, stream)))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const cutSockets = () => {
    for (const socket of state.sockets) socket.destroy()
  }
  return {
    url: `http://127.0.0.1:${port}`,
    wsUrl: `ws://127.0.0.1:${port}`,
    behave: next => void (state.manners = next),
    asked: (...methods) => methods.reduce((sum, method) => sum + (state.counts.get(method) ?? 0), 0),
    cutSockets,
    async close() {
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      cutSockets()
      await closed
    },
  }
}

type Envelope = Question & { readonly id: unknown }
type Message = {
  readonly id?: unknown
  readonly result?: unknown
  readonly error?: { readonly code: number; readonly message: string }
}

async function serve(state: State, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  const question = JSON.parse(Buffer.concat(chunks).toString()) as Envelope
  const { status, body } = await answer(state, question, askBehind(state))
  response.writeHead(status, { 'content-type': 'application/json' }).end(body)
}

function askBehind({ anvil }: State): Ask {
  return async (method, params) => {
    const [result] = await requestAll(anvil.url, [{ method, params }])
    return result
  }
}

/** Subscriptions are the chain's own: what it tells is handed on. */
function serveSocket(state: State, socket: Socket): void {
  state.sockets.add(socket)
  const behind = new WebSocket(state.anvil.wsUrl)
  const opened = once(behind, 'open')
  const waiting = new Map<unknown, (message: Message) => void>()
  let nextId = 1_000_000
  behind.addEventListener('message', ({ data }) => {
    const message = JSON.parse(String(data)) as Message
    const resolve = waiting.get(message.id)
    if (resolve === undefined) socket.send(String(data))
    else resolve(message)
  })
  const askOverSocket: Ask = async (method, params) => {
    await opened
    const id = (nextId += 1)
    const { promise, resolve } = Promise.withResolvers<Message>()
    waiting.set(id, resolve)
    behind.send(JSON.stringify({ jsonrpc: '2.0', id, method, params }))
    const { result, error } = await promise
    if (error !== undefined) throw new Refusal(error.code, error.message)
    return result
  }
  socket.onText(text => {
    const question = JSON.parse(text) as Envelope
    void answer(state, question, askOverSocket).then(({ body }) => socket.send(body))
  })
  socket.onClose(() => {
    state.sockets.delete(socket)
    behind.close()
  })
}

async function answer(state: State, question: Envelope, askChain: Ask): Promise<{ status: number; body: string }> {
  const { id, method, params } = question
  for (const what of method === 'eth_subscribe' ? [method, `${method} ${String(params?.[0])}`] : [method])
    state.counts.set(what, (state.counts.get(what) ?? 0) + 1)
  const envelope = { jsonrpc: '2.0', id }
  try {
    const result = await state.manners({ method, params: params ?? [] }, askChain)
    return { status: 200, body: JSON.stringify({ ...envelope, result: result ?? null }) }
  } catch (error) {
    const { code, message, status } = error instanceof Refusal ? error : refusalOf(error)
    return { status: status ?? 200, body: JSON.stringify({ ...envelope, error: { code, message } }) }
  }
}

/** What the chain itself refused, in its words. */
function refusalOf(error: unknown): Refusal {
  const facts = error instanceof AppError ? error.facts : {}
  return new Refusal(Number(facts['code'] ?? -32_603), String(facts['reason'] ?? error))
}
