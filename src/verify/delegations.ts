/**
 * Which EIP-7702 authorizations of a block took effect, by the steps that the EIP prescribes, walked through in order.
 *
 * Not seen: a nonce that an account's delegated code uses up by creating contracts. The local contracts don't.
 */
import { recoverAddress } from 'viem'
import { hashAuthorization } from 'viem/utils'
import { type Address, ZERO_ADDRESS } from '../core/types.ts'
import type { FullBlock, FullTransaction, Node } from './node.ts'

export type Delegation = {
  readonly transactionHash: string
  readonly authority: Address
  readonly delegate: Address
  /** Place in the list of its transaction. */
  readonly index: number
  /** False: the nonce that it needed could not be asked for. */
  readonly isProven: boolean
}

const HALF_OF_CURVE_ORDER = 0x7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0n
const MAX_NONCE = 2n ** 64n - 1n
const DESIGNATOR = '0xef0100'

type Authorization = NonNullable<FullTransaction['authorizationList']>[number]

/** Those by tracked wallets. */
export async function deriveDelegations(
  node: Node,
  block: FullBlock,
  chainId: number,
  isTracked: (address: Address) => boolean,
): Promise<Delegation[]> {
  const parent = Math.max(Number(block.number) - 1, 0)
  /** null: that state is gone. */
  const nonces = new Map<Address, bigint | null>()
  const delegations: Delegation[] = []
  for (const transaction of block.transactions) {
    const sender = transaction.from.toLowerCase() as Address
    nonces.set(sender, BigInt(transaction.nonce) + 1n)
    for (const [index, authorization] of (transaction.authorizationList ?? []).entries()) {
      const authority = await recoverAuthority(authorization)
      if (authority === null || !isTracked(authority)) continue
      if (authorization.chainId !== 0 && authorization.chainId !== chainId) continue
      if (!nonces.has(authority)) nonces.set(authority, await node.nonce(authority, parent))
      const expected = nonces.get(authority) ?? null
      const nonce = BigInt(authorization.nonce)
      if (nonce >= MAX_NONCE || (expected !== null && nonce !== expected)) continue
      const code = await node.code(authority, parent)
      if (code !== null && code !== '0x' && !code.startsWith(DESIGNATOR)) continue
      nonces.set(authority, nonce + 1n)
      const delegate = authorization.address.toLowerCase() as Address
      delegations.push({ transactionHash: transaction.hash, authority, delegate, index, isProven: expected !== null })
    }
  }
  return delegations
}

async function recoverAuthority(authorization: Authorization): Promise<Address | null> {
  const { address, chainId, nonce, r, s, yParity } = authorization
  if (BigInt(s) > HALF_OF_CURVE_ORDER || (yParity !== 0 && yParity !== 1)) return null
  try {
    const hash = hashAuthorization({ address, chainId, nonce })
    const recovered = await recoverAddress({ hash, signature: { r, s, yParity } })
    const authority = recovered.toLowerCase() as Address
    return authority === ZERO_ADDRESS ? null : authority
  } catch {
    // No point of the curve has these numbers.
    return null
  }
}
