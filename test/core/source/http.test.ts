/**
 * JSON-RPC over real HTTP on loopback: what an answer may be, and what becomes of one that is none. What refusals mean is in
 * `provider-errors.test.ts`.
 */

import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib'
import { HttpRequestError, ResponseBodyTooLargeError, RpcRequestError, TimeoutError } from 'viem'
import { expect, onTestFinished, test } from 'vitest'
import { createHttpClient, type HttpClient } from '../../../src/source/http.ts'

type Handle = (request: IncomingMessage, response: ServerResponse, body: string) => void

async function serve(handle: Handle): Promise<string> {
  const server = createServer((request, response) => {
    let body = ''
    request.on('data', chunk => (body += String(chunk)))
    request.on('end', () => handle(request, response, body))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

function open(url: string, limits: { timeoutMs?: number; maxBytes?: number } = {}): HttpClient {
  const client = createHttpClient(url, { timeoutMs: 10_000, maxBytes: 1_000_000, ...limits })
  onTestFinished(() => client.close())
  return client
}

const failureOf = (work: Promise<unknown>) =>
  work.then(
    () => null,
    (error: unknown) => error,
  )
const answer = (response: ServerResponse, result: unknown) =>
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ jsonrpc: '2.0', id: 1, result }))

const question = (id: number, method: string, params: unknown[]) => [
  'POST',
  '/key?a=b',
  'application/json',
  { jsonrpc: '2.0', id, method, params },
]

test('asks with method, parameters and a number of its own, and gives the result', async () => {
  const asked: unknown[] = []
  const url = await serve((request, response, body) => {
    asked.push([request.method, request.url, request.headers['content-type'], JSON.parse(body)])
    answer(response, { text: 'grüße', none: null })
  })
  const client = open(`${url}/key?a=b`)
  expect(await client.request('eth_a', [1])).toEqual({ text: 'grüße', none: null })
  await client.request('eth_b', [])
  expect(asked).toEqual([question(1, 'eth_a', [1]), question(2, 'eth_b', [])])
})

test('credentials of a URL go as a header, and stay behind when the address moves elsewhere', async () => {
  const seen: (string | undefined)[] = []
  const there = await serve((request, response) => {
    seen.push(request.headers.authorization)
    answer(response, '0x1')
  })
  const here = await serve((request, response) => {
    seen.push(request.headers.authorization)
    response.writeHead(308, { location: `${there}/elsewhere` }).end()
  })
  expect(await open(here.replace('//', '//us%20er:pass@')).request('eth_chainId', [])).toBe('0x1')
  expect(seen).toEqual([`Basic ${Buffer.from('us er:pass').toString('base64')}`, undefined])
})

test('an address that moves in a circle is given up', async () => {
  const url = await serve((_request, response) => response.writeHead(307, { location: '/again' }).end())
  expect(await failureOf(open(url).request('eth_chainId', []))).toMatchObject({ status: 307 })
})

test.each([
  ['gzip', gzipSync],
  ['deflate', deflateSync],
  ['br', brotliCompressSync],
])('an answer that is packed (%s) is unpacked, and bounded as it is then', async (encoding, pack) => {
  const large = { result: 'x'.repeat(100_000) }
  const url = await serve((_request, response) =>
    response.writeHead(200, { 'content-encoding': encoding }).end(pack(JSON.stringify(large))),
  )
  expect(await open(url).request('eth_getLogs', [])).toBe(large.result)
  expect(await failureOf(open(url, { maxBytes: 50_000 }).request('eth_getLogs', []))).toBeInstanceOf(
    ResponseBodyTooLargeError,
  )
})

test('an answer above the limit is cut off while it comes', async () => {
  const url = await serve((_request, response) => {
    response.writeHead(200)
    response.write('x'.repeat(2_000))
    // And never ends.
  })
  const error = await failureOf(open(url, { maxBytes: 1_000 }).request('eth_getLogs', []))
  expect(error).toBeInstanceOf(ResponseBodyTooLargeError)
})

test.each<[string, Handle]>([
  ['no answer', () => undefined],
  ['an answer that stops in the middle', (_request, response) => void response.writeHead(200).write('{"result":')],
])('%s is waited for no longer than allowed', async (_what, handle) => {
  const error = await failureOf(open(await serve(handle), { timeoutMs: 300 }).request('eth_call', []))
  expect(error).toBeInstanceOf(TimeoutError)
})

test.each<[string, Handle, object]>([
  ['a connection that is cut', request => request.socket.destroy(), {}],
  ['a page', (_request, response) => void response.end('<html>'), {}],
  [
    'a page with a status',
    (_request, response) => void response.writeHead(502, { 'retry-after': '7' }).end('<html>'),
    { status: 502 },
  ],
])('%s is a failed request', async (_what, handle, facts) => {
  const error = await failureOf(open(await serve(handle)).request('eth_call', []))
  expect(error).toBeInstanceOf(HttpRequestError)
  expect(error).toMatchObject(facts)
})

test.each([200, 400])('a refusal is told with its code and data, with status %i', async status => {
  const error = { code: -32_000, message: 'no', data: { a: 1 } }
  const url = await serve((_request, response) => response.writeHead(status).end(JSON.stringify({ error })))
  const failure = await failureOf(open(url).request('eth_call', []))
  expect(failure).toBeInstanceOf(RpcRequestError)
  expect(failure).toMatchObject({ code: -32_000, data: { a: 1 } })
})

test('what is under way when it is closed fails', async () => {
  const client = createHttpClient(await serve(() => undefined), { timeoutMs: 10_000, maxBytes: 1_000 })
  const failure = failureOf(client.request('eth_call', []))
  await client.close()
  expect(await failure).toBeInstanceOf(HttpRequestError)
})
