/**
 * Which logs have to be asked for to find the blocks that concern some wallets, without reading every block.
 *
 * The token standards, and most events of chain-file rules, have the wallet in a topic. A rule may also name a parameter that is not
 * indexed: then all logs of that contract and event are asked for and looked at here. A rule's `tx.from` needs nothing: who sends a
 * transaction has raised a nonce. What can't be found are events of contracts older than the standards, which index nothing: unless a
 * rule of the chain file names them, and `status` says so.
 */

import type { Chain, EventRule } from './chain.ts'
import { findRule } from './decode/rules.ts'
import type { Address, Hash, Hex, Log } from './types.ts'

export type WantedLogs = {
  /** Logs with one of these in topic 1, 2 or 3. */
  readonly wallets: readonly Address[]
  /** And all logs of these contracts with these first topics. */
  readonly events: readonly { readonly address: Address; readonly topic0: Hash }[]
  /** Whether a log is one of those that are wanted. */
  readonly concerns: (log: Log, blockNumber: number) => boolean
}

const WORD_DIGITS = 64

export function wantedLogs(chain: Chain, wallets: readonly Address[]): WantedLogs {
  const words = new Set<string>(wallets.map(topicOf))
  const rules = [...chain.rules.values()].flatMap(byTopic => [...byTopic.values()]).filter(namesInData)
  const asked = new Set(rules)
  return {
    wallets,
    events: rules.map(({ address, topic0 }) => ({ address, topic0 })),
    concerns(log, blockNumber) {
      if (log.topics.some((topic, index) => index > 0 && words.has(topic))) return true
      const rule = findRule(chain, log, blockNumber)
      // Whatever the rule makes of it, the standards may make something of the same event.
      return rule !== undefined && asked.has(rule) && hasWord(log.data, words)
    },
  }
}

function hasWord(data: Hex, words: ReadonlySet<string>): boolean {
  for (let at = 2; at + WORD_DIGITS <= data.length; at += WORD_DIGITS)
    if (words.has(`0x${data.slice(at, at + WORD_DIGITS)}`)) return true
  return false
}

/** An address as it stands in a topic. */
export function topicOf(address: Address): Hash {
  return `0x${address.slice(2).padStart(64, '0')}`
}

/** Whether a wallet that the rule means may stand in the data of its event. */
function namesInData({ abi, activities }: EventRule): boolean {
  return activities.some(({ wallet }) => {
    if (wallet === 'tx.from') return false
    return abi.inputs.some(({ name, indexed }) => name === wallet.parameter && indexed !== true)
  })
}
