/**
 * The oracle: what the database must hold for a range of blocks, derived from the chain a second time, by other means.
 *
 * Always holds: nothing of `src/` but its types is used. It is written from the specification in its plainest form, one request
 * after the other, with viem's own decoding: what it lacks in speed it has in being easy to believe. Where it and the indexer
 * differ, one of them is wrong.
 */
import type { Chain, Confirmations } from '../../src/core/chain.ts'
import type { Address } from '../../src/core/types.ts'
import {
  connectNode,
  type FullBlock,
  type FullTransaction,
  type Node,
  type TransactionReceipt,
} from './oracle/chain.ts'
import { type Delegation, deriveDelegations } from './oracle/delegations.ts'
import { type Effect, readTokenLog } from './oracle/logs.ts'
import { type ExpectedActivity, type ExpectedTransaction, exactAmount, type Rows, sortRows } from './oracle/rows.ts'
import { readRuleLog } from './oracle/rules.ts'
import { type Placed, summarise } from './oracle/summary.ts'

export { diffRows, type Rows, readRows } from './oracle/rows.ts'

export type OracleOptions = {
  readonly url: string
  readonly chain: Chain
  readonly fromBlock: number
  readonly toBlock: number
  /** Every tracked wallet, in lower case: its user, or null for one of the watch-list. */
  readonly owners: ReadonlyMap<string, string | null>
  /** The head that depth is counted from. */
  readonly headNumber: number
}

export async function deriveRows(options: OracleOptions): Promise<Rows> {
  const node = connectNode(options.url)
  const { confirmations } = options.chain
  const deepest = typeof confirmations === 'number' ? null : await node.tag(confirmations)
  const activities: ExpectedActivity[] = []
  const transactions: ExpectedTransaction[] = []
  for (let number = options.fromBlock; number <= options.toBlock; number += 1) {
    const block = await node.block(number)
    const isDeep = isDeepEnough(number, options.headNumber, confirmations, deepest)
    const delegations = await deriveDelegations(node, block, options.chain.id)
    for (const transaction of block.transactions) {
      const receipt = await node.receipt(transaction)
      const own = delegations.filter(({ transactionHash }) => transactionHash === transaction.hash)
      const placed = readTransaction(transaction, receipt, own, options)
      for (const one of placed) activities.push(await toActivityRow(node, one, transaction, block, options.chain))
      const row = await toTransactionRow(node, placed, transaction, receipt, block, isDeep, options)
      if (row !== null) transactions.push(row)
    }
  }
  return sortRows({ activities, transactions })
}

function isDeepEnough(block: number, head: number, confirmations: Confirmations, deepest: number | null): boolean {
  return typeof confirmations === 'number' ? head - block + 1 >= confirmations : block <= (deepest ?? -1)
}

/** Everything that a transaction did to tracked wallets, in the order of the chain. */
function readTransaction(
  transaction: FullTransaction,
  receipt: TransactionReceipt,
  delegations: readonly Delegation[],
  { chain, owners }: OracleOptions,
): Placed[] {
  const sender = lowerCase(transaction.from)
  const all: { readonly effect: Effect; readonly logIndex: number | null }[] = []
  for (const effect of readOwnEffects(transaction, receipt)) all.push({ effect, logIndex: null })
  for (const { authority, delegate, index } of delegations) {
    const revoked = /^0x0{40}$/.test(delegate) ? { revoked: true } : {}
    const metadata = { delegate, authorization_index: index, ...revoked }
    const effect = { ...NOTHING, wallet: authority, type: 'DELEGATION', item: index, metadata }
    all.push({ effect, logIndex: null })
  }
  for (const log of receipt.logs) {
    for (const effect of [...readTokenLog(log, chain), ...readRuleLog(log, chain, sender)]) {
      all.push({ effect, logIndex: log.logIndex })
    }
  }
  return all
    .filter(({ effect }) => owners.has(effect.wallet))
    .map(({ effect, logIndex }) => ({ effect, logIndex, userId: owners.get(effect.wallet) ?? null }))
}

const NOTHING = { token: null, unit: null, raw: null, item: 0 } as const

function readOwnEffects(transaction: FullTransaction, receipt: TransactionReceipt): Effect[] {
  const from = lowerCase(transaction.from)
  const to = transaction.to === null ? null : lowerCase(transaction.to)
  if (receipt.status === 'reverted') {
    return [{ ...NOTHING, wallet: from, type: 'TRANSACTION_REVERTED', metadata: { to } }]
  }
  const effects: Effect[] = []
  const created = lowerCase(receipt.contractAddress ?? '0x')
  const recipient = to ?? created
  if (transaction.value > 0n) {
    const native = { token: null, unit: 'native', raw: transaction.value, item: 0 } as const
    effects.push({ ...native, wallet: from, type: 'TRANSFER_OUT', metadata: { counterparty: recipient } })
    effects.push({ ...native, wallet: recipient, type: 'TRANSFER_IN', metadata: { counterparty: from } })
  }
  if (to === null) {
    effects.push({ ...NOTHING, wallet: from, type: 'CONTRACT_DEPLOYMENT', metadata: { contract: created } })
  } else if (transaction.input !== '0x' || transaction.value === 0n) {
    const selector = transaction.input.length >= 10 ? transaction.input.slice(0, 10).toLowerCase() : null
    effects.push({ ...NOTHING, wallet: from, type: 'CONTRACT_INTERACTION', metadata: { to, selector } })
  }
  return effects
}

// ── Rows ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────

type Money = Pick<ExpectedActivity, 'amount' | 'raw_amount' | 'token' | 'token_address'>

async function toMoney(node: Node, effect: Effect, chain: Chain): Promise<Money> {
  const { unit, raw } = effect
  const token = unit === 'native' ? chain.nativeToken.symbol : nameOf(effect.token, chain)
  const common = { raw_amount: raw?.toString() ?? null, token, token_address: effect.token }
  if (raw === null || effect.isHidden === true) return { ...common, amount: null }
  return { ...common, amount: exactAmount(raw, await decimalsOf(node, effect, chain)) }
}

function nameOf(token: Address | null, chain: Chain): string | null {
  return token === null ? null : (chain.tokens.get(token)?.symbol ?? token)
}

async function decimalsOf(node: Node, effect: Effect, chain: Chain): Promise<number | null> {
  const { unit, token } = effect
  if (unit === 'native') return chain.nativeToken.decimals
  if (unit === 'pieces') return 0
  if (token === null) return null
  const listed = chain.tokens.get(token)
  return listed?.decimals ?? node.decimals(token)
}

async function toActivityRow(
  node: Node,
  { effect, logIndex, userId }: Placed,
  transaction: FullTransaction,
  block: FullBlock,
  chain: Chain,
): Promise<ExpectedActivity> {
  return {
    wallet_address: effect.wallet,
    user_id: userId,
    activity_type: effect.type,
    tx_hash: transaction.hash.toLowerCase(),
    ...(await toMoney(node, effect, chain)),
    chain_id: chain.id,
    block_number: Number(block.number),
    block_hash: block.hash.toLowerCase(),
    log_index: logIndex,
    timestamp: Number(block.timestamp),
    metadata: effect.metadata,
  }
}

async function toTransactionRow(
  node: Node,
  placed: readonly Placed[],
  transaction: FullTransaction,
  receipt: TransactionReceipt,
  block: FullBlock,
  isDeep: boolean,
  { chain, owners }: OracleOptions,
): Promise<ExpectedTransaction | null> {
  const summary = summarise(placed, lowerCase(transaction.from), owners)
  if (summary === null) return null
  const outcome = receipt.status === 'reverted' ? 'failed' : 'confirmed'
  return {
    tx_hash: transaction.hash.toLowerCase(),
    user_id: summary.userId,
    chain: chain.label,
    event_type: summary.eventType,
    ...(await toMoney(node, summary.placed.effect, chain)),
    status: isDeep ? outcome : 'pending',
    block_number: Number(block.number),
    timestamp: Number(block.timestamp),
  }
}

function lowerCase(address: string): Address {
  return address.toLowerCase() as Address
}
