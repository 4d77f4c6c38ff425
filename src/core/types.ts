/**
 * The words of this project. Everything that crosses from one room to another is one of these shapes.
 *
 * Always holds: hashes and addresses are lower case; block numbers, indexes and timestamps are safe integers (`number`);
 * amounts of money are `bigint` in the smallest unit; times are Unix seconds.
 */

import type { TierConfirmations } from './chain.ts'

export type Hex = `0x${string}`
/** 20 bytes, lower case. */
export type Address = Hex
/** 32 bytes, lower case. */
export type Hash = Hex

export const ZERO_ADDRESS: Address = '0x0000000000000000000000000000000000000000'

/** Json without undefined: what may stand in a `metadata` column. */
export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json }
export type Metadata = { readonly [key: string]: Json }

// ── The chain ────────────────────────────────────────────────────────────────────────────────────────────────────────────

export type Header = {
  readonly number: number
  readonly hash: Hash
  readonly parentHash: Hash
  /** Unix seconds. */
  readonly timestamp: number
}

/** One entry of an EIP-7702 authorization list, its signer already recovered (null: the signature is invalid). */
export type Authorization = {
  readonly chainId: bigint
  readonly delegate: Address
  readonly nonce: bigint
  readonly authority: Address | null
}

export type Transaction = {
  readonly hash: Hash
  readonly index: number
  readonly from: Address
  /** null: the transaction creates a contract. */
  readonly to: Address | null
  readonly value: bigint
  readonly input: Hex
  readonly nonce: number
  readonly gas: bigint
  /** Empty but for transactions of type 4 (EIP-7702). */
  readonly authorizations: readonly Authorization[]
}

export type Log = {
  readonly address: Address
  readonly topics: readonly Hash[]
  readonly data: Hex
  /** Index within the block, not within the transaction. */
  readonly logIndex: number
}

export type Receipt = {
  readonly transactionHash: Hash
  readonly transactionIndex: number
  /** null: a receipt of before block 4,370,000 of Mainnet (EIP-658), which has a state root instead; or it was not asked for. */
  readonly succeeded: boolean | null
  /** null: this is no receipt but what the block's logs tell of one (`interest.ts`). */
  readonly gasUsed: bigint | null
  /** The contract that a creation made, else null. */
  readonly contractAddress: Address | null
  readonly logs: readonly Log[]
}

/**
 * A block whose parts were checked to belong together (`validate.ts`); receipts[i] is that of transactions[i], or holds at least its
 * logs. Of history it may hold only the transactions that concern somebody (`sieve.ts`): then an index is more than a place.
 */
export type Block = Header & {
  readonly transactions: readonly Transaction[]
  readonly receipts: readonly Receipt[]
}

// ── What happened ────────────────────────────────────────────────────────────────────────────────────────────────────────

/** What an amount counts. `unknown` tokens are those whose standard or decimals the log alone does not tell. */
export type Asset =
  | { readonly kind: 'native' }
  | { readonly kind: 'erc20'; readonly address: Address }
  /** Counted in whole pieces: ERC-721 tokens, ERC-1155 quantities. */
  | { readonly kind: 'pieces'; readonly address: Address }

/** One thing that happened to one tracked wallet: one row of `wallet_activity`, before names and decimals are known. */
export type Activity = {
  readonly wallet: Address
  /** One of those that `decode/` knows (`TRANSFER_OUT`, `APPROVAL`, …), or what a chain-file rule calls it. */
  readonly type: string
  readonly transactionHash: Hash
  /** null: it happened by the transaction itself (position `tx`); else the block-wide index of the log. */
  readonly logIndex: number | null
  /** Index within a batch, or of the activity within its rule; 0 otherwise. */
  readonly item: number
  readonly asset: Asset | null
  readonly rawAmount: bigint | null
  readonly metadata: Metadata
  /** Set for activities of a chain-file rule. */
  readonly rule: { readonly order: number; readonly eventType: string } | null
}

/** A log or authorization that could not be understood. Counted, logged once per kind, and passed. */
export type Oddity = {
  readonly kind: string
  readonly transactionHash: Hash
  readonly logIndex: number | null
}

// ── Rows ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────

export type TransactionStatus = 'pending' | 'confirmed' | 'failed'

/** A row of `wallet_activity` that this daemon owns. */
export type ActivityRow = {
  /** The words whose UUIDv5 is the row's id: see `activityIdName`. */
  readonly idName: string
  readonly walletAddress: Address
  readonly userId: string | null
  readonly activityType: string
  readonly transactionHash: Hash
  /** Decimal text that fits `numeric(30,18)` exactly, or null. */
  readonly amount: string | null
  readonly rawAmount: bigint | null
  /** A listed symbol, a contract address, or null. */
  readonly token: string | null
  readonly tokenAddress: Address | null
  readonly chainId: number
  readonly metadata: Metadata
  readonly blockNumber: number
  readonly blockHash: Hash
  readonly logIndex: number | null
  /** Unix seconds of the block. */
  readonly timestamp: number
}

/** That a transaction stands in a block of a chain: what its status is decided by. */
export type Inclusion = {
  readonly transactionHash: Hash
  readonly chainId: number
  readonly blockNumber: number
  readonly blockHash: Hash
  readonly transactionIndex: number
  readonly timestamp: number
  readonly sender: Address
  readonly nonce: number
  /** null: it can't be known (receipts without a status). */
  readonly succeeded: boolean | null
  /** More depth than the chain's confirmations, because of an amount that it moves; null: none. */
  readonly needs: TierConfirmations | null
}

/** What happened to one user in a transaction: what a row of `user_transactions` says, if it is that user's. */
export type UserSummary = {
  readonly userId: string
  readonly eventType: string
  readonly amount: string | null
  readonly rawAmount: bigint | null
  readonly token: string | null
  readonly tokenAddress: Address | null
}

/** All that is known of a transaction in a block: the summaries begin with the user whose transaction it is. */
export type TransactionFacts = {
  readonly inclusion: Inclusion
  /** Empty: no user takes part; only a row that the application inserted is brought up to date. */
  readonly summaries: readonly UserSummary[]
}
