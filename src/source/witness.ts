/**
 * What each endpoint says by itself, where the word of one is not enough.
 *
 * Always holds: every endpoint is heard that may be asked, side by side; one that fails, takes long, or asked to be left alone, is
 * silent and stops nobody; while all agree, it costs one request each.
 */

import { numberToHex } from 'viem/utils'
import type { Witness } from '../core/lineage.ts'
import type { Hash } from '../core/types.ts'
import { within } from '../runtime/sleep.ts'
import type { Endpoint } from './endpoint.ts'
import { parseHeader } from './parse.ts'
import { type Asker, askLatest, type Pool } from './pool.ts'
import type { Testimony } from './source.ts'

/** Longer nobody waits for one of several witnesses. */
const PATIENCE_MS = 1_500

/** Which block each endpoint has at a height: this one, or another. */
export async function askWitnesses(
  pool: Pool,
  block: { readonly number: number; readonly hash: Hash },
  signal: AbortSignal,
): Promise<Witness[]> {
  const shown = await Promise.all(
    pool.endpoints.map(async (endpoint, index): Promise<Witness> => {
      const shows = await hear(pool, endpoint, asker => askPlace(asker, block), signal)
      return { endpoint: index, shows: shows ?? 'nothing', headNumber: null }
    }),
  )
  // How far each branch goes matters only where there is more than one.
  if (shown.every(({ shows }) => shows === 'ours' || shows === 'nothing')) return shown
  return Promise.all(shown.map(witness => withHead(pool, witness, signal)))
}

async function askPlace(
  { request }: Asker,
  { number, hash }: { readonly number: number; readonly hash: Hash },
): Promise<Witness['shows']> {
  const answer = await request('eth_getBlockByNumber', [numberToHex(number), false])
  if (answer === null) return 'none'
  const header = parseHeader(answer)
  // The block of another height says nothing about this one.
  if (header.number !== number) return 'nothing'
  return header.hash === hash ? 'ours' : 'other'
}

async function withHead(pool: Pool, witness: Witness, signal: AbortSignal): Promise<Witness> {
  const endpoint = pool.endpoints[witness.endpoint]
  if (endpoint === undefined || witness.shows === 'nothing') return witness
  // Behind the same address there may be another chain by now, which has another block at every height.
  endpoint.chainVerified &&= witness.shows === 'ours'
  const head = await hear(pool, endpoint, askLatest, signal)
  return head === null ? { ...witness, shows: 'nothing' } : { ...witness, headNumber: head.number }
}

/** Its answer; null if it fails, or where there are others, takes long or did so lately. */
async function hear<T>(
  pool: Pool,
  endpoint: Endpoint,
  work: (asker: Asker) => Promise<T>,
  signal: AbortSignal,
): Promise<T | null> {
  const isAlone = pool.endpoints.length === 1
  if (!isAlone && endpoint.standing.isSlow) return null
  const answer = pool.once(endpoint, work, signal).then(
    heard => ({ heard }),
    () => ({ heard: null }),
  )
  const inTime = isAlone ? await answer : await within(PATIENCE_MS, answer)
  if (inTime === null) endpoint.standing.noteOvertaken(PATIENCE_MS)
  return inTime === null ? null : inTime.heard
}

/**
 * Whether each endpoint knows a transaction. Its "no" counts only if it does return `control`, which is at least as old: nodes
 * forget old hashes.
 */
export function askTestimonies(
  pool: Pool,
  hash: Hash,
  control: Hash | null,
  signal: AbortSignal,
): Promise<Testimony[]> {
  return Promise.all(
    pool.endpoints.map(async endpoint => ({
      endpoint: endpoint.name,
      says: await pool
        .once(endpoint, asker => askTestimony(asker, hash, control), signal)
        .catch(() => 'silent' as const),
    })),
  )
}

async function askTestimony({ request }: Asker, hash: Hash, control: Hash | null): Promise<Testimony['says']> {
  if ((await request('eth_getTransactionByHash', [hash])) !== null) return 'found'
  if (control === null) return 'forgetful'
  return (await request('eth_getTransactionByHash', [control])) === null ? 'forgetful' : 'none'
}
