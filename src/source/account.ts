/**
 * An account as the state of a block has it: nonce, balance, code; from whichever endpoint still keeps that state.
 *
 * One call each, by the three oldest methods there are. `eth_getProof` would give all three in one, but a search asks for one of them at
 * a time, and archive nodes refuse proofs of old blocks, or take seconds for one.
 */

import { numberToHex } from 'viem/utils'
import type { Priority } from '../core/budget.ts'
import type { Address, Hex } from '../core/types.ts'
import type { Endpoint } from './endpoint.ts'
import { EndpointFailure } from './failure.ts'
import { parseBytes, parseQuantity } from './parse.ts'
import type { Pool } from './pool.ts'

export type StateQuestion = {
  readonly address: Address
  readonly blockNumber: number
  readonly priority: Priority
  readonly signal: AbortSignal
}

export async function askNonce(pool: Pool, question: StateQuestion): Promise<number | null> {
  const nonce = await askState(pool, 'eth_getTransactionCount', question, answer => parseQuantity(answer, 'nonce'))
  return nonce === null ? null : Number(nonce)
}

export function askBalance(pool: Pool, question: StateQuestion): Promise<bigint | null> {
  return askState(pool, 'eth_getBalance', question, answer => parseQuantity(answer, 'balance'))
}

export function askCode(pool: Pool, question: StateQuestion): Promise<Hex | null> {
  return askState(pool, 'eth_getCode', question, answer => parseBytes(answer, 'code'))
}

/** State of an account at a block; null where no endpoint keeps it any more: those that are known to have pruned theirs come last. */
async function askState<T>(
  pool: Pool,
  method: string,
  { address, blockNumber, priority, signal }: StateQuestion,
  parse: (answer: unknown) => T,
): Promise<T | null> {
  const gone = new Set<Endpoint>()
  for (;;) {
    const goneBefore = gone.size
    const answer = await pool.attempt(
      async ({ endpoint, request }) => {
        try {
          return parse(await request(method, [address, numberToHex(blockNumber)]))
        } catch (error) {
          if (!(error instanceof EndpointFailure) || error.kind !== 'state-gone') throw error
          gone.add(endpoint)
          endpoint.abilities.note('archive', false)
          return null
        }
      },
      { signal, priority, height: blockNumber, needs: 'archive' },
    )
    // null from the one that was asked before: all have been.
    if (answer !== null || gone.size === goneBefore || gone.size >= pool.endpoints.length) return answer
  }
}
