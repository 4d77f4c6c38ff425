/**
 * The port to a chain: what the daemon asks of nodes, and what it may rely on.
 *
 * Every method takes an AbortSignal and ends within its bounds. They throw AppError: `RPC_UNAVAILABLE` when no endpoint answers,
 * `RPC_INCONSISTENT` when what was answered does not fit together, however often it was asked, `ABORTED` after the signal.
 */

import type { Interest } from '../core/interest.ts'
import type { Witness } from '../core/lineage.ts'
import type { AccountState, Dues } from '../core/native-history-explain.ts'
import type { PendingTransaction } from '../core/pending.ts'
import type { Range } from '../core/range.ts'
import type { Address, Block, Hash, Header, Hex } from '../core/types.ts'
import type { WantedLogs } from '../core/wanted-logs.ts'
import type { NamedBlocks } from './filtered-logs.ts'

export type Tag = 'safe' | 'finalized'

export type TagAnswer = {
  readonly header: Header
  /** The header at the height that was asked for besides; null if the tag is not above it. */
  readonly below: Header | null
}

export type Source = {
  readonly chainId: number

  /** The newest block that is known (`eth_getBlockByNumber latest`). */
  head(signal: AbortSignal): Promise<Header>

  /**
   * The block at a height that may not be there yet: null if it is not, at the price of one request. Does not wait.
   *
   * @param turn 0 asks the best endpoint; each further number another one, to see whether the best one stands still
   * @param interest as for `block`
   */
  next(number: number, turn: number, signal: AbortSignal, interest?: Interest): Promise<Block | null>

  /** The newest block: whole, if it is the one at this height, and else its header. At the price of one request, as `next`. */
  newest(
    next: number,
    signal: AbortSignal,
    interest?: Interest,
  ): Promise<{ readonly head: Header; readonly next: Block | null }>

  /** The header at a height of what the node holds for the canonical chain; null if there is none. */
  header(number: number, signal: AbortSignal): Promise<Header | null>

  /**
   * The block of a tag; null where the node does not know such tags, or nothing is final yet.
   *
   * @param below a height: if the tag is above it, the same endpoint's header there comes along, by which one can tell its branch
   */
  tag(tag: Tag, below: number | null, signal: AbortSignal): Promise<TagAnswer | null>

  /**
   * The block at a height with its transactions and receipts, checked to belong together. Waits for nodes that lag behind.
   *
   * @param interest whose receipts have to be known: where a node gives no receipts by block, those of others are left out
   *   (`core/interest.ts`). Absent: everybody's.
   */
  block(number: number, signal: AbortSignal, interest?: Interest): Promise<Block>

  /**
   * The blocks of a range, in order, each checked as in `block`, and then without the transactions that concern nobody
   * (`core/sieve.ts`). Of those that do, the outcome is known where it matters (`core/interest.ts`). For blocks that are final: the
   * parts are asked one after the other.
   *
   * @param way what costs less, where an endpoint offers both
   */
  history(range: Range, interest: Interest, way: HistoryWay, signal: AbortSignal): Promise<Block[]>

  /**
   * The blocks of a range in which a log names some wallets, ascending: found by filtered questions, so they may be too many or, where
   * one endpoint alone answers, too few; to be read whole. null: no endpoint answers such questions.
   */
  blocksNaming(range: Range, wanted: WantedLogs, signal: AbortSignal): Promise<NamedBlocks | null>

  /** Where one node has a transaction: in a block, in its mempool, or (null) nowhere that it knows of. */
  locate(hash: Hash, signal: AbortSignal): Promise<Location | null>

  /**
   * What every endpoint says of a transaction. `none` counts as an answer only from one that does return `control`, a transaction
   * that is at least as old: nodes forget old hashes. Never throws for an endpoint that fails: it is `silent`.
   */
  survey(hash: Hash, control: Hash | null, signal: AbortSignal): Promise<readonly Testimony[]>

  /** Which block each endpoint has at the height of one of ours. Never throws for an endpoint that fails. */
  witnesses(block: { readonly number: number; readonly hash: Hash }, signal: AbortSignal): Promise<readonly Witness[]>

  /** Leaves endpoints alone for a while, as witnesses named them. @param reason for `status` */
  distrust(endpoints: readonly number[], reason: string): void

  /**
   * Tells of new heads as websockets announce them, as hints to look: late, twice, or of another branch. Goes on until the signal; ends
   * before it only where no endpoint is a websocket. Never throws.
   */
  watchHeads(watcher: HeadWatcher, signal: AbortSignal): Promise<void>

  /**
   * Tells of transactions that wait in a mempool, in the best way that an endpoint offers: a websocket that tells bodies; if HTTP may
   * be polled, also filters and `txpool_content`. Each is told late, twice, or not at all. Goes on until the signal, and ends before
   * it only where there is nothing to ask. Never throws.
   */
  watchPending(watcher: PendingWatcher, signal: AbortSignal): Promise<void>

  /** The number of transactions that an account had sent at the end of a block; null where that state is gone. */
  nonceAt(address: Address, blockNumber: number, signal: AbortSignal): Promise<number | null>

  /** The balance of an account at the end of a block; null where that state is gone. */
  balanceAt(address: Address, blockNumber: number, signal: AbortSignal): Promise<bigint | null>

  /**
   * Nonce and balance of an account at the end of a block; null where that state is gone.
   *
   * @param witnesses how many endpoints are asked, where so many can be: RPC_INCONSISTENT where they differ. One, if absent
   */
  accountAt(
    address: Address,
    blockNumber: number,
    signal: AbortSignal,
    witnesses?: number,
  ): Promise<AccountState | null>

  /** What the protocol took from an account in a block, and gave it: fees, withdrawals, rewards. */
  dues(address: Address, block: { readonly number: number; readonly hash: Hash }, signal: AbortSignal): Promise<Dues>

  /** The code of an account at the end of a block (`eth_getCode`); null where that state is gone. */
  codeAt(address: Address, blockNumber: number, signal: AbortSignal): Promise<Hex | null>

  /**
   * What a contract returns (`eth_call`) with the state at the end of a block, or at the head where that state is gone.
   * null: the call reverts.
   */
  call(to: Address, data: Hex, blockNumber: number, signal: AbortSignal): Promise<Hex | null>

  /**
   * Asks each endpoint once what it is and what it can do, and again when it contradicts itself. Until the signal; never throws.
   *
   * @param onKnown what was found out
   */
  watchAbilities(onKnown: (endpoint: EndpointHealth) => void, signal: AbortSignal): Promise<void>

  /** The same source for work that can wait: it yields to what is asked here, and leaves it its part of a daily budget. */
  inBackground(): Source

  /** The state of each endpoint, for `status`. Names without path, query and credentials. */
  health(): readonly EndpointHealth[]

  close(): Promise<void>
}

/**
 * `logs`: a block, its part of a question for the logs of many, and a receipt where no log tells an outcome that matters. `receipts`: a
 * block and all its receipts.
 */
export type HistoryWay = 'logs' | 'receipts'

export type HeadWatcher = {
  /** A websocket that tells nothing for so long is taken for deaf and opened anew. */
  readonly silenceMs: number
  onHead(header: Header, endpoint: string): void
  onTrouble(facts: object, message: string): void
}

export type PendingWatcher = {
  /** Whether requests may be spent on it, over and over. */
  readonly polls: boolean
  /** Between two polls, at least. */
  readonly pollMs: number
  onTransaction(transaction: PendingTransaction): void
  /** How it is done from now on, and where. */
  onWay(facts: { readonly way: string; readonly endpoint: string }): void
  /** What does not work or was left out, for whoever looks for the reason. */
  onTrouble(facts: object, message: string): void
}

export type Location =
  | { readonly kind: 'mined'; readonly blockNumber: number; readonly blockHash: Hash }
  | { readonly kind: 'pending'; readonly sender: Address; readonly nonce: number }

export type Testimony = {
  readonly endpoint: string
  readonly says: 'found' | 'none' | 'forgetful' | 'silent'
}

export type EndpointHealth = {
  readonly name: string
  /** What it calls itself (`web3_clientVersion`); null: not known. */
  readonly client: string | null
  readonly requests: number
  readonly errors: number
  /** Answers that did not fit together, or contradicted what is proved. */
  readonly lies: number
  readonly lastError: string | null
  readonly state: 'ok' | 'lagging' | 'failing' | 'throttled' | 'exhausted' | 'budget'
  readonly healthy: boolean
  readonly latencyMs: number | null
  /** The newest block that it showed. */
  readonly head: number | null
  readonly underWay: number
  /** Questions that wait for their turn. */
  readonly waiting: number
  /** The pace that it lets itself be asked at; null: it never refused, and no limit is set. */
  readonly perSecond: number | null
  /** Requests of this day (UTC), and how many there may be. */
  readonly today: number
  readonly perDay: number | null
  /** What it can do: null where it is not known. */
  readonly abilities: Readonly<Record<string, boolean | null>>
}
