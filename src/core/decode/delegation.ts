/**
 * EIP-7702: which authorizations took effect?
 *
 * A receipt does not tell. An authorization counts when its signature is valid, it is for this chain (or any: 0), and its nonce is
 * the authority's at that moment. The moment is found by walking the block in order from the authority's nonce at the parent: a
 * transaction raises its sender's nonce before its authorizations are processed, and each one that takes effect raises its
 * authority's. A reverted transaction's authorizations stay in effect.
 */

import { type Activity, type Address, type Block, type Hex, type Hash, ZERO_ADDRESS } from '../types.ts'

/** The tracked signers of authorizations that could count here: whose nonce at the parent block must be known. */
export function authoritiesOf(block: Block, chainId: number, isTracked: (address: Address) => boolean): Address[] {
  const authorities = block.transactions.flatMap(({ authorizations }) =>
    authorizations.filter(({ chainId: id }) => id === 0n || id === BigInt(chainId)).map(({ authority }) => authority),
  )
  return [...new Set(authorities)].filter(authority => authority !== null).filter(isTracked)
}

/** What raises an address's nonce: a transaction that it sent (no authorization), or an authorization that it signed. */
type Step = {
  readonly address: Address
  readonly nonce: bigint
  readonly transactionHash: Hash
  readonly authorization: { readonly delegate: Address; readonly index: number } | null
}

/** Code that an authority may have: none, or a delegation (EIP-7702: 0xef0100 and an address). Unknown code is no objection. */
export function mayDelegate(code: Hex | null): boolean {
  return code === null || code === '0x' || code.startsWith('0xef0100')
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
  const steps = Map.groupBy(stepsOf(block, chainId, nonces), ({ address }) => address)
  const activities = [...steps].flatMap(([address, own]) => {
    const nonce = nonces.get(address) ?? null
    return delegationsOf(own, nonce === null ? null : BigInt(nonce))
  })
  const order = new Map(block.transactions.map(({ hash, index }) => [hash, index]))
  const positionOf = ({ transactionHash }: Activity) => order.get(transactionHash) ?? 0
  return activities.toSorted((a, b) => positionOf(a) - positionOf(b) || a.item - b.item)
}

/** The steps of the addresses in question, in the order of execution. */
function stepsOf(block: Block, chainId: number, nonces: ReadonlyMap<Address, unknown>): Step[] {
  const steps: Step[] = []
  for (const { hash, from, nonce, authorizations } of block.transactions) {
    if (nonces.has(from))
      steps.push({ address: from, nonce: BigInt(nonce), transactionHash: hash, authorization: null })
    for (const [index, { authority, delegate, nonce: own, chainId: id }] of authorizations.entries()) {
      if (authority === null || !nonces.has(authority) || (id !== 0n && id !== BigInt(chainId))) continue
      steps.push({ address: authority, nonce: own, transactionHash: hash, authorization: { delegate, index } })
    }
  }
  return steps
}

/** The delegations of one address; `start` is its nonce before the block. */
function delegationsOf(steps: readonly Step[], start: bigint | null): Activity[] {
  const activities: Activity[] = []
  let current = start
  let proven = start !== null
  for (const [position, { address, nonce, transactionHash, authorization }] of steps.entries()) {
    if (authorization === null) {
      // The block is valid, so this was its nonce: from here on it is known.
      current = nonce + 1n
      proven = true
      continue
    }
    if (current === null ? isContradicted(steps.slice(position), nonce) : current !== nonce) continue
    current = nonce + 1n
    const { delegate, index } = authorization
    activities.push({
      wallet: address,
      type: 'DELEGATION',
      transactionHash,
      logIndex: null,
      item: index,
      asset: null,
      rawAmount: null,
      metadata: {
        delegate,
        authorization_index: index,
        ...(delegate === ZERO_ADDRESS ? { revoked: true } : {}),
        ...(proven ? {} : { unproven: true }),
      },
      rule: null,
    })
  }
  return activities
}

/** Whether an address with this nonce before `steps` could not have sent the next transaction among them. */
function isContradicted(steps: readonly Step[], nonce: bigint): boolean {
  let current = nonce
  for (const step of steps) {
    if (step.authorization === null) return step.nonce !== current
    if (step.nonce === current) current += 1n
  }
  return false
}
