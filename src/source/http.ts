/**
 * JSON-RPC over HTTP.
 *
 * Undici's own dispatcher and not `fetch`, which costs about as much for each request as reading its answer of a hundred kilobytes.
 * What is thrown are viem's errors, as its transports throw them, so that `failure.ts` reads refusals of both kinds in one way.
 *
 * Always holds: an answer takes no longer than the time that is given, from the question to its last byte (and so does each answer that
 * only says where to ask), and is no larger than the limit, unpacked too. Loopback is not asked to compress: it would cost both sides more than it saves.
 */

import { isAscii } from 'node:buffer'
import { promisify } from 'node:util'
import { brotliDecompress, gunzip, inflate } from 'node:zlib'
import { Agent, type Dispatcher } from 'undici'
import { HttpRequestError, ResponseBodyTooLargeError, RpcRequestError, TimeoutError } from 'viem'
import { deadline } from '../runtime/sleep.ts'

const MOVED: ReadonlySet<number> = new Set([301, 302, 303, 307, 308])
const MAX_MOVES = 5
const LOOPBACK = /^(localhost|127(\.\d+){3}|\[::1\])$/i
const UNPACKERS: Readonly<Record<string, (packed: Buffer, options: { maxOutputLength: number }) => Promise<Buffer>>> = {
  gzip: promisify(gunzip),
  'x-gzip': promisify(gunzip),
  deflate: promisify(inflate),
  br: promisify(brotliDecompress),
}

export type HttpClient = {
  /** The result of one question. @throws HttpRequestError, RpcRequestError, TimeoutError, ResponseBodyTooLargeError */
  request(method: string, params: readonly unknown[]): Promise<unknown>
  /** Ends what is under way. */
  close(): Promise<void>
}

export type HttpLimits = { readonly timeoutMs: number; readonly maxBytes: number }

type Response = {
  readonly status: number
  readonly statusText: string
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly body: Buffer
}

type Question = { readonly method: string; readonly params: readonly unknown[] }
type Answer = { readonly result?: unknown; readonly error?: unknown }

export function createHttpClient(url: string, limits: HttpLimits): HttpClient {
  const target = targetOf(url)
  // The time is kept here, for all of an answer.
  const agent = new Agent({ headersTimeout: 0, bodyTimeout: 0 })
  let lastId = 0
  return {
    async request(method, params) {
      lastId += 1
      const body = { method, params }
      const text = JSON.stringify({ jsonrpc: '2.0', id: lastId, ...body })
      let response: Response
      let answer: Answer
      try {
        response = await follow(agent, target, text, limits, () => new TimeoutError({ body, url }))
        answer = read(response, await unpack(response, limits.maxBytes))
      } catch (error) {
        if (error instanceof TimeoutError || error instanceof ResponseBodyTooLargeError) throw error
        throw new HttpRequestError({ body, url, cause: error as Error })
      }
      return resultOf(response, answer, body, url)
    },
    close: () => agent.destroy(),
  }
}

type Target = { readonly origin: string; readonly path: string; readonly headers: Record<string, string> }

/** The answer, wherever the address has moved to. The question stays the same there, but for credentials of another place. */
async function follow(agent: Agent, first: Target, body: string, limits: HttpLimits, timedOut: () => Error) {
  let target = first
  for (let moves = 0; ; moves += 1) {
    const response = await send(agent, { ...target, method: 'POST', body }, limits, timedOut)
    const { location } = response.headers
    if (!MOVED.has(response.status) || typeof location !== 'string' || moves === MAX_MOVES) return response
    const moved = targetOf(new URL(location, `${target.origin}${target.path}`).href)
    const { authorization } = target.headers
    const isSame = moved.origin === target.origin && authorization !== undefined
    target = isSame ? { ...moved, headers: { authorization, ...moved.headers } } : moved
  }
}

/** Credentials in a URL become a header, as everywhere. */
function targetOf(url: string): Target {
  const { origin, pathname, search, hostname, username, password } = new URL(url)
  const credentials = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`
  return {
    origin,
    path: `${pathname}${search}`,
    headers: {
      'content-type': 'application/json',
      accept: '*/*',
      'user-agent': 'linkdao-indexer',
      ...(LOOPBACK.test(hostname) ? {} : { 'accept-encoding': 'gzip, deflate, br' }),
      ...(username === '' ? {} : { authorization: `Basic ${Buffer.from(credentials).toString('base64')}` }),
    },
  }
}

function send(
  agent: Agent,
  options: Dispatcher.DispatchOptions,
  { timeoutMs, maxBytes }: HttpLimits,
  timedOut: () => Error,
): Promise<Response> {
  const { promise, resolve, reject } = Promise.withResolvers<Response>()
  let controller: Dispatcher.DispatchController | null = null
  let failure: Error | null = null
  const chunks: Buffer[] = []
  let size = 0
  let head: Omit<Response, 'body'> = { status: 0, statusText: '', headers: {} }
  const fail = (error: Error) => {
    failure ??= error
    controller?.abort(error)
    reject(error)
  }
  const callOff = deadline(timeoutMs, () => fail(timedOut()))
  agent.dispatch(options, {
    onRequestStart(started) {
      controller = started
      if (failure !== null) started.abort(failure)
    },
    onResponseStart(_controller, status, headers, statusText = '') {
      head = { status, headers, statusText }
    },
    onResponseData(_controller, chunk) {
      size += chunk.length
      chunks.push(chunk)
      if (size > maxBytes) fail(new ResponseBodyTooLargeError({ maxSize: maxBytes, size }))
    },
    onResponseEnd() {
      callOff()
      resolve({
        ...head,
        body: chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks, size),
      })
    },
    onResponseError(_controller, error) {
      callOff()
      reject(error)
    },
  })
  return promise
}

async function unpack({ headers, body }: Response, maxBytes: number): Promise<Buffer> {
  const encoding = headers['content-encoding']
  const unpacker = typeof encoding === 'string' ? UNPACKERS[encoding.toLowerCase()] : undefined
  if (unpacker === undefined) return body
  try {
    return await unpacker(body, { maxOutputLength: maxBytes })
  } catch (error) {
    if ((error as { code?: unknown }).code !== 'ERR_BUFFER_TOO_LARGE') throw error
    throw new ResponseBodyTooLargeError({ maxSize: maxBytes, size: maxBytes })
  }
}

/** @throws SyntaxError where what calls itself an answer is none */
function read({ status }: Response, body: Buffer): Answer {
  // Nearly all answers are plain: then bytes are characters, and nothing has to be decoded.
  const text = body.toString(isAscii(body) ? 'latin1' : 'utf8')
  if (isGood(status)) return Object(JSON.parse(text === '' ? '{}' : text)) as Answer
  // Error pages call themselves JSON; what they say says more than that they are none.
  try {
    return Object(JSON.parse(text)) as Answer
  } catch {
    return { error: text }
  }
}

function resultOf(
  { status, statusText, headers }: Response,
  { result, error }: Answer,
  body: Question,
  url: string,
): unknown {
  if (isGood(status)) {
    if (isPresent(error)) throw new RpcRequestError({ body, url, error: error as never })
    return result
  }
  const sent = { body, url, status, headers: headersOf(headers) }
  const { code, message } = Object(error) as { readonly code?: unknown; readonly message?: unknown }
  if (typeof code === 'number' && typeof message === 'string')
    throw new RpcRequestError({ ...sent, error: error as never })
  throw new HttpRequestError({ ...sent, details: (isPresent(error) && JSON.stringify(error)) || statusText })
}

function isGood(status: number): boolean {
  return status >= 200 && status < 300
}

function isPresent(error: unknown): boolean {
  return Boolean(error)
}

function headersOf(headers: Response['headers']): Headers {
  return new Headers(
    Object.entries(headers).flatMap(([name, value]): [string, string][] =>
      (Array.isArray(value) ? value : [value]).flatMap(each => (each === undefined ? [] : [[name, each]])),
    ),
  )
}
