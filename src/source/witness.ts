/**
 * What each endpoint says by itself, where the word of one is not enough.
 *
 * Always holds: every endpoint is asked, each once, side by side; one that fails is silent and stops nobody.
 */

import { numberToHex } from 'viem/utils'
import type { Witness } from '../core/lineage.ts'
import type { Hash } from '../core/types.ts'
import type { Endpoint } from './endpoint.ts'
import { parseHeader } from './parse.ts'
import type { Pool } from './pool.ts'
import type { Testimony } from './source.ts'

/** Which block each endpoint has at a height: this one, or another. */
export function askWitnesses(
  pool: Pool,
  endpoints: readonly Endpoint[],
  block: { readonly number: number; readonly hash: Hash },
  signal: AbortSignal,
): Promise<Witness[]> {
  return Promise.all(endpoints.map((endpoint, index) => askWitness(pool, endpoint, index, block, signal)))
}

async function askWitness(
  pool: Pool,
  endpoint: Endpoint,
  index: number,
  { number, hash }: { readonly number: number; readonly hash: Hash },
  signal: AbortSignal,
): Promise<Witness> {
  try {
    return await pool.once(
      endpoint,
      async () => {
        const [answer, head] = await Promise.all([
          endpoint.request('eth_getBlockByNumber', [numberToHex(number), false]),
          endpoint.request('eth_getBlockByNumber', ['latest', false]),
        ])
        const headNumber = parseHeader(head).number
        if (answer === null) return { endpoint: index, shows: 'none' as const, headNumber }
        const header = parseHeader(answer)
        // The block of another height says nothing about this one.
        if (header.number !== number) return { endpoint: index, shows: 'nothing' as const, headNumber: null }
        return { endpoint: index, shows: header.hash === hash ? ('ours' as const) : ('other' as const), headNumber }
      },
      signal,
    )
  } catch {
    return { endpoint: index, shows: 'nothing', headNumber: null }
  }
}

/**
 * Whether each endpoint knows a transaction. Its "no" counts only if it does return `control`, which is at least as old: nodes
 * forget old hashes.
 */
export function askTestimonies(
  pool: Pool,
  endpoints: readonly Endpoint[],
  hash: Hash,
  control: Hash | null,
  signal: AbortSignal,
): Promise<Testimony[]> {
  return Promise.all(endpoints.map(endpoint => askTestimony(pool, endpoint, hash, control, signal)))
}

async function askTestimony(
  pool: Pool,
  endpoint: Endpoint,
  hash: Hash,
  control: Hash | null,
  signal: AbortSignal,
): Promise<Testimony> {
  const says = await pool
    .once(
      endpoint,
      async () => {
        if ((await endpoint.request('eth_getTransactionByHash', [hash])) !== null) return 'found' as const
        if (control === null) return 'forgetful' as const
        const known = await endpoint.request('eth_getTransactionByHash', [control])
        return known === null ? ('forgetful' as const) : ('none' as const)
      },
      signal,
    )
    .catch(() => 'silent' as const)
  return { endpoint: endpoint.name, says }
}
