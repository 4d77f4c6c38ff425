/**
 * What the derivation asks of a node, by viem's own client: other methods than the indexer's (logs by block hash, receipts one by
 * one), so that an endpoint that errs in one of them is found out.
 */
import {
  BaseError,
  type Block,
  createPublicClient,
  fallback,
  http,
  type Log,
  numberToHex,
  type PublicClient,
  RpcRequestError,
  type Transaction,
  type TransactionReceipt,
  webSocket,
} from 'viem'
import type { Address } from '../core/types.ts'

export type FullBlock = Block<bigint, true, 'latest'>
export type FullTransaction = Transaction
export type { Log, TransactionReceipt }

export type Node = {
  block(number: number): Promise<FullBlock>
  /** All logs of a block. */
  logs(block: FullBlock): Promise<Log[]>
  receipt(transaction: FullTransaction): Promise<TransactionReceipt>
  /** Number of the block that a tag means. */
  tag(tag: 'safe' | 'finalized'): Promise<number>
  /** Transactions and authorizations so far, at the end of a block; null where that state is gone. */
  nonce(address: Address, blockNumber: number): Promise<bigint | null>
  /** null where that state is gone. */
  code(address: Address, blockNumber: number): Promise<string | null>
  /** What a token answers to decimals(), now; null where that is no number from 0 to 255. */
  decimals(token: Address): Promise<number | null>
}

const DECIMALS_SELECTOR = '0x313ce567'
const WORD_LENGTH = 64
const MAX_DECIMALS = 255n

const RETRIES = 4

/** @param urls all endpoints of a chain: the first that answers is believed */
export function connectNode(urls: readonly string[]): Node {
  const transports = urls.map(url => (/^wss?:/i.test(url) ? webSocket(url) : http(url)))
  const client: PublicClient = createPublicClient({ transport: fallback(transports, { retryCount: RETRIES }) })
  const known = new Map<Address, number | null>()
  return {
    block: number => client.getBlock({ blockNumber: BigInt(number), includeTransactions: true }) as Promise<FullBlock>,
    logs: ({ hash }) => client.getLogs({ blockHash: hash ?? '0x' }),
    receipt: ({ hash }) => client.getTransactionReceipt({ hash }),
    tag: async tag => Number((await client.getBlock({ blockTag: tag })).number),
    nonce: (address, blockNumber) =>
      orGone(async () => BigInt(await client.getTransactionCount({ address, blockNumber: BigInt(blockNumber) }))),
    code: (address, blockNumber) =>
      orGone(() => client.request({ method: 'eth_getCode', params: [address, numberToHex(blockNumber)] })),
    decimals: async token => {
      const found = known.get(token)
      if (found !== undefined) return found
      const answer = await askDecimals(client, token)
      known.set(token, answer)
      return answer
    },
  }
}

/** Nodes that are no archive refuse state of old blocks, each in its own words. */
async function orGone<T>(ask: () => Promise<T>): Promise<T | null> {
  try {
    return await ask()
  } catch (error) {
    if (error instanceof BaseError && error.walk(cause => cause instanceof RpcRequestError) !== null) return null
    throw error
  }
}

async function askDecimals(client: PublicClient, token: Address): Promise<number | null> {
  // A call that fails is an answer here: this token doesn't say.
  const { data } = await client.call({ to: token, data: DECIMALS_SELECTOR }).catch(() => ({ data: undefined }))
  if (data === undefined || data.length < 2 + WORD_LENGTH) return null
  const value = BigInt(data.slice(0, 2 + WORD_LENGTH))
  return value <= MAX_DECIMALS ? Number(value) : null
}
