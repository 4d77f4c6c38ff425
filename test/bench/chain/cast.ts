/**
 * Who and what there is on a generated chain: wallets, some of them tracked, and tokens, some of them listed.
 *
 * Always holds: it is made of the seed alone, so that every process that has the seed knows the same addresses.
 */

import { createHash } from 'node:crypto'
import type { Address, Hex } from '../../../src/core/types.ts'

export type Cast = {
  /** The tracked ones first. */
  readonly wallets: readonly Address[]
  readonly tracked: readonly Address[]
  readonly strangers: readonly Address[]
  /** Those that the chain file lists first; all have 18 decimals. */
  readonly tokens: readonly Token[]
  /** Contracts that move tokens for others. */
  readonly routers: readonly Address[]
}

export type Token = { readonly address: Address; readonly symbol: string; readonly listed: boolean }

export type CastSpec = {
  readonly seed: number
  readonly wallets: number
  readonly tracked: number
  readonly listedTokens: number
  readonly unlistedTokens: number
}

const ROUTERS = 4

/** So many bytes of hex that only the seed and the words decide. */
export function hexFrom(sizeBytes: number, ...words: readonly (string | number)[]): Hex {
  let text = ''
  for (let part = 0; text.length < sizeBytes * 2; part += 1)
    text += createHash('sha256')
      .update([...words, part].join(':'))
      .digest('hex')
  return `0x${text.slice(0, sizeBytes * 2)}`
}

export function createCast({ seed, wallets: count, tracked, listedTokens, unlistedTokens }: CastSpec): Cast {
  const addresses = (kind: string, length: number): Address[] =>
    Array.from({ length }, (_, index) => hexFrom(20, seed, kind, index))
  const wallets = addresses('wallet', count)
  return {
    wallets,
    tracked: wallets.slice(0, tracked),
    strangers: wallets.slice(tracked),
    tokens: addresses('token', listedTokens + unlistedTokens).map((address, index) => ({
      address,
      symbol: `TOK${index}`,
      listed: index < listedTokens,
    })),
    routers: addresses('router', ROUTERS),
  }
}
