/**
 * EIP-7702: which authorizations took effect?
 *
 * A receipt does not tell. An authorization counts when its signature is valid, it is for this chain (or any: 0), and its nonce is
 * the authority's at that moment. The moment is found by walking the block in order from the authority's nonce at the parent: a
 * transaction raises its sender's nonce before its authorizations are processed, and each one that takes effect raises its
 * authority's. A reverted transaction's authorizations stay in effect.
 */

import { type Activity, type Address, type Block, ZERO_ADDRESS } from '../types.ts'

/** The tracked signers of authorizations that could count here: whose nonce at the parent block must be known. */
export function authoritiesOf(block: Block, chainId: number, isTracked: (address: Address) => boolean): Address[] {
  const authorities = block.transactions.flatMap(({ authorizations }) =>
    authorizations.filter(({ chainId: id }) => id === 0n || id === BigInt(chainId)).map(({ authority }) => authority),
  )
  return [...new Set(authorities)].filter(authority => authority !== null).filter(isTracked)
}

/**
 * The delegations of tracked wallets in a block.
 *
 * @param nonces each authority's nonce at the end of the parent block; null where no node has that state any more. Then an
 *   authorization that nothing in the block contradicts is kept and marked `unproven`.
 */
export function decodeDelegations(
  block: Block,
  chainId: number,
  nonces: ReadonlyMap<Address, number | null>,
): Activity[] {
  const current = new Map<Address, bigint | null>(
    [...nonces].map(([address, nonce]) => [address, nonce === null ? null : BigInt(nonce)]),
  )
  const activities: Activity[] = []
  for (const transaction of block.transactions) {
    if (current.has(transaction.from)) current.set(transaction.from, BigInt(transaction.nonce) + 1n)
    for (const [item, { authority, delegate, nonce, chainId: id }] of transaction.authorizations.entries()) {
      if (authority === null || !nonces.has(authority) || (id !== 0n && id !== BigInt(chainId))) continue
      const expected = current.get(authority) ?? null
      if (expected !== null && expected !== nonce) continue
      current.set(authority, nonce + 1n)
      activities.push({
        wallet: authority,
        type: 'DELEGATION',
        transactionHash: transaction.hash,
        logIndex: null,
        item,
        asset: null,
        rawAmount: null,
        metadata: {
          delegate,
          authorization_index: item,
          ...(delegate === ZERO_ADDRESS ? { revoked: true } : {}),
          ...(expected === null ? { unproven: true } : {}),
        },
        rule: null,
      })
    }
  }
  return activities
}
