/**
 * The rows that a generated block must leave: written from the README's tables and the deeds, without a look at the indexer.
 *
 * Always holds: rows come in the order of what happened: the transaction itself, then its logs, who sends before who receives.
 */

import type { Address, Hash } from '../../../src/core/types.ts'
import type { Token } from './cast.ts'
import type { Deed, Move } from './deeds.ts'
import type { GeneratedChain } from './generated-chain.ts'

export type ExpectedActivity = {
  readonly wallet: Address
  readonly type: string
  readonly transactionHash: Hash
  readonly logIndex: number | null
  readonly amount: string | null
  readonly rawAmount: bigint | null
  readonly token: string | null
  readonly tokenAddress: Address | null
  readonly metadata: Readonly<Record<string, string>>
  readonly blockNumber: number
  readonly blockHash: Hash
  /** Unix seconds. */
  readonly timestamp: number
}

export type ExpectedTransaction = {
  readonly transactionHash: Hash
  /** Whose it is. */
  readonly wallet: Address
  readonly eventType: string
  readonly amount: string | null
  readonly token: string | null
  readonly blockNumber: number
  readonly succeeded: boolean
}

export type ExpectedRows = {
  readonly activities: readonly ExpectedActivity[]
  readonly transactions: readonly ExpectedTransaction[]
}

type Event = Omit<ExpectedActivity, 'transactionHash' | 'blockNumber' | 'blockHash' | 'timestamp'>

const DECIMALS = 18
const NATIVE_SYMBOL = 'ETH'
const SELECTOR_LENGTH = 10
/** Of a transaction, the first of these that it has says what it is; all others are below. */
const RANKS = ['TRANSACTION_REVERTED', 'TRANSFER_OUT', 'TRANSFER_IN', 'CONTRACT_INTERACTION']
const TRANSFER_RANK = RANKS.indexOf('TRANSFER_OUT')

/** The rows of the block at a height, if all tracked wallets are users'. */
export function expectedRows(chain: GeneratedChain, height: number): ExpectedRows {
  const { deeds } = chain.mouldAt(height)
  const tracked = new Set(chain.cast.tracked)
  const symbols = new Map(chain.cast.tokens.map(token => [token.address, token]))
  const place = {
    blockNumber: height,
    blockHash: chain.hashAt(height),
    timestamp: chain.timestampAt(height),
  }
  const activities: ExpectedActivity[] = []
  const transactions: ExpectedTransaction[] = []
  let logIndex = 0
  for (const [index, deed] of deeds.entries()) {
    const events = eventsOf(deed, logIndex, symbols).filter(({ wallet }) => tracked.has(wallet))
    logIndex += deed.moves.length + (deed.hasOwnLog ? 1 : 0)
    if (events.length === 0) continue
    const transactionHash = chain.transactionHash(height, index)
    activities.push(...events.map(event => ({ ...event, transactionHash, ...place })))
    transactions.push({
      transactionHash,
      blockNumber: height,
      succeeded: !deed.failed,
      ...summarize(deed, events),
    })
  }
  return { activities, transactions }
}

function eventsOf(deed: Deed, firstLogIndex: number, tokens: ReadonlyMap<Address, Token>): Event[] {
  const { from, to, value, input, failed, moves } = deed
  const plain = { logIndex: null, amount: null, rawAmount: null, token: null, tokenAddress: null }
  if (failed) return [{ ...plain, wallet: from, type: 'TRANSACTION_REVERTED', metadata: { to } }]
  const paid = { ...plain, amount: exact(value), rawAmount: value, token: NATIVE_SYMBOL }
  const own: Event[] =
    value > 0n
      ? [
          { ...paid, wallet: from, type: 'TRANSFER_OUT', metadata: { counterparty: to } },
          { ...paid, wallet: to, type: 'TRANSFER_IN', metadata: { counterparty: from } },
        ]
      : [
          {
            ...plain,
            wallet: from,
            type: 'CONTRACT_INTERACTION',
            metadata: { to, selector: input.slice(0, SELECTOR_LENGTH) },
          },
        ]
  return [...own, ...moves.flatMap((move, index) => eventsOfMove(move, firstLogIndex + index, tokens))]
}

function eventsOfMove({ token, from, to, rawAmount }: Move, logIndex: number, tokens: ReadonlyMap<Address, Token>) {
  const known = tokens.get(token)
  const moved = {
    logIndex,
    amount: exact(rawAmount),
    rawAmount,
    token: known?.listed ? known.symbol : token,
    tokenAddress: token,
  }
  return [
    { ...moved, wallet: from, type: 'TRANSFER_OUT', metadata: { counterparty: to } },
    { ...moved, wallet: to, type: 'TRANSFER_IN', metadata: { counterparty: from } },
  ]
}

/** It is the sender's if the sender is a user, else of the first whom it concerns; and what happened to that user says what it is. */
function summarize({ from }: Deed, events: readonly Event[]) {
  const wallet = events.some(event => event.wallet === from) ? from : (events[0]?.wallet ?? from)
  const rankOf = ({ type }: Event) => Math.min(RANKS.indexOf(type), type === 'TRANSFER_IN' ? TRANSFER_RANK : Infinity)
  const [best] = events.filter(event => event.wallet === wallet).toSorted((a, b) => rankOf(a) - rankOf(b))
  const isTransfer = best?.type === 'TRANSFER_OUT' || best?.type === 'TRANSFER_IN'
  return {
    wallet,
    eventType: isTransfer ? 'TRANSFER' : (best?.type ?? ''),
    amount: best?.amount ?? null,
    token: best?.token ?? null,
  }
}

/** Eighteen decimals as decimal text, without needless zeros. All amounts here fit. */
function exact(rawAmount: bigint): string {
  const digits = rawAmount.toString().padStart(DECIMALS + 1, '0')
  const fraction = digits.slice(-DECIMALS).replace(/0+$/, '')
  const whole = digits.slice(0, -DECIMALS)
  return fraction === '' ? whole : `${whole}.${fraction}`
}
