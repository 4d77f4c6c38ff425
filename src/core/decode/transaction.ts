/**
 * What a transaction does by itself: native value, interaction, deployment, or being reverted.
 */

import type { Activity, Address, Hex, Metadata, Receipt, Transaction } from '../types.ts'

const SELECTOR_LENGTH = '0x'.length + 8

type Tracked = (address: Address) => boolean

/** The activities of one transaction for its tracked parties, its logs aside. `succeeded` must be known. */
export function decodeTransaction(
  transaction: Transaction,
  receipt: Receipt,
  succeeded: boolean,
  isTracked: Tracked,
): Activity[] {
  const { from, value } = transaction
  const activity = (wallet: Address, type: string, metadata: Metadata, rawAmount: bigint | null = null): Activity => ({
    wallet,
    type,
    transactionHash: transaction.hash,
    logIndex: null,
    item: 0,
    asset: rawAmount === null ? null : { kind: 'native' },
    rawAmount,
    metadata,
    rule: null,
  })
  if (!succeeded) return isTracked(from) ? [activity(from, 'TRANSACTION_REVERTED', { to: transaction.to })] : []

  const recipient = transaction.to ?? receipt.contractAddress
  const activities: Activity[] = []
  if (isTracked(from)) {
    if (transaction.to === null)
      activities.push(activity(from, 'CONTRACT_DEPLOYMENT', { contract: receipt.contractAddress }))
    else if (value === 0n || transaction.input !== '0x') {
      activities.push(
        activity(from, 'CONTRACT_INTERACTION', { to: transaction.to, selector: selectorOf(transaction.input) }),
      )
    }
    if (value > 0n) activities.push(activity(from, 'TRANSFER_OUT', { counterparty: recipient }, value))
  }
  if (value > 0n && recipient !== null && isTracked(recipient)) {
    activities.push(activity(recipient, 'TRANSFER_IN', { counterparty: from }, value))
  }
  return activities
}

function selectorOf(input: Hex): Hex | null {
  return input.length >= SELECTOR_LENGTH ? (input.slice(0, SELECTOR_LENGTH) as Hex) : null
}
