import { HttpRequestError, RpcRequestError, TimeoutError, UnknownRpcError } from 'viem'
import { describe, expect, test } from 'vitest'
import { isRetryable } from '../../../src/errors.ts'
import { describeFailure, EndpointFailure, type FailureKind } from '../../../src/source/failure.ts'

const URL_WITH_KEY = 'https://user:hunter2hunter2@eth.example.com/v2/AbCdEf0123456789?token=s3cr3t-t0ken'
const body = { method: 'eth_call', params: [] }

function rpc(code: number, message: string, status?: number): Error {
  const more = status === undefined ? {} : { status, headers: new Headers() }
  return new RpcRequestError({ body, url: URL_WITH_KEY, error: { code, message }, ...more })
}

function http(status: number, details: string, headers: Record<string, string> = {}): Error {
  return new HttpRequestError({ body, url: URL_WITH_KEY, status, details, headers: new Headers(headers) })
}

const kindOf = (error: unknown) => describeFailure(error, URL_WITH_KEY).kind

describe('what a refusal means', () => {
  test.each<[string, Error, FailureKind]>([
    [
      'geth: unknown method',
      rpc(-32601, 'the method eth_getBlockReceipts does not exist/is not available'),
      'unsupported',
    ],
    ['Alchemy: unknown method', rpc(-32600, 'Unsupported method: trace_block on ETH_MAINNET', 400), 'unsupported'],
    ['QuickNode: unknown method', rpc(-32601, 'rpc method is not whitelisted'), 'unsupported'],
    [
      'Infura: unknown method',
      rpc(-32601, 'The method parity_nextNonce does not exist/is not available'),
      'unsupported',
    ],
    ['EIP-1474: unknown method', rpc(-32004, 'Not supported'), 'unsupported'],
    [
      'Nethermind: method of a module that is off',
      rpc(
        -32600,
        "The method 'trace_block' is found but the namespace 'Trace' is disabled for http://0.0.0.0:8545. Consider adding the namespace 'Trace' to JsonRpc.EnabledModules.",
      ),
      'unsupported',
    ],
    ['providers: a subscription that is not offered', rpc(-32602, 'unsupported subscription type'), 'unsupported'],
    ['geth: a filter that was forgotten', rpc(-32000, 'filter not found'), 'filter-missing'],
    ['Besu: a filter that was forgotten', rpc(-32602, 'Filter not found'), 'filter-missing'],
    ['Nethermind: a filter that was forgotten', rpc(-32000, 'Filter with id: 429 does not exist.'), 'filter-missing'],
    [
      'nodes of Cosmos: a filter of another node',
      rpc(-32000, 'filter 0xd5a2f847eb82f05ea65c5a9ee22645b5 not found'),
      'filter-missing',
    ],
    ['geth: logs of a block to come', rpc(-32000, 'can not filter logs: unknown block'), 'block-missing'],
    [
      'geth: pruned state',
      rpc(-32000, 'missing trie node 1f0e (path ) state 0x1f0e is not available, not found'),
      'state-gone',
    ],
    ['geth, path scheme: pruned state', rpc(-32000, 'historical state 0x1f0e is not available'), 'state-gone'],
    ['reth: pruned state', rpc(-32000, 'state at block #16000000 is pruned'), 'state-gone'],
    ['reth: beyond what it keeps', rpc(-32000, 'distance to target block exceeds maximum proof window'), 'state-gone'],
    ['Nethermind: pruned state', rpc(-32002, 'No state available for block 0x1f0e'), 'state-gone'],
    ['Besu: pruned state', rpc(-32000, 'World state unavailable'), 'state-gone'],
    ['Erigon 2: pruned state', rpc(-32000, 'old data not available due to pruning'), 'state-gone'],
    [
      'Erigon 3: pruned state',
      rpc(
        -32000,
        'state transitaion failed: seek with txNum=1962853355 but data before txNum=2662500000 is not available: blockNum=16999999',
      ),
      'state-gone',
    ],
    ['geth: expired history', rpc(4444, 'pruned history unavailable'), 'state-gone'],
    ['providers: archive plan', rpc(-32000, 'Archive data is only available on a paid plan'), 'state-gone'],
    ['geth: unknown header', rpc(-32000, 'header not found'), 'block-missing'],
    ['geth: unknown hash', rpc(-32000, 'header for hash not found'), 'block-missing'],
    ['geth: no such tag', rpc(-39001, 'Unknown block'), 'block-missing'],
    ['geth: nothing final yet', rpc(-32000, 'finalized block not found'), 'block-missing'],
    ['reth: unknown block', rpc(-32001, 'block not found: 0x1f0e'), 'block-missing'],
    [
      'Anvil: a block to come',
      rpc(-32602, 'BlockOutOfRangeError: block height is 10 but requested was 11'),
      'block-missing',
    ],
    ['Nethermind: unknown block', rpc(-32000, '4294967295 could not be found'), 'block-missing'],
    ['geth: revert', rpc(3, 'execution reverted: not the owner'), 'reverted'],
    ['providers: revert with the general code', rpc(-32000, 'execution reverted'), 'reverted'],
    [
      'Hardhat: revert',
      rpc(-32603, 'Error: VM Exception while processing transaction: reverted with reason'),
      'reverted',
    ],
    ['geth: revert, whatever its words', rpc(3, 'SafeERC20: low-level call failed'), 'reverted'],
    ['geth: bad code', rpc(-32000, 'invalid opcode: INVALID'), 'reverted'],
    ['geth: call without end', rpc(-32000, 'out of gas'), 'reverted'],
    ['Infura: too many', rpc(-32005, 'daily request count exceeded, request rate limited'), 'throttled'],
    ['Alchemy: too many', rpc(429, 'Your app has exceeded its compute units per second capacity.', 429), 'throttled'],
    ['Ankr: too many', rpc(-32090, 'Too many requests, reason: call rate limit exhausted'), 'throttled'],
    [
      'QuickNode: per second',
      rpc(-32007, '15/second request limit reached - reduce calls per second or upgrade your account'),
      'throttled',
    ],
    [
      'Chainstack: per second',
      rpc(-32000, "You've exceeded the RPS limit available on the current plan."),
      'throttled',
    ],
    ['Alchemy: month used up', http(429, 'Monthly capacity limit exceeded.'), 'throttled'],
    ['Infura: per second', rpc(-32005, 'project ID request rate exceeded'), 'throttled'],
    ['a proxy: 429', http(429, 'Too Many Requests'), 'throttled'],
    ['a provider: payment required', http(402, 'Payment Required'), 'throttled'],
    ['a provider: throttled with another status', http(403, 'rate limit exceeded'), 'throttled'],
    ['a load balancer: 502', http(502, '<html>502 Bad Gateway</html>'), 'unreachable'],
    ['a load balancer: 503', http(503, 'Service Unavailable'), 'unreachable'],
    ['a wrong key', http(401, 'Unauthorized'), 'unreachable'],
    ['no answer', new TimeoutError({ body, url: URL_WITH_KEY }), 'unreachable'],
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
      'no such host',
      new HttpRequestError({
        body,
        url: URL_WITH_KEY,
        cause: new TypeError('fetch failed', { cause: new Error('getaddrinfo ENOTFOUND eth.example.com') }),
      }),
      'unreachable',
    ],
    ['geth: internal error', rpc(-32603, 'method handler crashed'), 'unreachable'],
    ['words that nobody knows', rpc(-32000, 'purple monkey dishwasher'), 'unreachable'],
    ['an error of viem around another', new UnknownRpcError(new Error('socket hang up')), 'unreachable'],
  ])('%s', (_name, error, kind) => {
    expect(kindOf(error)).toBe(kind)
  })

  test('what a socket was refused with is no error, and read all the same', () => {
    const refused = { code: -32601, message: 'no "newPendingTransactions" subscription in eth namespace' }
    expect(describeFailure(refused, URL_WITH_KEY)).toMatchObject({ kind: 'unsupported', message: refused.message })
  })

  test.each([null, undefined, 'text', 5, {}])('something thrown that is no error: %j', thrown => {
    expect(kindOf(thrown)).toBe('unreachable')
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

  test.each<[string, Record<string, string>, number | null]>([
    ['seconds', { 'retry-after': '7' }, 7_000],
    ['none', {}, null],
    ['a date is not read', { 'retry-after': 'Wed, 21 Oct 2026 07:28:00 GMT' }, null],
    ['nonsense', { 'retry-after': 'soon' }, null],
    ['less than nothing', { 'retry-after': '-5' }, null],
    ['for ever', { 'retry-after': '1e300' }, 3_600_000],
  ])('Retry-After: %s', (_name, headers, waitMs) => {
    expect(describeFailure(http(429, 'Too Many Requests', headers), URL_WITH_KEY).retryAfterMs).toBe(waitMs)
  })

  test.each<[FailureKind, string, boolean]>([
    ['unreachable', 'RPC_UNAVAILABLE', true],
    ['throttled', 'RPC_UNAVAILABLE', true],
    ['unsupported', 'RPC_UNAVAILABLE', true],
    ['filter-missing', 'RPC_UNAVAILABLE', true],
    ['block-missing', 'RPC_UNAVAILABLE', true],
    ['state-gone', 'RPC_STATE_UNAVAILABLE', false],
    ['reverted', 'RPC_REJECTED', false],
  ])('%s is %s', (kind, code, retryable) => {
    const error = new EndpointFailure('node', 'eth_call', { kind, message: 'no', retryAfterMs: null }, null)
    expect(error).toMatchObject({ code, kind })
    expect(isRetryable(error)).toBe(retryable)
  })
})
