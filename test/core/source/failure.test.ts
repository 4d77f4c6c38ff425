import { HttpRequestError, ResponseBodyTooLargeError, RpcRequestError, TimeoutError, UnknownRpcError } from 'viem'
import { describe, expect, test } from 'vitest'
import { isRetryable } from '../../../src/errors.ts'
import {
  asksForRest,
  describeFailure,
  EndpointFailure,
  type FailureKind,
  gaveNoAnswer,
} from '../../../src/source/failure.ts'

const URL_WITH_KEY = 'https://user:hunter2hunter2@eth.example.com/v2/AbCdEf0123456789?token=s3cr3t-t0ken'
const body = { method: 'eth_call', params: [] }

function rpc(code: number, message: string, status?: number): Error {
  const more = status === undefined ? {} : { status, headers: new Headers() }
  return new RpcRequestError({ body, url: URL_WITH_KEY, error: { code, message }, ...more })
}

function http(status: number | undefined, details: string, headers: Record<string, string> = {}): Error {
  return new HttpRequestError({ body, url: URL_WITH_KEY, status, details, headers: new Headers(headers) })
}

const kindOf = (error: unknown) => describeFailure(error, URL_WITH_KEY).kind

describe('what a refusal means', () => {
  // What nodes and providers were seen to answer is in provider-errors.json. Here is what is no answer, and what comes close.
  test.each<[string, Error, FailureKind]>([
    ['no answer', new TimeoutError({ body, url: URL_WITH_KEY }), 'timeout'],
    ['no answer, said by the engine', http(undefined, 'Headers Timeout Error'), 'timeout'],
    ['no connection in time', http(undefined, 'connect ETIMEDOUT 10.0.0.1:443'), 'unreachable'],
    ['no connection in time, said by the engine', http(undefined, 'Connect Timeout Error'), 'unreachable'],
    [
      'HTML instead of JSON',
      new HttpRequestError({
        body,
        url: URL_WITH_KEY,
        cause: new SyntaxError('Unexpected token \'<\', "<html>" is not valid JSON'),
      }),
      'unreachable',
    ],
    [
      'a rate limit instead of JSON',
      new HttpRequestError({
        body,
        url: URL_WITH_KEY,
        cause: new SyntaxError('Unexpected token \'T\', "Too Many Requests" is not valid JSON'),
      }),
      'throttled',
    ],
    [
      'no such host',
      new HttpRequestError({
        body,
        url: URL_WITH_KEY,
        cause: new TypeError('fetch failed', { cause: new Error('getaddrinfo ENOTFOUND eth.example.com') }),
      }),
      'unreachable',
    ],
    ['an answer above our own limit', new ResponseBodyTooLargeError({ maxSize: 1, size: 2 }), 'range-too-large'],
    ['an error of viem around another', new UnknownRpcError(new Error('socket hang up')), 'unreachable'],
    ['a page that says what a node would', http(404, '<h1>method not found</h1>'), 'unreachable'],
  ])('%s', (_name, error, kind) => {
    expect(kindOf(error)).toBe(kind)
  })

  test.each<[string, FailureKind]>([
    ['exceeded the maximum block range', 'range-too-large'],
    ['exceeded maximum requests', 'throttled'],
    ['exceeded maximum requests for today', 'exhausted'],
    ['please use a smaller block range', 'range-too-large'],
    ['block range limit: upgrade your plan for more', 'range-too-large'],
    ['limit of 100 requests per block range per second', 'throttled'],
    ['requested block range exceeds the latest block', 'block-missing'],
    ['nonce out of range, limit is 5', 'unreachable'],
    ['being throttled', 'throttled'],
    ['please slow down', 'throttled'],
    ['requests are limited', 'throttled'],
    ['upstream said: HTTP 429', 'throttled'],
    ['block 429 is odd', 'unreachable'],
    ['compute units exhausted', 'exhausted'],
    ['all credits of this month are spent', 'exhausted'],
    ['daily CUs reached', 'exhausted'],
    ['daily usage is high', 'exhausted'],
    ['the daily count was reached', 'exhausted'],
    ['capacity of the day: daily', 'exhausted'],
    ['the daily block has no logs', 'unreachable'],
    ['query timed out, try a smaller block range', 'range-too-large'],
    ['timed out while connecting', 'timeout'],
  ])('words that come close: "%s"', (words, kind) => {
    expect(kindOf(rpc(-32000, words))).toBe(kind)
  })

  test('the same code and status both ways', () => {
    const asked = { method: 'eth_getLogs', params: [{ fromBlock: '0x1', toBlock: '0x100' }] }
    const read = (words: string) => describeFailure(rpc(-32005, words, 429), URL_WITH_KEY, asked)
    expect(read('query returned more than 10000 results')).toMatchObject({ kind: 'range-too-large' })
    expect(read('project ID request rate exceeded')).toMatchObject({ kind: 'throttled', range: null })
    expect(read('daily request count exceeded, request rate limited')).toMatchObject({ kind: 'exhausted', range: null })
  })

  test('what a socket was refused with is no error, and read all the same', () => {
    const refused = { code: -32601, message: 'no "newPendingTransactions" subscription in eth namespace' }
    expect(describeFailure(refused, URL_WITH_KEY)).toMatchObject({ kind: 'unsupported', message: refused.message })
  })

  test.each([null, undefined, 'text', 5, {}])('something thrown that is no error: %j', thrown => {
    expect(kindOf(thrown)).toBe('unreachable')
  })
})

describe('how long it asks to be left alone', () => {
  const now = Date.parse('2026-10-21T07:00:00Z')
  const date = 'Wed, 21 Oct 2026 07:28:00 GMT'
  const read = (error: unknown) => describeFailure(error, URL_WITH_KEY, null, now).retryAfterMs

  test.each<[string, Record<string, string>, number | null]>([
    ['seconds', { 'retry-after': '7' }, 7_000],
    ['a part of a second', { 'retry-after': '0.5' }, 500],
    ['none', {}, null],
    ['a date', { 'retry-after': date }, 28 * 60_000],
    [
      'a date, where their clock is an hour ahead',
      { 'retry-after': date, date: 'Wed, 21 Oct 2026 07:27:00 GMT' },
      60_000,
    ],
    ['a date that is over', { 'retry-after': 'Wed, 21 Oct 2020 07:28:00 GMT' }, 0],
    ['a date far away', { 'retry-after': 'Wed, 21 Oct 2099 07:28:00 GMT' }, 3_600_000],
    ['nonsense', { 'retry-after': 'soon' }, null],
    ['less than nothing', { 'retry-after': '-5' }, null],
    ['for ever', { 'retry-after': '1e300' }, 3_600_000],
  ])('by the header: %s', (_name, headers, waitMs) => {
    expect(read(http(429, 'Too Many Requests', headers))).toBe(waitMs)
  })

  test.each<[string, unknown, number | null]>([
    ['Infura', { rate: { allowed_rps: 1, backoff_seconds: 30, current_rps: 1.27 } }, 30_000],
    ['Infura, with zero', { rate: { allowed_rps: 1, backoff_seconds: 0, current_rps: 1.27 } }, null],
    ['Chainstack', { try_again_in: '1.2s' }, 1_200],
    ['a number as text', { retry_after: '12' }, 12_000],
    ['less than nothing', { retry_after: -12 }, null],
    ['nonsense', { retry_after: 'soon' }, null],
    ['for ever', { backoff_seconds: 1e300 }, 3_600_000],
  ])('by a field: %s', (_name, data, waitMs) => {
    const error = { code: -32005, message: 'project ID request rate exceeded', data }
    expect(read(new RpcRequestError({ body, url: URL_WITH_KEY, error }))).toBe(waitMs)
  })

  test.each<[string, number | null]>([
    ['rate limited, try again in 10s', 10_000],
    ['rate limited, retry in 10m0s', 600_000],
    ['rate limited, please retry after 1.5 seconds', 1_500],
    ['rate limited, retry-after: 30 s', 30_000],
    ['rate limited, wait for 2 minutes', 120_000],
    ['rate limited, try again in 1h2m3s', 3_600_000],
    ['rate limited, try again in 250ms', 250],
    ['rate limited, try again in 5 milliseconds', 5],
    ['rate limited, try again in 5 months', null],
    ['rate limited, try again in a while', null],
    ['rate limited: 10 s', null],
  ])('in words: "%s"', (words, waitMs) => {
    expect(read(rpc(-32005, words))).toBe(waitMs)
  })

  test('the header counts more than words', () => {
    expect(read(http(429, 'try again in 10s', { 'retry-after': '3' }))).toBe(3_000)
  })
})

describe('what is told of it', () => {
  const secrets = ['AbCdEf0123456789', 'hunter2hunter2', 's3cr3t-t0ken']
  test.each<[string, Error]>([
    ['viem’s own message', new HttpRequestError({ body, url: URL_WITH_KEY })],
    ['an error page that repeats the path', http(404, 'Cannot POST /v2/AbCdEf0123456789?token=s3cr3t-t0ken')],
    ['a message with the URL', rpc(-32000, `upstream ${URL_WITH_KEY} failed`)],
    [
      'a message with the URL without credentials',
      rpc(-32000, 'upstream https://eth.example.com/v2/AbCdEf0123456789 failed'),
    ],
    ['a message with the URL of the socket', rpc(-32000, 'upstream WSS://eth.example.com/v2/AbCdEf0123456789 failed')],
    ['a message with the key alone', rpc(-32600, 'invalid project id AbCdEf0123456789')],
    ['a message with the password', rpc(-32600, 'invalid login user:hunter2hunter2')],
    [
      'a cause with the URL',
      new HttpRequestError({ body, url: URL_WITH_KEY, cause: new Error(`connect ${URL_WITH_KEY}`) }),
    ],
  ])('%s holds no secret', (_name, error) => {
    const failure = describeFailure(error, URL_WITH_KEY)
    const told = new EndpointFailure('https://eth.example.com', 'eth_call', failure, error)
    for (const secret of secrets) {
      expect(`${failure.message} ${told.message} ${JSON.stringify(told.facts)}`).not.toContain(secret)
    }
  })

  test('a secret at the place where the message is cut is not half told', () => {
    const error = rpc(-32000, `${'x'.repeat(290)} ${URL_WITH_KEY}`)
    expect(describeFailure(error, URL_WITH_KEY).message).not.toMatch(/https|eth\.example/)
  })

  test('the message stays readable', () => {
    const error = rpc(-32000, 'upstream https://10.0.0.1:8545/x failed')
    expect(describeFailure(error, 'http://localhost:8545/').message).toBe('upstream <url> failed')
    expect(describeFailure(rpc(-32000, 'at http://localhost:8545/: no'), 'http://localhost:8545/').message).toBe(
      'at <endpoint>: no',
    )
    expect(describeFailure(rpc(-32000, 'v2 is not v3'), 'http://localhost/v2').message).toBe('v2 is not v3')
  })

  test('a message of ten megabytes is cut', () => {
    expect(describeFailure(http(500, 'x'.repeat(10_000_000)), URL_WITH_KEY).message).toHaveLength(300)
  })

  test('a message whose last words matter is judged by them, though they are not told', () => {
    const error = rpc(-32000, `${'x '.repeat(400)}block range is too large, max is 2k blocks`)
    const asked = { method: 'eth_getLogs', params: [{ fromBlock: '0x0', toBlock: '0xffff' }] }
    const failure = describeFailure(error, URL_WITH_KEY, asked)
    expect(failure).toMatchObject({ kind: 'range-too-large', range: { suggestedBlocks: 2_000 } })
    expect(failure.message).toHaveLength(300)
  })

  test('what the data says is told, but neither what it repeats of the question nor bytes', () => {
    const data = { payload: 'range 5 is bigger than limit 2', request_body: { params: ['0xabc'] }, headers: ['x'] }
    const cause = new RpcRequestError({ body, url: URL_WITH_KEY, error: { code: -32602, message: 'invalid', data } })
    const bytes = new RpcRequestError({
      body,
      url: URL_WITH_KEY,
      error: { code: 3, message: 'no', data: '0x08c379a0' },
    })
    expect(describeFailure(cause, URL_WITH_KEY).message).toBe('invalid: range 5 is bigger than limit 2')
    expect(describeFailure(bytes, URL_WITH_KEY).message).toBe('no')
  })

  test('data without end is not followed', () => {
    const data: Record<string, unknown> = { payload: 'range too large' }
    data['itself'] = data
    const cause = new RpcRequestError({ body, url: URL_WITH_KEY, error: { code: -32602, message: 'invalid', data } })
    expect(describeFailure(cause, URL_WITH_KEY)).toMatchObject({ kind: 'range-too-large', retryAfterMs: null })
  })

  test.each<[FailureKind, boolean, boolean]>([
    ['unreachable', false, true],
    ['timeout', false, true],
    ['throttled', true, false],
    ['exhausted', true, false],
    ['range-too-large', false, false],
    ['unsupported', false, false],
    ['filter-missing', false, false],
    ['block-missing', false, false],
    ['state-gone', false, false],
    ['reverted', false, false],
  ])('%s: asks to be left alone %j, gave no answer %j', (kind, asks, gaveNone) => {
    expect([asksForRest(kind), gaveNoAnswer(kind)]).toEqual([asks, gaveNone])
  })

  test.each<[string, unknown, unknown]>([
    ['logs of many blocks', { fromBlock: '0x1', toBlock: '0x10' }, { suggestedBlocks: null }],
    ['logs of one block', { fromBlock: '0x1', toBlock: '0x1' }, null],
    ['logs of a block by its hash', { blockHash: '0x1' }, null],
    ['logs up to a tag', { fromBlock: '0x1', toBlock: 'latest' }, null],
  ])('no answer in time to %s', (_name, filter, range) => {
    const error = new TimeoutError({ body, url: URL_WITH_KEY })
    const asked = { method: 'eth_getLogs', params: [filter] }
    expect(describeFailure(error, URL_WITH_KEY, asked)).toMatchObject({ kind: 'timeout', range })
    expect(describeFailure(error, URL_WITH_KEY, { ...asked, method: 'eth_newFilter' })).toMatchObject({ range: null })
  })

  test.each<[FailureKind, string, boolean]>([
    ['unreachable', 'RPC_UNAVAILABLE', true],
    ['timeout', 'RPC_UNAVAILABLE', true],
    ['throttled', 'RPC_UNAVAILABLE', true],
    ['exhausted', 'RPC_UNAVAILABLE', true],
    ['range-too-large', 'RPC_UNAVAILABLE', true],
    ['unsupported', 'RPC_UNAVAILABLE', true],
    ['filter-missing', 'RPC_UNAVAILABLE', true],
    ['block-missing', 'RPC_UNAVAILABLE', true],
    ['state-gone', 'RPC_STATE_UNAVAILABLE', false],
    ['reverted', 'RPC_REJECTED', false],
  ])('%s is %s', (kind, code, retryable) => {
    const failure = { kind, message: 'no', retryAfterMs: 5, range: { suggestedBlocks: 7 } }
    const error = new EndpointFailure('node', 'eth_call', failure, null)
    expect(error).toMatchObject({ code, kind, retryAfterMs: 5, range: { suggestedBlocks: 7 } })
    expect(isRetryable(error)).toBe(retryable)
  })
})
