/**
 * What a log says, by the shapes that the specification names: tokens' transfers and approvals. Anything else says nothing.
 */
import { decodeAbiParameters, parseAbiParameters, toEventSelector } from 'viem'
import type { Chain } from '../core/chain.ts'
import { type Address, type Hex, type Metadata, ZERO_ADDRESS } from '../core/types.ts'
import type { Log } from './node.ts'

/** One row to be, if the wallet is tracked. */
export type Effect = {
  readonly wallet: Address
  readonly type: string
  /** null: native; `unit` says how the raw amount is counted. */
  readonly token: Address | null
  readonly unit: 'native' | 'erc20' | 'pieces' | null
  readonly raw: bigint | null
  /** The amount is not shown although it is known (an unlimited allowance). */
  readonly isHidden?: boolean
  /** Index within a batch, or within a rule. */
  readonly item: number
  readonly metadata: Metadata
  readonly rule?: { readonly order: number; readonly eventType: string }
}

const TRANSFER = toEventSelector('Transfer(address,address,uint256)')
const APPROVAL = toEventSelector('Approval(address,address,uint256)')
const APPROVAL_FOR_ALL = toEventSelector('ApprovalForAll(address,address,bool)')
const TRANSFER_SINGLE = toEventSelector('TransferSingle(address,address,address,uint256,uint256)')
const TRANSFER_BATCH = toEventSelector('TransferBatch(address,address,address,uint256[],uint256[])')
const NATIVE_LOGS = '0xfffffffffffffffffffffffffffffffffffffffe'
const UNLIMITED = 2n ** 96n - 1n

export function readTokenLog(log: Log, chain: Chain): Effect[] {
  const topics: readonly Hex[] = log.topics
  const size = (log.data.length - 2) / 2
  switch (topics[0]) {
    case TRANSFER:
      return readTransfer(log, topics, size, chain)
    case APPROVAL:
      return readApproval(log, topics, size, chain)
    case APPROVAL_FOR_ALL:
      return readApprovalForAll(log, topics, size)
    case TRANSFER_SINGLE:
    case TRANSFER_BATCH:
      return readMultiTransfer(log, topics, size)
    default:
      return []
  }
}

function readTransfer(log: Log, topics: readonly Hex[], size: number, chain: Chain): Effect[] {
  const token = addressOfLog(log)
  if (token === NATIVE_LOGS) return []
  if (topics.length === 4) {
    return move(token, 'pieces', topics[1], topics[2], 1n, { token_id: BigInt(topics[3] as Hex).toString() })
  }
  const isStandard = topics.length === 3 && size === 32
  const isPartlyIndexed = (topics.length === 1 && size === 96) || (topics.length === 2 && size === 64)
  if (!isStandard && !isPartlyIndexed) return []
  // The parameters in their order, wherever they stand.
  const [from, to, value] = [...topics.slice(1), ...wordsOf(log.data)]
  if (isPartlyIndexed && chain.tokens.get(token)?.kind === 'erc721') {
    return move(token, 'pieces', from, to, 1n, { token_id: BigInt(value as Hex).toString() })
  }
  return move(token, 'erc20', from, to, BigInt(value as Hex), {})
}

function readMultiTransfer(log: Log, topics: readonly Hex[], size: number): Effect[] {
  const token = addressOfLog(log)
  if (topics.length !== 4) return []
  const [, , from, to] = topics
  if (topics[0] === TRANSFER_SINGLE) {
    if (size !== 64) return []
    const [id, value] = wordsOf(log.data).map(BigInt) as [bigint, bigint]
    return move(token, 'pieces', from, to, value, { token_id: id.toString() })
  }
  let ids: readonly bigint[]
  let values: readonly bigint[]
  try {
    ;[ids, values] = decodeAbiParameters(parseAbiParameters('uint256[], uint256[]'), log.data)
  } catch {
    return []
  }
  if (ids.length !== values.length) return []
  return ids.flatMap((id, item) =>
    move(token, 'pieces', from, to, values[item] as bigint, { token_id: id.toString(), batch_index: item }, item),
  )
}

/** The two sides of a movement: the one that gives first. */
function move(
  token: Address,
  unit: 'erc20' | 'pieces',
  fromWord: Hex | undefined,
  toWord: Hex | undefined,
  raw: bigint,
  more: Metadata,
  item = 0,
): Effect[] {
  const from = addressOf(fromWord)
  const to = addressOf(toWord)
  if (from === null || to === null) return []
  const common = { token, unit, raw, item }
  return [
    {
      ...common,
      wallet: from,
      type: to === ZERO_ADDRESS ? 'BURN' : 'TRANSFER_OUT',
      metadata: { counterparty: to, ...more },
    },
    {
      ...common,
      wallet: to,
      type: from === ZERO_ADDRESS ? 'MINT' : 'TRANSFER_IN',
      metadata: { counterparty: from, ...more },
    },
  ]
}

/** The parameters in their order, wherever they stand; null where they are not two addresses and one word. */
function readParties(
  log: Log,
  topics: readonly Hex[],
  size: number,
): { first: Address; second: Address; word: Hex } | null {
  if (topics.length < 4 && size !== (4 - topics.length) * 32) return null
  const [firstWord, secondWord, word] = [...topics.slice(1), ...wordsOf(log.data)]
  const first = addressOf(firstWord)
  const second = addressOf(secondWord)
  return first === null || second === null || word === undefined ? null : { first, second, word }
}

function readApproval(log: Log, topics: readonly Hex[], size: number, chain: Chain): Effect[] {
  const parties = readParties(log, topics, size)
  if (parties === null) return []
  const { first: owner, second: spender, word } = parties
  const token = addressOfLog(log)
  const common = { wallet: owner, type: 'APPROVAL', token, item: 0 }
  if (topics.length === 4 || (topics.length < 3 && chain.tokens.get(token)?.kind === 'erc721')) {
    const id = { token_id: BigInt(word).toString() }
    const revoked: Metadata = spender === ZERO_ADDRESS ? { revoked: true } : {}
    return [{ ...common, unit: null, raw: null, metadata: { spender, ...id, ...revoked } }]
  }
  const raw = BigInt(word)
  if (raw >= UNLIMITED) {
    return [{ ...common, unit: 'erc20', raw, isHidden: true, metadata: { spender, unlimited: true } }]
  }
  const revoked: Metadata = raw === 0n ? { revoked: true } : {}
  return [{ ...common, unit: 'erc20', raw, metadata: { spender, ...revoked } }]
}

function readApprovalForAll(log: Log, topics: readonly Hex[], size: number): Effect[] {
  const parties = topics.length === 4 ? null : readParties(log, topics, size)
  if (parties === null) return []
  const flag = BigInt(parties.word)
  if (flag > 1n) return []
  const revoked: Metadata = flag === 0n ? { revoked: true } : {}
  const metadata = { operator: parties.second, all: true, ...revoked }
  const common = { wallet: parties.first, type: 'APPROVAL', token: addressOfLog(log) }
  return [{ ...common, unit: null, raw: null, item: 0, metadata }]
}

function addressOfLog(log: Log): Address {
  return log.address.toLowerCase() as Address
}

/** null: the word is no address. */
function addressOf(word: Hex | undefined): Address | null {
  return word !== undefined && /^0x0{24}[0-9a-f]{40}$/i.test(word) ? `0x${word.slice(26).toLowerCase()}` : null
}

function wordsOf(data: Hex): Hex[] {
  return (data.slice(2).match(/.{64}/g) ?? []).map((word): Hex => `0x${word}`)
}
