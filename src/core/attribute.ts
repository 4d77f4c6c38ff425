/**
 * Activities × owners × token decimals → rows.
 */

import { exactAmount } from './amount.ts'
import type { Chain } from './chain.ts'
import { type OwnerOf, summarizeUsers } from './classify.ts'
import { transactionOutcome } from './decode/outcome.ts'
import { requiredConfirmations } from './tier.ts'
import type {
  Activity,
  ActivityRow,
  Address,
  Asset,
  Block,
  Hash,
  Inclusion,
  Transaction,
  TransactionFacts,
} from './types.ts'

/** Decimals of an unlisted ERC-20 token; null where it does not say. */
export type DecimalsOf = (token: Address) => number | null

/** The ERC-20 tokens whose decimals must be asked for before rows can be made. */
export function unlistedTokens(activities: readonly Activity[], chain: Chain): Address[] {
  const tokens = activities.flatMap(({ asset }) =>
    asset?.kind === 'erc20' && !chain.tokens.has(asset.address) ? [asset.address] : [],
  )
  return [...new Set(tokens)]
}

/** Rows of `wallet_activity` for the activities of one block. */
export function activityRows(
  block: Block,
  activities: readonly Activity[],
  chain: Chain,
  ownerOf: OwnerOf,
  decimalsOf: DecimalsOf,
): ActivityRow[] {
  return activities.map(activity => {
    const { symbol, address, decimals } = describeAsset(activity.asset, chain, decimalsOf)
    const { rawAmount, metadata } = activity
    return {
      idName: activityIdName(chain.id, block.hash, activity),
      walletAddress: activity.wallet,
      userId: ownerOf(activity.wallet),
      activityType: activity.type,
      transactionHash: activity.transactionHash,
      amount: rawAmount === null || metadata['unlimited'] === true ? null : exactAmount(rawAmount, decimals),
      rawAmount,
      token: symbol,
      tokenAddress: address,
      chainId: chain.id,
      metadata,
      blockNumber: block.number,
      blockHash: block.hash,
      logIndex: activity.logIndex,
      timestamp: block.timestamp,
    }
  })
}

/**
 * What is known of each transaction of a block that concerns a tracked wallet.
 *
 * @param sought hashes that the application asked about: their inclusion is told even if no tracked wallet takes part
 */
export function transactionFacts(
  block: Block,
  rows: readonly ActivityRow[],
  chain: Chain,
  ownerOf: OwnerOf,
  isSought: (hash: Hash) => boolean,
): TransactionFacts[] {
  const byHash = Map.groupBy(rows, row => row.transactionHash)
  const facts: TransactionFacts[] = []
  for (const [place, transaction] of block.transactions.entries()) {
    const own = byHash.get(transaction.hash)
    // Also where only watched wallets take part: one of them may be a user's tomorrow.
    if (own === undefined && !isSought(transaction.hash)) continue
    const summaries = summarizeUsers(own ?? [], transaction.from, chain, ownerOf)
    facts.push({ inclusion: inclusionOf(block, place, transaction, chain, own ?? []), summaries })
  }
  return facts
}

/** @param place of the transaction in what there is of the block, which may be less than its index */
function inclusionOf(
  block: Block,
  place: number,
  transaction: Transaction,
  chain: Chain,
  rows: readonly ActivityRow[],
): Inclusion {
  const receipt = block.receipts[place]
  return {
    transactionHash: transaction.hash,
    chainId: chain.id,
    blockNumber: block.number,
    blockHash: block.hash,
    transactionIndex: transaction.index,
    timestamp: block.timestamp,
    sender: transaction.from,
    nonce: transaction.nonce,
    succeeded: receipt === undefined ? null : transactionOutcome(transaction, receipt),
    needs: requiredConfirmations(rows, chain),
  }
}

function describeAsset(asset: Asset | null, chain: Chain, decimalsOf: DecimalsOf) {
  if (asset === null) return { symbol: null, address: null, decimals: null }
  if (asset.kind === 'native')
    return { symbol: chain.nativeToken.symbol, address: null, decimals: chain.nativeToken.decimals }
  const { address } = asset
  const listed = chain.tokens.get(address)
  const decimals = asset.kind === 'pieces' ? 0 : listed === undefined ? decimalsOf(address) : listed.decimals
  return { symbol: listed?.symbol ?? address, address, decimals }
}

/**
 * The words whose UUIDv5 is the id of a row: the same fact has the same id whoever indexes it, in whatever order, and another block
 * gives another id.
 */
export function activityIdName(chainId: number, blockHash: Hash, activity: Activity): string {
  const { transactionHash, logIndex, item, wallet, type } = activity
  return [chainId, blockHash, transactionHash, logIndex ?? 'tx', item, wallet, type].join(':')
}
