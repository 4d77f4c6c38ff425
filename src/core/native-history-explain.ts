/**
 * What a block did to a wallet's balance, and what of it nothing explains: value that moved inside calls, seen without traces.
 *
 * Always holds: what is called internal is the net of a block. A wallet that gets and pays the same sum inside calls of one block has
 * none. Where something that belongs in the sum is not known, nothing is said.
 */

import { transactionOutcome } from './decode/outcome.ts'
import { createdContract } from './interest.ts'
import type { Address, Block } from './types.ts'

/** What the protocol took from a wallet in a block, and gave it. */
export type Dues = {
  /** Fees of its own transactions, for blobs too. */
  readonly feesPaid: bigint
  readonly withdrawals: bigint
  /** What it earned by the block itself, as its fee recipient; null where that can't be told. */
  readonly reward: bigint | null
}

/** An account at the end of a block. */
export type AccountState = { readonly nonce: number; readonly balance: bigint }

export type Explanation = {
  /** The part of the change that neither transactions nor the protocol explain, with its sign; null where it can't be told. */
  readonly internal: bigint | null
  /** False: the block and the states around it can't all be true. */
  readonly fits: boolean
}

/**
 * @param block with the receipts of the wallet's transactions
 * @param isDelegated whether its account had delegated code before or after: then what that created raised the nonce too
 */
export function explainBlock(
  block: Block,
  wallet: Address,
  { before, after }: { readonly before: AccountState; readonly after: AccountState },
  { feesPaid, withdrawals, reward }: Dues,
  isDelegated: boolean,
): Explanation {
  const own = block.transactions.filter(({ from }) => from === wallet)
  const signed = block.transactions.flatMap(({ authorizations }) =>
    authorizations.filter(by => by.authority === wallet),
  )
  const rise = after.nonce - before.nonce
  const fits =
    rise >= own.length &&
    own.every(({ nonce }) => nonce >= before.nonce && nonce < after.nonce) &&
    (isDelegated || rise <= own.length + signed.length)
  const direct = directValue(block, wallet)
  if (direct === null || reward === null) return { internal: null, fits }
  return { internal: after.balance - before.balance - direct + feesPaid - withdrawals - reward, fits }
}

/** What transactions themselves moved; null where one with value has an unknown outcome. */
function directValue(block: Block, wallet: Address): bigint | null {
  let sum = 0n
  for (const [index, transaction] of block.transactions.entries()) {
    const { from, to, value } = transaction
    if (value === 0n) continue
    const isRecipient = (to ?? createdContract(transaction)) === wallet
    // What a wallet sends to itself stays where it is.
    if (isRecipient === (from === wallet)) continue
    const receipt = block.receipts[index]
    const succeeded = receipt === undefined ? null : transactionOutcome(transaction, receipt)
    if (succeeded === null) return null
    if (succeeded) sum += isRecipient ? value : -value
  }
  return sum
}
