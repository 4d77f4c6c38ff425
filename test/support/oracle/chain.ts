/**
 * What the oracle asks of a node: one block, one receipt, one number at a time, by viem's own client.
 */
import {
  type Block,
  createPublicClient,
  http,
  type Log,
  numberToHex,
  type PublicClient,
  type Transaction,
  type TransactionReceipt,
} from 'viem'
import type { Address } from '../../../src/core/types.ts'

export type FullBlock = Block<bigint, true, 'latest'>
export type FullTransaction = Transaction
export type { Log, TransactionReceipt }

export type Node = {
  block(number: number): Promise<FullBlock>
  receipt(transaction: FullTransaction): Promise<TransactionReceipt>
  /** Number of the block that a tag means. */
  tag(tag: 'safe' | 'finalized'): Promise<number>
  /** Transactions and authorizations so far, at the end of a block. */
  nonce(address: Address, blockNumber: number): Promise<bigint>
  code(address: Address, blockNumber: number): Promise<string>
  /** What a token answers to decimals(), now; null where that is no number from 0 to 255. */
  decimals(token: Address): Promise<number | null>
}

const DECIMALS_SELECTOR = '0x313ce567'
const WORD_LENGTH = 64
const MAX_DECIMALS = 255n

export function connectNode(url: string): Node {
  const client: PublicClient = createPublicClient({ transport: http(url, { retryCount: 0 }) })
  const known = new Map<Address, number | null>()
  return {
    block: number => client.getBlock({ blockNumber: BigInt(number), includeTransactions: true }) as Promise<FullBlock>,
    receipt: ({ hash }) => client.getTransactionReceipt({ hash }),
    tag: async tag => Number((await client.getBlock({ blockTag: tag })).number),
    nonce: async (address, blockNumber) =>
      BigInt(await client.getTransactionCount({ address, blockNumber: BigInt(blockNumber) })),
    code: (address, blockNumber) =>
      client.request({ method: 'eth_getCode', params: [address, numberToHex(blockNumber)] }),
    decimals: async token => {
      const found = known.get(token)
      if (found !== undefined) return found
      const answer = await askDecimals(client, token)
      known.set(token, answer)
      return answer
    },
  }
}

async function askDecimals(client: PublicClient, token: Address): Promise<number | null> {
  // A call that fails is an answer here: this token doesn't say.
  const { data } = await client.call({ to: token, data: DECIMALS_SELECTOR }).catch(() => ({ data: undefined }))
  if (data === undefined || data.length < 2 + WORD_LENGTH) return null
  const value = BigInt(data.slice(0, 2 + WORD_LENGTH))
  return value <= MAX_DECIMALS ? Number(value) : null
}
