/**
 * Approvals: ERC-20 allowances, ERC-721 approvals of one token, and approvals for all (ERC-721 and ERC-1155).
 *
 * From 2^96 − 1 on an allowance is unlimited: that is what wallets and tokens with 96-bit balances mean by it, and no supply comes
 * near it. Its amount is null, so that nobody sums it.
 */

import type { Chain } from '../chain.ts'
import type { Activity, Address, Asset, Hash, Log, Metadata } from '../types.ts'
import { ZERO_ADDRESS } from '../types.ts'
import { readAddressesAndNumber } from './words.ts'

/** keccak256 of Approval(address,address,uint256): ERC-20 and ERC-721. */
export const APPROVAL: Hash = '0x8c5be1e5ebec7d5bd14f71427d1e84f3dd0314c0f7b2291e5b200ac8c7c3b925'
/** keccak256 of ApprovalForAll(address,address,bool): ERC-721 and ERC-1155. */
export const APPROVAL_FOR_ALL: Hash = '0x17307eab39ab6107e8899845ad3d59bd9653f200f220920489ca2b5937696c31'

const UNLIMITED_FROM = 2n ** 96n - 1n

/** The activity of the owner, if tracked; null if the log's shape is none that is known. */
export function decodeApproval(
  log: Log,
  transactionHash: Hash,
  chain: Chain,
  isTracked: (address: Address) => boolean,
): Activity[] | null {
  const words = readAddressesAndNumber(log)
  // What is neither true nor false is no bool of the ABI.
  if (words === null || (log.topics[0] === APPROVAL_FOR_ALL && (words.number > 1n || words.indexed > 2))) return null
  if (!isTracked(words.first)) return []
  const isPiece = words.indexed === 3 || (words.indexed < 2 && chain.tokens.get(log.address)?.kind === 'erc721')
  const approval = approvalOf(log, words.second, words.number, isPiece)
  return [
    {
      wallet: words.first,
      type: 'APPROVAL',
      transactionHash,
      logIndex: log.logIndex,
      item: 0,
      rule: null,
      ...approval,
    },
  ]
}

type Approval = { readonly asset: Asset; readonly rawAmount: bigint | null; readonly metadata: Metadata }

function approvalOf(log: Log, spender: Address, value: bigint, isPiece: boolean): Approval {
  const pieces: Asset = { kind: 'pieces', address: log.address }
  if (log.topics[0] === APPROVAL_FOR_ALL) {
    const revoked = value === 0n ? { revoked: true } : {}
    return { asset: pieces, rawAmount: null, metadata: { operator: spender, all: true, ...revoked } }
  }
  if (isPiece) {
    const revoked = spender === ZERO_ADDRESS ? { revoked: true } : {}
    return { asset: pieces, rawAmount: null, metadata: { spender, token_id: value.toString(), ...revoked } }
  }
  const marks = value === 0n ? { revoked: true } : value >= UNLIMITED_FROM ? { unlimited: true } : {}
  return { asset: { kind: 'erc20', address: log.address }, rawAmount: value, metadata: { spender, ...marks } }
}
