/**
 * What an endpoint can do, asked once each: so that nobody has to find out in the middle of work, and for `doctor`.
 */

import { numberToHex } from 'viem/utils'
import type { Finding } from '../core/finding.ts'
import { describeError } from '../errors.ts'
import { systemClock } from '../runtime/clock.ts'
import { sleep } from '../runtime/sleep.ts'
import type { Ability } from './abilities.ts'
import { createBudget } from './budget.ts'
import { createEndpoint } from './endpoint.ts'
import { EndpointFailure } from './failure.ts'
import { parseClient, parseQuantity } from './parse.ts'
import { type Asker, askLatest, newestHead, type Pool } from './pool.ts'
import type { EndpointHealth } from './source.ts'

/** Any account will do; this one exists on no chain's allow-list and has no secrets. */
const SOME_ADDRESS = '0x0000000000000000000000000000000000000001'
const LOGS_RANGE_BLOCKS = 1_000
const STALE_BLOCK_TIMES = 20
const PROBE_AGAIN_AFTER_MS = 60_000

type Probe = {
  readonly ability: Ability
  readonly what: string
  readonly method: string
  readonly params: (head: number) => readonly unknown[]
  /** What follows where it is missing. */
  readonly hint: string
}

const PROBES: readonly Probe[] = [
  {
    ability: 'blockReceipts',
    what: 'receipts by block',
    method: 'eth_getBlockReceipts',
    params: head => [numberToHex(head)],
    hint: 'Receipts are asked one by one, which costs many requests.',
  },
  {
    ability: 'logs',
    what: `logs of ${LOGS_RANGE_BLOCKS} blocks`,
    method: 'eth_getLogs',
    params: head => [
      {
        fromBlock: numberToHex(Math.max(head - LOGS_RANGE_BLOCKS + 1, 0)),
        toBlock: numberToHex(head),
        address: SOME_ADDRESS,
      },
    ],
    hint: 'Only smaller ranges can be asked for.',
  },
  {
    ability: 'tags',
    what: 'the finalized tag',
    method: 'eth_getBlockByNumber',
    params: () => ['finalized', false],
    hint: 'Finality is counted in blocks instead.',
  },
  {
    ability: 'archive',
    what: 'archive state',
    method: 'eth_getBalance',
    params: head => [SOME_ADDRESS, numberToHex(Math.max(Math.floor(head / 2), 0))],
    hint: 'Old delegations are marked as unproven.',
  },
  {
    ability: 'traces',
    what: 'traces',
    method: 'debug_traceBlockByNumber',
    params: head => [numberToHex(head), { tracer: 'callTracer' }],
    hint: 'Value moved inside calls is not seen.',
  },
]

/**
 * Asks every endpoint of a pool what it is and what it can do, and again when it contradicts itself: then another node stands behind its
 * address. Until the signal. Never throws: who does not answer is asked later.
 */
export async function watchAbilities(
  pool: Pool,
  onKnown: (health: EndpointHealth) => void,
  signal: AbortSignal,
): Promise<void> {
  await Promise.all(
    pool.endpoints.map(async endpoint => {
      while (!signal.aborted) {
        const isKnown = await pool.once(endpoint, askAll, signal).catch(() => false)
        if (isKnown) {
          onKnown(endpoint.health(newestHead(pool.endpoints)))
          await endpoint.abilities.contradiction(signal)
        }
        await sleep(PROBE_AGAIN_AFTER_MS, signal)
      }
    }),
  )
}

async function askAll(asker: Asker): Promise<true> {
  const { endpoint } = asker
  const head = (await askLatest(asker)).number
  endpoint.client = await askClient(asker)
  for (const probe of PROBES) await ask(asker, probe, head)
  return true
}

/** What one endpoint of a configuration can do, in plain words. */
export async function probeEndpoint(
  url: string,
  name: string,
  expected: { readonly chainId: number; readonly blockTimeSeconds: number },
): Promise<Finding[]> {
  const { chainId, blockTimeSeconds } = expected
  const budget = createBudget({ chainId, endpoint: name, perDay: null, blockTimeSeconds, ledger: null }, systemClock)
  const endpoint = createEndpoint({ url, name, budget, perSecond: null, atOnce: 1 }, systemClock)
  const asker: Asker = { endpoint, request: (method, params) => endpoint.request(method, params) }
  try {
    const answered = Number(parseQuantity(await asker.request('eth_chainId', []), 'chain id'))
    if (answered !== chainId)
      return [
        {
          verdict: 'bad',
          text: `serves chain ${answered}, not ${chainId}`,
          hint: 'Correct the RPC URL of this chain.',
        },
      ]
    const head = await askLatest(asker)
    const findings = [describeHead(head, blockTimeSeconds), describeClient(await askClient(asker))]
    for (const probe of PROBES) findings.push(await ask(asker, probe, head.number))
    return findings
  } catch (error) {
    return [{ verdict: 'bad', text: describeError(error), hint: 'Check the URL, the key and the network.' }]
  } finally {
    await endpoint.close()
  }
}

function describeHead(
  head: { readonly number: number; readonly timestamp: number },
  blockTimeSeconds: number,
): Finding {
  const ageSeconds = Math.round(systemClock.now() / 1000 - head.timestamp)
  return ageSeconds > blockTimeSeconds * STALE_BLOCK_TIMES
    ? {
        verdict: 'bad',
        text: `head ${head.number} is ${ageSeconds} s old`,
        hint: 'The node stands still or is syncing; use another one.',
      }
    : { verdict: 'ok', text: `head ${head.number}, ${ageSeconds} s old` }
}

function describeClient(client: string | null): Finding {
  return { verdict: 'ok', text: client === null ? 'does not say what client it is' : `is ${client}` }
}

/** null: it does not say. */
async function askClient({ request }: Asker): Promise<string | null> {
  try {
    return parseClient(await request('web3_clientVersion', []))
  } catch {
    return null
  }
}

/** Notes what it can do, as far as the answer tells: a passing fault proves nothing. */
async function ask({ endpoint, request }: Asker, probe: Probe, head: number): Promise<Finding> {
  const { ability, what, method, params, hint } = probe
  try {
    const answer = await request(method, params(head))
    // A tag that is answered by null may be one of which nothing is final yet.
    if (ability !== 'tags' || answer !== null) endpoint.abilities.note(ability, true)
    return { verdict: 'ok', text: `has ${what}` }
  } catch (error) {
    const kind = error instanceof EndpointFailure ? error.kind : null
    const isMissing = kind === 'unsupported' || (ability === 'archive' && kind === 'state-gone')
    if (isMissing) endpoint.abilities.note(ability, false)
    return { verdict: 'limited', text: `has no ${what}${kind === null ? '' : ` (${kind})`}`, hint }
  }
}
