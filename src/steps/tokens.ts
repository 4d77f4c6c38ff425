/**
 * Decimals of tokens that no chain file lists: from memory, from the database, or asked of the contract, once.
 */

import pMap from 'p-map'
import { DECIMALS_CALL, NAME_CALL, parseDecimals, parseTokenText, SYMBOL_CALL } from '../core/token.ts'
import type { Address } from '../core/types.ts'
import type { ChainContext } from './context.ts'

const TOKENS_AT_ONCE = 4
const MAX_SYMBOL_LENGTH = 64
const MAX_NAME_LENGTH = 128
/** Tokens kept in memory per chain; the database has the rest. */
const MAX_REMEMBERED = 50_000

const remembered = new WeakMap<object, Map<Address, number | null>>()

/** @returns the decimals of each token, null where the contract does not say */
export async function resolveDecimals(
  context: ChainContext,
  tokens: readonly Address[],
  blockNumber: number,
  signal: AbortSignal,
): Promise<Map<Address, number | null>> {
  const memory = memoryOf(context)
  const unknown = tokens.filter(token => !memory.has(token))
  if (unknown.length > 0) {
    for (const { address, decimals } of await context.store.tokens(context.chain.id, unknown))
      memory.set(address, decimals)
    const unasked = unknown.filter(token => !memory.has(token))
    await pMap(unasked, async token => memory.set(token, await askToken(context, token, blockNumber, signal)), {
      concurrency: TOKENS_AT_ONCE,
    })
  }
  return new Map(tokens.map(token => [token, memory.get(token) ?? null]))
}

async function askToken(
  { chain, source, store }: ChainContext,
  address: Address,
  blockNumber: number,
  signal: AbortSignal,
): Promise<number | null> {
  const [decimals, symbol, name] = await Promise.all([
    source.call(address, DECIMALS_CALL, blockNumber, signal),
    source.call(address, SYMBOL_CALL, blockNumber, signal),
    source.call(address, NAME_CALL, blockNumber, signal),
  ])
  const token = {
    address,
    decimals: parseDecimals(decimals),
    symbol: parseTokenText(symbol, MAX_SYMBOL_LENGTH),
    name: parseTokenText(name, MAX_NAME_LENGTH),
  }
  await store.saveToken(chain.id, token, blockNumber)
  return token.decimals
}

function memoryOf(context: ChainContext): Map<Address, number | null> {
  const memory = remembered.get(context.source) ?? new Map<Address, number | null>()
  if (memory.size > MAX_REMEMBERED) memory.clear()
  remembered.set(context.source, memory)
  return memory
}
