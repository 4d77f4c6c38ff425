/**
 * What a log says by the chain file's rules.
 */
import { decodeEventLog } from 'viem'
import type { Chain, EventRule } from '../core/chain.ts'
import { cleanText } from '../core/text.ts'
import { type Address, type Hash, type Json, ZERO_ADDRESS } from '../core/types.ts'
import type { Log } from './node.ts'
import type { Effect } from './logs.ts'

export function readRuleLog(log: Log, chain: Chain, sender: Address): Effect[] {
  const topic = (log.topics[0] ?? '').toLowerCase() as Hash
  const rule = chain.rules.get(log.address.toLowerCase() as Address)?.get(topic)
  if (rule === undefined || Number(log.blockNumber) < rule.startBlock) return []
  const args = decode(log, rule)
  if (args === null) return []
  const raw = rule.amount === null ? null : BigInt(args[rule.amount] as bigint | number)
  const token = tokenOf(rule, args)
  const ids = Object.fromEntries(rule.ids.map(name => [name, idOf(args[name], typeOf(rule, name))]))
  return rule.activities.map((activity, item): Effect => {
    const { wallet } = activity
    return {
      wallet: wallet === 'tx.from' ? sender : (String(args[wallet.parameter]).toLowerCase() as Address),
      type: activity.type,
      token: token === 'native' ? null : token,
      unit: unitOf(token),
      raw,
      item,
      metadata: { contract: rule.contractName, event: rule.abi.name, ...ids },
      rule: { order: rule.order, eventType: activity.eventType },
    }
  })
}

const MAX_TEXT_LENGTH = 256

function unitOf(token: Address | 'native' | null): Effect['unit'] {
  if (token === null) return null
  return token === 'native' ? 'native' : 'erc20'
}

function decode(log: Log, rule: EventRule): Record<string, unknown> | null {
  try {
    const { args } = decodeEventLog({ abi: [rule.abi], data: log.data, topics: log.topics, strict: true })
    return args
  } catch {
    return null
  }
}

function tokenOf({ token }: EventRule, args: Record<string, unknown>): Address | 'native' | null {
  if (token === null) return null
  const chosen = token.kind === 'choice' ? token.tokens[Number(args[token.parameter])] : token
  if (chosen === undefined) return null
  if (chosen.kind === 'native') return 'native'
  if (chosen.kind === 'address') return chosen.address
  const address = String(args[chosen.name]).toLowerCase() as Address
  return address === ZERO_ADDRESS ? 'native' : address
}

function typeOf(rule: EventRule, name: string): string {
  return rule.abi.inputs.find(input => input.name === name)?.type ?? ''
}

/** Integers as decimal text, addresses and bytes in lower case, booleans as they are, texts cleaned and cut. */
function idOf(value: unknown, type: string): Json {
  if (typeof value === 'boolean') return value
  const text = String(value)
  return type === 'string' ? cleanText(text, MAX_TEXT_LENGTH) : text.toLowerCase().slice(0, MAX_TEXT_LENGTH)
}
