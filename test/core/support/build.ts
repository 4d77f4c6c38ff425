/**
 * Blocks, logs, rules and rows made from as little as a test cares about.
 *
 * People are addresses that are easy to read in a failure; everything is valid unless a test says otherwise.
 */

import { type AbiEvent, parseAbiItem, toEventSelector } from 'viem'
import type { Chain, EventRule, ListedToken } from '../../../src/core/chain.ts'
import type { ClassifiedRow } from '../../../src/core/classify.ts'
import { decodeBlock } from '../../../src/core/decode/block.ts'
import type {
  Activity,
  Address,
  Block,
  Hash,
  Header,
  Hex,
  Log,
  Oddity,
  Receipt,
  Transaction,
} from '../../../src/core/types.ts'

export function addressOf(n: number | bigint): Address {
  return `0x${n.toString(16).padStart(40, '0')}`
}

export function hashOf(n: number | bigint): Hash {
  return `0x${n.toString(16).padStart(64, '0')}`
}

export const ALICE = addressOf(0xa11ce)
export const BOB = addressOf(0xb0b)
export const CAROL = addressOf(0xca201)
export const TOKEN = addressOf(0x70c)
export const NFT = addressOf(0x4f7)
export const CONTRACT = addressOf(0xc047)
export const ZERO = addressOf(0)

/** Words of 32 bytes side by side, as in the data of a log: numbers, booleans, addresses. */
export function words(...values: readonly (bigint | number | Hex)[]): Hex {
  return `0x${values.map(value => (typeof value === 'string' ? BigInt(value) : value).toString(16).padStart(64, '0')).join('')}`
}

export function chainOf(changes: Partial<Chain> = {}): Chain {
  return {
    id: 1,
    name: 'mainnet',
    label: 'ethereum',
    confirmations: 12,
    startBlock: 0,
    blockTimeSeconds: 12,
    droppedAfterSeconds: 86_400,
    mempool: 'auto',
    verification: 'basic',
    tiers: [],
    nativeToken: { symbol: 'ETH', decimals: 18 },
    tokens: new Map(),
    rules: new Map(),
    ...changes,
  }
}

export function tokensOf(...tokens: readonly ListedToken[]): Chain['tokens'] {
  return new Map(tokens.map(token => [token.address, token]))
}

export const GOLD: ListedToken = { address: TOKEN, symbol: 'GLD', decimals: 6, kind: 'erc20' }
export const KITTY: ListedToken = { address: NFT, symbol: 'CK', decimals: 0, kind: 'erc721' }

type RuleChanges = Partial<Omit<EventRule, 'abi' | 'topic0'>>

/** A rule of the contract CONTRACT, called Staking. */
export function ruleOf(signature: string, changes: RuleChanges = {}): EventRule {
  const abi = parseAbiItem([`event ${signature}`] as readonly string[]) as AbiEvent
  return {
    order: 0,
    contractName: 'Staking',
    address: CONTRACT,
    startBlock: 0,
    topic0: toEventSelector(abi),
    abi,
    activities: [{ wallet: { parameter: 'user' }, type: 'STAKE', eventType: 'STAKE' }],
    amount: null,
    token: null,
    ids: [],
    ...changes,
  }
}

export function rulesOf(...rules: readonly EventRule[]): Chain['rules'] {
  const byAddress = Map.groupBy(rules, ({ address }) => address)
  return new Map([...byAddress].map(([address, own]) => [address, new Map(own.map(rule => [rule.topic0, rule]))]))
}

export type Part = {
  readonly transaction?: Partial<Transaction>
  readonly receipt?: Partial<Omit<Receipt, 'logs'>>
  readonly logs?: readonly Partial<Log>[]
}

/** A block of these transactions; hashes, indexes and log indexes are as they must be. */
export function blockOf(parts: readonly Part[], header: Partial<Header> = {}): Block {
  const transactions: Transaction[] = []
  const receipts: Receipt[] = []
  let logIndex = 0
  for (const [index, { transaction, receipt, logs = [] }] of parts.entries()) {
    const hash = transaction?.hash ?? hashOf(0x1000 + index)
    transactions.push({
      from: CAROL,
      to: CONTRACT,
      value: 0n,
      input: '0x',
      nonce: 7,
      gas: 100_000n,
      authorizations: [],
      ...transaction,
      hash,
      index,
    })
    receipts.push({
      succeeded: true,
      gasUsed: 50_000n,
      contractAddress: null,
      ...receipt,
      transactionHash: hash,
      transactionIndex: index,
      logs: logs.map(log => ({ address: TOKEN, topics: [], data: '0x', ...log, logIndex: logIndex++ })),
    })
  }
  return {
    number: 100,
    hash: hashOf(0xb10c),
    parentHash: hashOf(0xb10b),
    timestamp: 1_700_000_000,
    ...header,
    transactions,
    receipts,
  }
}

export type DecodeOptions = {
  readonly chain?: Chain
  readonly tracked?: readonly Address[]
  readonly nonces?: ReadonlyMap<Address, number | null>
  readonly header?: Partial<Header>
}

export function decode(
  parts: readonly Part[],
  { chain = chainOf(), tracked = [ALICE, BOB], nonces = new Map(), header = {} }: DecodeOptions = {},
): { activities: readonly Activity[]; oddities: readonly Oddity[] } {
  return decodeBlock(blockOf(parts, header), chain, address => tracked.includes(address), nonces)
}

/** What a test compares of an activity: who, what, how much, of what. */
export function brief({ wallet, type, rawAmount, asset }: Activity) {
  const name = NAMES.get(wallet) ?? wallet
  return `${name} ${type}${rawAmount === null ? '' : ` ${rawAmount}`}${asset === null ? '' : ` ${asset.kind}`}`
}

const NAMES = new Map<Address, string>([
  [ALICE, 'alice'],
  [BOB, 'bob'],
  [CAROL, 'carol'],
  [ZERO, 'zero'],
])

/** The activities of one log of one transaction between strangers, but for the interaction itself. */
export function decodeLog(log: Partial<Log>, options: DecodeOptions = {}) {
  const { activities, oddities } = decode([{ logs: [log] }], options)
  return { activities, briefs: activities.map(brief), oddities: oddities.map(({ kind }) => kind) }
}

export function rowOf(changes: Partial<ClassifiedRow> = {}): ClassifiedRow {
  return {
    walletAddress: ALICE,
    activityType: 'TRANSFER_IN',
    logIndex: 0,
    amount: '1',
    rawAmount: 1n,
    token: 'ETH',
    tokenAddress: null,
    metadata: {},
    ...changes,
  }
}
