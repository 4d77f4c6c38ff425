/**
 * What the database must hold for a range of blocks, derived from the chain a second time, by other means.
 *
 * Always holds: nothing of the indexing path is used but the shapes of `core/`. It is written from the rules in their plainest form,
 * with viem's own client and decoding: what it lacks in speed it has in being easy to believe. Where it and the indexer differ, one
 * of them is wrong.
 */
import { v5 as uuidv5 } from 'uuid'
import type { Chain, Confirmations } from '../core/chain.ts'
import type { Address } from '../core/types.ts'
import { type Delegation, deriveDelegations } from './delegations.ts'
import { type Effect, readTokenLog } from './logs.ts'
import {
  connectNode,
  type FullBlock,
  type FullTransaction,
  type Log,
  type Node,
  type TransactionReceipt,
} from './node.ts'
import { type ExpectedActivity, type ExpectedTransaction, exactAmount, type Rows, sortRows } from './rows.ts'
import { readRuleLog } from './rules.ts'
import { type Placed, summarise } from './summary.ts'

export type DeriveOptions = {
  readonly urls: readonly string[]
  readonly chain: Chain
  readonly fromBlock: number
  readonly toBlock: number
  /** Every tracked wallet, in lower case: its user, or null for one of the watch-list. */
  readonly owners: ReadonlyMap<string, string | null>
  /** The head that depth is counted from. */
  readonly headNumber: number
  /** What is final, for tiers that ask for it. Default: nothing. */
  readonly finalizedNumber?: number
}

/** The namespace of the ids; the same as in `store/activities.ts`, and as fixed. */
const NAMESPACE = '6f0d3f4e-2c52-5b7e-9a63-1d0c8f1e7b25'

/** @throws errors of viem, whose messages may hold URLs: the caller wraps them */
export async function deriveRows(options: DeriveOptions): Promise<Rows> {
  const node = connectNode(options.urls)
  const { confirmations } = options.chain
  const deepest = typeof confirmations === 'number' ? null : await node.tag(confirmations)
  const activities: ExpectedActivity[] = []
  const transactions: ExpectedTransaction[] = []
  for (let number = options.fromBlock; number <= options.toBlock; number += 1) {
    const block = await node.block(number)
    const isDeep = isDeepEnough(number, options.headNumber, confirmations, deepest)
    const reaches = (needs: number | 'finalized') =>
      needs === 'finalized' ? number <= (options.finalizedNumber ?? -1) : options.headNumber - number + 1 >= needs
    for (const seen of await readBlock(node, block, options)) {
      for (const placed of seen.placed)
        activities.push(await toActivityRow(node, placed, seen.transaction, block, options.chain))
      const isReached = isDeep && tiersOf(seen, options.chain).every(reaches)
      const row = await toTransactionRow(node, seen, block, isReached, options)
      if (row !== null) transactions.push(row)
    }
  }
  return sortRows({ activities, transactions })
}

function isDeepEnough(block: number, head: number, confirmations: Confirmations, deepest: number | null): boolean {
  return typeof confirmations === 'number' ? head - block + 1 >= confirmations : block <= (deepest ?? -1)
}

/** The depths that the chain file asks for because of amounts in a transaction. */
function tiersOf({ placed }: Seen, chain: Chain): (number | 'finalized')[] {
  return chain.tiers
    .filter(({ asset, above }) =>
      placed.some(
        ({ effect }) =>
          effect.type !== 'APPROVAL' &&
          effect.raw !== null &&
          effect.raw > above &&
          (asset === 'native' ? effect.unit === 'native' : effect.token === asset),
      ),
    )
    .map(({ confirmations }) => confirmations)
}

/** A transaction in which tracked wallets take part. */
type Seen = {
  readonly transaction: FullTransaction
  /** null: it can't be known. */
  readonly succeeded: boolean | null
  readonly placed: readonly Placed[]
}

async function readBlock(node: Node, block: FullBlock, { chain, owners }: DeriveOptions): Promise<Seen[]> {
  const delegations = await deriveDelegations(node, block, chain.id, address => owners.has(address))
  const logs = Map.groupBy(await node.logs(block), log => log.transactionHash)
  const seen: Seen[] = []
  for (const transaction of block.transactions) {
    const own = delegations.filter(({ transactionHash }) => transactionHash === transaction.hash)
    const effects = readLogs(logs.get(transaction.hash) ?? [], own, chain, lowerCase(transaction.from))
    const isParty = [transaction.from, transaction.to].some(party => party !== null && owners.has(lowerCase(party)))
    // The receipt of a creation tells who got its value.
    const isAsked = isParty || transaction.to === null || effects.some(({ effect }) => owners.has(effect.wallet))
    if (!isAsked) continue
    const receipt = await node.receipt(transaction)
    const succeeded = outcomeOf(transaction, receipt)
    const all = succeeded === null ? effects : [...readOwnEffects(transaction, receipt, succeeded), ...effects]
    const placed = all
      .filter(({ effect }) => owners.has(effect.wallet))
      .map(({ effect, logIndex }) => ({ effect, logIndex, userId: owners.get(effect.wallet) ?? null }))
    if (placed.length > 0) seen.push({ transaction, succeeded, placed })
  }
  return seen
}

type Unplaced = Omit<Placed, 'userId'>

function readLogs(logs: readonly Log[], delegations: readonly Delegation[], chain: Chain, sender: Address): Unplaced[] {
  const effects: Unplaced[] = []
  for (const { authority, delegate, index, isProven } of delegations) {
    const revoked = /^0x0{40}$/.test(delegate) ? { revoked: true } : {}
    const metadata = { delegate, authorization_index: index, ...revoked, ...(isProven ? {} : { unproven: true }) }
    effects.push({
      effect: { ...NOTHING, wallet: authority, type: 'DELEGATION', item: index, metadata },
      logIndex: null,
    })
  }
  for (const log of logs) {
    for (const effect of [...readTokenLog(log, chain), ...readRuleLog(log, chain, sender)]) {
      effects.push({ effect, logIndex: log.logIndex })
    }
  }
  return effects
}

/** Before EIP-658 a receipt has no status: a log, or gas that was left, shows success; nothing shows failure. */
function outcomeOf(transaction: FullTransaction, receipt: TransactionReceipt): boolean | null {
  if (receipt.status === 'success' || receipt.status === 'reverted') return receipt.status === 'success'
  return receipt.logs.length > 0 || receipt.gasUsed < transaction.gas ? true : null
}

const NOTHING = { token: null, unit: null, raw: null, item: 0 } as const

function readOwnEffects(transaction: FullTransaction, receipt: TransactionReceipt, succeeded: boolean): Unplaced[] {
  const from = lowerCase(transaction.from)
  const to = transaction.to === null ? null : lowerCase(transaction.to)
  if (!succeeded)
    return [{ effect: { ...NOTHING, wallet: from, type: 'TRANSACTION_REVERTED', metadata: { to } }, logIndex: null }]
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
  return effects.map(effect => ({ effect, logIndex: null }))
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
  const blockHash = lowerCase(block.hash ?? '')
  const place = [
    chain.id,
    blockHash,
    lowerCase(transaction.hash),
    logIndex ?? 'tx',
    effect.item,
    effect.wallet,
    effect.type,
  ]
  return {
    id: uuidv5(place.join(':'), NAMESPACE),
    wallet_address: effect.wallet,
    user_id: userId,
    activity_type: effect.type,
    tx_hash: lowerCase(transaction.hash),
    ...(await toMoney(node, effect, chain)),
    chain_id: chain.id,
    block_number: Number(block.number),
    block_hash: blockHash,
    log_index: logIndex,
    timestamp: Number(block.timestamp),
    metadata: effect.metadata,
  }
}

async function toTransactionRow(
  node: Node,
  { transaction, succeeded, placed }: Seen,
  block: FullBlock,
  isDeep: boolean,
  { chain, owners }: DeriveOptions,
): Promise<ExpectedTransaction | null> {
  const summary = summarise(placed, lowerCase(transaction.from), owners)
  if (summary === null) return null
  const outcome = succeeded === true ? 'confirmed' : 'failed'
  return {
    tx_hash: lowerCase(transaction.hash),
    user_id: summary.userId,
    chain: chain.label,
    event_type: summary.eventType,
    ...(await toMoney(node, summary.placed.effect, chain)),
    status: isDeep && succeeded !== null ? outcome : 'pending',
    block_number: Number(block.number),
    timestamp: Number(block.timestamp),
  }
}

function lowerCase(hex: string): Address {
  return hex.toLowerCase() as Address
}
