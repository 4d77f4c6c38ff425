/**
 * Which EIP-7702 authorizations of a block took effect, by the steps that the EIP prescribes, walked through in order.
 *
 * Not seen: a nonce that an account's delegated code uses up by creating contracts. The local contracts don't.
 */
import { recoverAddress } from 'viem'
import { hashAuthorization } from 'viem/utils'
import { type Address, ZERO_ADDRESS } from '../../../src/core/types.ts'
import type { FullBlock, FullTransaction, Node } from './chain.ts'

export type Delegation = {
  readonly transactionHash: string
  readonly authority: Address
  readonly delegate: Address
  /** Place in the list of its transaction. */
  readonly index: number
}

const HALF_OF_CURVE_ORDER = 0x7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0n
const MAX_NONCE = 2n ** 64n - 1n
const DESIGNATOR = '0xef0100'

type Authorization = NonNullable<FullTransaction['authorizationList']>[number]

export async function deriveDelegations(node: Node, block: FullBlock, chainId: number): Promise<Delegation[]> {
  const parent = Number(block.number) - 1
  if (!block.transactions.some(({ authorizationList }) => authorizationList !== undefined)) return []
  const nonces = new Map<Address, bigint>()
  const nonceOf = async (address: Address) => nonces.get(address) ?? (await node.nonce(address, parent))

  const delegations: Delegation[] = []
  for (const transaction of block.transactions) {
    const sender = transaction.from.toLowerCase() as Address
    nonces.set(sender, (await nonceOf(sender)) + 1n)
    for (const [index, authorization] of (transaction.authorizationList ?? []).entries()) {
      const authority = await recoverAuthority(authorization)
      if (authority === null) continue
      if (authorization.chainId !== 0 && authorization.chainId !== chainId) continue
      const nonce = BigInt(authorization.nonce)
      if (nonce >= MAX_NONCE || nonce !== (await nonceOf(authority))) continue
      const code = await node.code(authority, parent)
      if (code !== '0x' && !code.startsWith(DESIGNATOR)) continue
      nonces.set(authority, nonce + 1n)
      const delegate = authorization.address.toLowerCase() as Address
      delegations.push({ transactionHash: transaction.hash, authority, delegate, index })
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
