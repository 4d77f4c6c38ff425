/**
 * What the core must know of a chain: its tokens and the compiled event rules of its file.
 *
 * Always holds: built by `config/`, which has refused everything that does not fit; immutable; addresses are lower case.
 */

import type { AbiEvent } from 'viem'
import type { Address, Hash } from './types.ts'

export type TokenKind = 'erc20' | 'erc721' | 'erc1155'

/** A token that the chain file lists: the only tokens whose symbol is believed. */
export type ListedToken = {
  readonly address: Address
  readonly symbol: string
  readonly decimals: number
  readonly kind: TokenKind
}

/** Where the token of a rule's amount comes from. */
export type RuleToken =
  | { readonly kind: 'native' }
  | { readonly kind: 'address'; readonly address: Address }
  /** An address parameter of the event; the zero address means the native token. */
  | { readonly kind: 'parameter'; readonly name: string }
  /** An integer parameter (an enum of the contract) and the token that each of its values means. */
  | {
      readonly kind: 'choice'
      readonly parameter: string
      readonly tokens: readonly Exclude<RuleToken, { kind: 'parameter' | 'choice' }>[]
    }

/** One event of one contract, and the activities it means for the wallets in it. */
export type EventRule = {
  /** Place in the chain file: earlier rules win when one transaction's type is chosen. */
  readonly order: number
  readonly contractName: string
  readonly address: Address
  readonly startBlock: number
  readonly topic0: Hash
  readonly abi: AbiEvent
  readonly activities: readonly {
    readonly wallet: 'tx.from' | { readonly parameter: string }
    readonly type: string
    readonly eventType: string
  }[]
  /** Name of an integer parameter, or null. */
  readonly amount: string | null
  readonly token: RuleToken | null
  /** Parameters that are kept in the row's metadata under their own names. */
  readonly ids: readonly string[]
}

export type Confirmations = number | 'safe' | 'finalized'
export type TierConfirmations = number | 'finalized'

/** Above an amount of a token, more confirmations. */
export type Tier = {
  readonly asset: 'native' | Address
  /** In the smallest unit; the amount has to be greater. */
  readonly above: bigint
  readonly confirmations: TierConfirmations
}

/** How pending transactions are learnt of: over a websocket if there is one, by polling HTTP too, or not at all. */
export type MempoolMode = 'auto' | 'poll' | 'off'

/** What is believed of a block: that it fits together, or only what its hash commits to. */
export type Verification = 'basic' | 'full'

export type Chain = {
  readonly id: number
  readonly name: string
  /** What stands in `user_transactions.chain`. */
  readonly label: string
  readonly confirmations: Confirmations
  readonly tiers: readonly Tier[]
  readonly startBlock: number | 'latest'
  readonly blockTimeSeconds: number
  /** How long a transaction has to be unknown to every endpoint before it may count as dropped. */
  readonly droppedAfterSeconds: number
  readonly mempool: MempoolMode
  readonly verification: Verification
  readonly nativeToken: { readonly symbol: string; readonly decimals: number }
  readonly tokens: ReadonlyMap<Address, ListedToken>
  /** By contract address, then topic0. */
  readonly rules: ReadonlyMap<Address, ReadonlyMap<Hash, EventRule>>
}
