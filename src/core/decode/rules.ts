/**
 * Chain-file rules: an event of a known contract means an activity for the wallets that it names.
 */

import { decodeEventLog } from 'viem/utils'
import type { Chain, EventRule, RuleToken } from '../chain.ts'
import { cleanText } from '../text.ts'
import {
  type Activity,
  type Address,
  type Asset,
  type Hash,
  type Json,
  type Log,
  type Metadata,
  ZERO_ADDRESS,
} from '../types.ts'

const MAX_TEXT_LENGTH = 256
const NATIVE: Asset = { kind: 'native' }

type Arguments = Readonly<Record<string, unknown>>

/** The rule that a log falls under, if any. */
export function findRule(chain: Chain, log: Log, blockNumber: number): EventRule | undefined {
  const topic0 = log.topics[0]
  const rule = topic0 === undefined ? undefined : chain.rules.get(log.address)?.get(topic0)
  return rule !== undefined && blockNumber >= rule.startBlock ? rule : undefined
}

/** The activities of a log under its rule, for tracked wallets; null if the log is not what the signature says. */
export function decodeRule(
  rule: EventRule,
  log: Log,
  transaction: { readonly hash: Hash; readonly from: Address },
  chain: Chain,
  isTracked: (address: Address) => boolean,
): Activity[] | null {
  const args = decodeArguments(rule, log)
  if (args === null) return null
  const activities: Activity[] = []
  for (const [item, activity] of rule.activities.entries()) {
    const wallet = activity.wallet === 'tx.from' ? transaction.from : addressArgument(args, activity.wallet.parameter)
    if (wallet === null || !isTracked(wallet)) continue
    const asset = rule.token === null ? null : assetOf(rule.token, args, chain)
    activities.push({
      wallet,
      type: activity.type,
      transactionHash: transaction.hash,
      logIndex: log.logIndex,
      item,
      asset,
      rawAmount: rule.amount === null ? null : BigInt(args[rule.amount] as bigint | number),
      metadata: { contract: rule.contractName, event: rule.abi.name, ...idsOf(rule, args) },
      rule: { order: rule.order, eventType: activity.eventType },
    })
  }
  return activities
}

function decodeArguments(rule: EventRule, log: Log): Arguments | null {
  const [signature, ...indexed] = log.topics
  if (signature === undefined) return null
  try {
    const { args } = decodeEventLog({ abi: [rule.abi], data: log.data, topics: [signature, ...indexed], strict: true })
    return args
  } catch {
    return null // Not what the signature says (other indexing, short data): the caller counts it.
  }
}

function addressArgument(args: Arguments, name: string): Address | null {
  const value = args[name]
  return typeof value === 'string' ? (value.toLowerCase() as Address) : null
}

function assetOf(token: RuleToken, args: Arguments, chain: Chain): Asset | null {
  switch (token.kind) {
    case 'native':
      return NATIVE
    case 'address':
      return assetAt(token.address, chain)
    case 'parameter': {
      const address = addressArgument(args, token.name)
      if (address === null) return null
      return address === ZERO_ADDRESS ? NATIVE : assetAt(address, chain)
    }
    case 'choice': {
      const chosen = token.tokens[Number(args[token.parameter])]
      return chosen === undefined ? null : assetOf(chosen, args, chain)
    }
  }
}

function assetAt(address: Address, chain: Chain): Asset {
  const kind = chain.tokens.get(address)?.kind ?? 'erc20'
  return { kind: kind === 'erc20' ? 'erc20' : 'pieces', address }
}

function idsOf(rule: EventRule, args: Arguments): Metadata {
  return Object.fromEntries(rule.ids.map(name => [name, toJson(args[name])]))
}

function toJson(value: unknown): Json {
  if (typeof value === 'bigint' || typeof value === 'number') return value.toString()
  if (typeof value === 'boolean') return value
  if (typeof value !== 'string') return null
  return /^0x[0-9a-fA-F]*$/.test(value)
    ? value.toLowerCase().slice(0, MAX_TEXT_LENGTH)
    : cleanText(value, MAX_TEXT_LENGTH)
}
