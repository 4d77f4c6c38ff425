/**
 * Who signed an EIP-7702 authorization.
 *
 * The tuple names no signer: it is recovered from the signature over keccak256(0x05 ‖ rlp([chain id, address, nonce])). A
 * signature that is malleable (s above half the curve's order) or recovers to nothing makes the tuple void, as the EIP asks.
 */

import { numberToHex, recoverAuthorizationAddress } from 'viem/utils'
import type { Address, Authorization } from '../core/types.ts'

/** Half the order of secp256k1, the highest s that EIP-2 allows. */
const HALF_ORDER = 0x7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0n
/** EIP-2681: a nonce is at most 2^64 − 2; the tuple's must be below 2^64 − 1. */
const MAX_NONCE = 2n ** 64n - 1n

export type RawAuthorization = Omit<Authorization, 'authority'> & {
  readonly yParity: bigint
  readonly r: bigint
  readonly s: bigint
}

export async function recoverAuthority(raw: RawAuthorization): Promise<Authorization> {
  const { chainId, delegate, nonce } = raw
  return { chainId, delegate, nonce, authority: await recover(raw) }
}

async function recover({ chainId, delegate, nonce, yParity, r, s }: RawAuthorization): Promise<Address | null> {
  if (s > HALF_ORDER || nonce >= MAX_NONCE || yParity > 1n || chainId > BigInt(Number.MAX_SAFE_INTEGER)) return null
  try {
    const signer = await recoverAuthorizationAddress({
      authorization: { chainId: Number(chainId), address: delegate, nonce: Number(nonce) },
      signature: { r: numberToHex(r, { size: 32 }), s: numberToHex(s, { size: 32 }), yParity: Number(yParity) },
    })
    return signer.toLowerCase() as Address
  } catch {
    return null // No point of the curve: the tuple is void.
  }
}
