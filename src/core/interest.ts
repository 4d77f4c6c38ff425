/**
 * Whom a block concerns: which receipts it needs once its logs are known, and what may be left out of it (`sieve.ts`).
 *
 * A transaction with a log has succeeded, so its receipt would tell nothing new. Of the others only those matter in which somebody
 * who is tracked takes part, or which somebody asked about: of these the receipt alone says whether they succeeded.
 */

import { getContractAddress } from 'viem/utils'
import type { Chain } from './chain.ts'
import type { Address, Block, Hash, Transaction } from './types.ts'

export type Interest = {
  readonly wallet: (address: Address) => boolean
  /** Whether the 40 lower-case hex digits at a place of a text are the address of such a wallet. */
  readonly walletAt: (text: string, at: number) => boolean
  readonly transaction: (hash: Hash) => boolean
  /** Whether a rule says what a log of this contract with this first topic means: then anything in it may name a wallet. */
  readonly isRuled: (contract: string, topic0: string) => boolean
}

/** The same from less: wallets by their address alone. */
export function interestOf({
  wallet,
  transaction,
  rules = new Map(),
}: Pick<Interest, 'wallet' | 'transaction'> & { readonly rules?: Chain['rules'] }): Interest {
  return {
    wallet,
    walletAt: (text, at) => wallet(`0x${text.slice(at, at + 40)}`),
    transaction,
    isRuled: ruledBy(rules),
  }
}

/** @param rules of a chain file */
export function ruledBy(rules: Chain['rules']): Interest['isRuled'] {
  return rules.size === 0
    ? () => false
    : (contract, topic0) => rules.get(contract as Address)?.has(topic0 as Hash) ?? false
}

/** The contract that a creation makes if it succeeds (Yellow Paper, section 7: sender and nonce); null for a call. */
export function createdContract({ to, from, nonce }: Pick<Transaction, 'to' | 'from' | 'nonce'>): Address | null {
  return to === null ? (getContractAddress({ from, nonce: BigInt(nonce) }).toLowerCase() as Address) : null
}

/** Places of the transactions that interest, and whose outcome nothing in hand tells. */
export function openOutcomes({ transactions, receipts }: Block, interest: Interest): number[] {
  return transactions.flatMap((transaction, index) => {
    const receipt = receipts[index]
    const isKnown = receipt !== undefined && (receipt.gasUsed !== null || receipt.logs.length > 0)
    return !isKnown && concerns(transaction, interest) ? [index] : []
  })
}

/** Whether a transaction would give a row by itself, its logs aside. */
export function concerns(transaction: Transaction, interest: Interest): boolean {
  const { hash, from, to, value, authorizations } = transaction
  if (interest.wallet(from) || interest.transaction(hash)) return true
  // A delegation counts whether the transaction succeeds or not, but its row says which.
  if (authorizations.some(({ authority }) => authority !== null && interest.wallet(authority))) return true
  if (value === 0n) return false
  const recipient = to ?? createdContract(transaction)
  return recipient !== null && interest.wallet(recipient)
}
