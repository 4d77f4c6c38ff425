/**
 * What one endpoint can do, asked once each: for `doctor`.
 */

import { numberToHex } from 'viem/utils'
import type { Finding } from '../core/finding.ts'
import { describeError } from '../errors.ts'
import { systemClock } from '../runtime/clock.ts'
import { createEndpoint, type Endpoint } from './endpoint.ts'
import { EndpointFailure } from './failure.ts'
import { parseHeader, parseQuantity } from './parse.ts'

/** Any account will do; this one exists on no chain's allow-list and has no secrets. */
const SOME_ADDRESS = '0x0000000000000000000000000000000000000001'
const LOGS_RANGE_BLOCKS = 1_000
const STALE_BLOCK_TIMES = 20

export async function probeEndpoint(
  url: string,
  name: string,
  expected: { readonly chainId: number; readonly blockTimeSeconds: number },
): Promise<Finding[]> {
  const endpoint = createEndpoint(url, name, systemClock)
  try {
    const chainId = Number(parseQuantity(await endpoint.request('eth_chainId', []), 'chain id'))
    if (chainId !== expected.chainId) {
      return [
        {
          verdict: 'bad',
          text: `serves chain ${chainId}, not ${expected.chainId}`,
          hint: 'Correct the RPC URL of this chain.',
        },
      ]
    }
    const head = parseHeader(await endpoint.request('eth_getBlockByNumber', ['latest', false]))
    const ageSeconds = Math.round(systemClock.now() / 1000 - head.timestamp)
    const isStale = ageSeconds > expected.blockTimeSeconds * STALE_BLOCK_TIMES
    const block = numberToHex(head.number)
    return [
      isStale
        ? {
            verdict: 'bad',
            text: `head ${head.number} is ${ageSeconds} s old`,
            hint: 'The node stands still or is syncing; use another one.',
          }
        : { verdict: 'ok', text: `head ${head.number}, ${ageSeconds} s old` },
      await ask(
        endpoint,
        'receipts by block',
        'eth_getBlockReceipts',
        [block],
        'limited',
        'Receipts are asked one by one, which costs many requests.',
      ),
      await ask(
        endpoint,
        `logs of ${LOGS_RANGE_BLOCKS} blocks`,
        'eth_getLogs',
        [
          {
            fromBlock: numberToHex(Math.max(head.number - LOGS_RANGE_BLOCKS + 1, 0)),
            toBlock: block,
            address: SOME_ADDRESS,
          },
        ],
        'limited',
        'Only smaller ranges can be asked for.',
      ),
      await ask(
        endpoint,
        'the finalized tag',
        'eth_getBlockByNumber',
        ['finalized', false],
        'limited',
        'Finality is counted in blocks instead.',
      ),
      await ask(
        endpoint,
        'archive state',
        'eth_getBalance',
        [SOME_ADDRESS, numberToHex(Math.max(Math.floor(head.number / 2), 0))],
        'limited',
        'Old delegations are marked as unproven.',
      ),
      await ask(
        endpoint,
        'traces',
        'debug_traceBlockByNumber',
        [block, { tracer: 'callTracer' }],
        'limited',
        'Value moved inside calls is not seen.',
      ),
    ]
  } catch (error) {
    return [{ verdict: 'bad', text: describeError(error), hint: 'Check the URL, the key and the network.' }]
  } finally {
    await endpoint.close()
  }
}

async function ask(
  endpoint: Endpoint,
  what: string,
  method: string,
  params: readonly unknown[],
  otherwise: 'limited' | 'bad',
  hint: string,
): Promise<Finding> {
  try {
    await endpoint.request(method, params)
    return { verdict: 'ok', text: `has ${what}` }
  } catch (error) {
    const why = error instanceof EndpointFailure ? ` (${String(error.facts['kind'])})` : ''
    return { verdict: otherwise, text: `has no ${what}${why}`, hint }
  }
}
