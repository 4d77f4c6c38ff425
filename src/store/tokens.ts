/**
 * What tokens say of themselves. Asked once for each token, and kept also when there was no answer.
 */

import type { Address } from '../core/types.ts'
import { read, type Sql } from './connection.ts'

export type TokenFacts = {
  readonly address: Address
  /** null: the contract does not say, or says nonsense. */
  readonly decimals: number | null
  readonly symbol: string | null
  readonly name: string | null
}

/** The tokens of a list that were asked already. */
export async function loadTokens(sql: Sql, chainId: number, addresses: readonly Address[]): Promise<TokenFacts[]> {
  return read(sql<TokenFacts[]>`
    select address, decimals, symbol, name from indexer.tokens where chain_id = ${chainId} and address = any(${addresses}::text[])`)
}

/** Keeps the first answer: amounts were written by it. */
export async function saveToken(sql: Sql, chainId: number, token: TokenFacts, askedAtBlock: number): Promise<void> {
  await read(sql`
    insert into indexer.tokens (chain_id, address, decimals, symbol, name, asked_at_block)
    values (${chainId}, ${token.address}, ${token.decimals}, ${token.symbol}, ${token.name}, ${askedAtBlock})
    on conflict (chain_id, address) do nothing`)
}
