/**
 * A block → the activities of tracked wallets in it.
 *
 * The order of the result: the delegations of the block, then by transaction, the transaction itself first, then its logs.
 */

import type { Chain } from '../chain.ts'
import type { Activity, Address, Block, Log, Oddity, Receipt, Transaction } from '../types.ts'
import { APPROVAL, APPROVAL_FOR_ALL, decodeApproval } from './approval.ts'
import { decodeDelegations } from './delegation.ts'
import { transactionOutcome } from './outcome.ts'
import { decodeRule, findRule } from './rules.ts'
import { decodeTransaction } from './transaction.ts'
import { decodeTransfer, TRANSFER, TRANSFER_BATCH, TRANSFER_SINGLE } from './transfer.ts'

/** EIP-7708: logs of this address repeat native value that the transaction has shown already. */
const NATIVE_TRANSFER_LOGGER: Address = '0xfffffffffffffffffffffffffffffffffffffffe'

export type Decoded = { readonly activities: readonly Activity[]; readonly oddities: readonly Oddity[] }

/**
 * @param isTracked whether a lower-case address is a tracked wallet
 * @param nonces the nonce at the parent block of each address of `authoritiesOf`
 */
export function decodeBlock(
  block: Block,
  chain: Chain,
  isTracked: (address: Address) => boolean,
  nonces: ReadonlyMap<Address, number | null>,
): Decoded {
  const activities: Activity[] = nonces.size > 0 ? decodeDelegations(block, chain.id, nonces) : []
  const oddities: Oddity[] = []
  for (const [index, transaction] of block.transactions.entries()) {
    const receipt = block.receipts[index]
    if (receipt === undefined) continue
    const succeeded = transactionOutcome(transaction, receipt)
    const own = decodeTransaction(transaction, receipt, succeeded ?? true, isTracked)
    if (succeeded !== null) activities.push(...own)
    else if (own.length > 0)
      oddities.push({ kind: 'unknown-outcome', transactionHash: transaction.hash, logIndex: null })
    decodeLogs(block.number, transaction, receipt, chain, isTracked, activities, oddities)
  }
  return { activities, oddities }
}

function decodeLogs(
  blockNumber: number,
  transaction: Transaction,
  receipt: Receipt,
  chain: Chain,
  isTracked: (address: Address) => boolean,
  activities: Activity[],
  oddities: Oddity[],
): void {
  const count = (kind: string, log: Log) =>
    oddities.push({ kind, transactionHash: transaction.hash, logIndex: log.logIndex })
  for (const log of receipt.logs) {
    if (log.address === NATIVE_TRANSFER_LOGGER && log.topics[0] === TRANSFER) continue
    const standard = decodeStandard(log, transaction, chain, isTracked)
    if (standard === null) count(`shape:${log.topics[0] ?? ''}`, log)
    const rule = findRule(chain, log, blockNumber)
    const ruled = rule === undefined ? [] : decodeRule(rule, log, transaction, chain, isTracked)
    if (rule !== undefined && ruled === null) count(`rule:${rule.contractName}.${rule.abi.name}`, log)
    for (const activity of mergeRule(standard ?? [], ruled ?? [])) activities.push(activity)
  }
}

/**
 * A rule may give a token's own event another event type and keep the standard's type of activity. Then it is one thing that
 * happened, not two: the standard's activity stays and carries the rule's names.
 */
function mergeRule(standard: readonly Activity[], ruled: readonly Activity[]): readonly Activity[] {
  if (standard.length === 0 || ruled.length === 0) return [...standard, ...ruled]
  const named = standard.map(activity => {
    const own = ruled.find(other => isSame(activity, other))
    return own === undefined
      ? activity
      : { ...activity, metadata: { ...activity.metadata, ...own.metadata }, rule: own.rule }
  })
  return [...named, ...ruled.filter(activity => !standard.some(other => isSame(activity, other)))]
}

function decodeStandard(
  log: Log,
  transaction: Transaction,
  chain: Chain,
  isTracked: (address: Address) => boolean,
): Activity[] | null {
  switch (log.topics[0]) {
    case TRANSFER:
    case TRANSFER_SINGLE:
    case TRANSFER_BATCH:
      return decodeTransfer(log, transaction.hash, chain, isTracked)
    case APPROVAL:
    case APPROVAL_FOR_ALL:
      return decodeApproval(log, transaction.hash, chain, isTracked)
    default:
      return []
  }
}

function isSame(a: Activity, b: Activity): boolean {
  return a.wallet === b.wallet && a.type === b.type
}
