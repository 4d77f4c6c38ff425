/**
 * Prepared blocks: what a replay node answers, serialised once, found by number, tag or hash.
 *
 * Always holds: an answer is JSON text that was made before it was asked for, so that serving it costs a copy and nothing more.
 * Heights need not be consecutive: one that is missing is answered with null, as a node does. Benchmarks may bring a `ReplayChain`
 * of their own, with blocks that are made at the moment they are asked for.
 */

/** A block as `eth_getBlockByNumber(n, true)` returns it; what the tests read of it is typed, the rest goes through. */
export type RpcBlock = {
  readonly number: string
  readonly hash: string
  readonly parentHash: string
  readonly timestamp: string
  readonly miner: string
  readonly logsBloom: string
  readonly transactionsRoot?: string
  readonly transactions: readonly RpcTransaction[]
}

export type RpcTransaction = {
  readonly hash: string
  readonly blockHash: string
  readonly blockNumber: string
  readonly transactionIndex: string
  readonly from: string
  readonly to: string | null
  readonly value: string
  readonly input: string
  readonly nonce: string
  readonly gas: string
  readonly type?: string
  readonly authorizationList?: readonly RpcAuthorization[]
}

export type RpcAuthorization = {
  readonly chainId: string
  readonly address: string
  readonly nonce: string
  readonly yParity: string
  readonly r: string
  readonly s: string
}

export type RpcReceipt = {
  readonly transactionHash: string
  readonly transactionIndex: string
  readonly contractAddress: string | null
  readonly gasUsed: string
  /** Absent before EIP-658: then there is a `root`. */
  readonly status?: string
  readonly root?: string
  readonly logs: readonly RpcLog[]
}

export type RpcLog = {
  readonly address: string
  readonly topics: readonly string[]
  readonly data: string
  readonly logIndex: string
  readonly transactionHash: string
}

/** `receipts: null`: the node knows the block and not its receipts. */
export type ReplayBlock = { readonly block: RpcBlock; readonly receipts: readonly RpcReceipt[] | null }

/** JSON text, ready to be sent; null where there is no such thing. */
export type Prepared = Buffer | null

export type ReplayChain = {
  /** The height of the newest block, −1 if there is none. */
  readonly highest: number
  /** The block with transactions (`full`), or with their hashes only. */
  block(number: number, full: boolean): Prepared
  receipts(number: number): Prepared
  transaction(hash: string): Prepared
  receipt(hash: string): Prepared
  /** All logs of a block, in order; absent: the chain was not made for it. */
  readonly logs?: (number: number) => readonly RpcLog[]
  /** The height of a block by its hash; absent as above. */
  readonly heightOf?: (hash: string) => number | undefined
}

/** Serialises blocks. A height that is given twice keeps the later block. */
export function prepareChain(blocks: readonly ReplayBlock[]): ReplayChain {
  const byNumber = new Map(blocks.map(each => [Number(each.block.number), each]))
  const heights = new Map(blocks.map(({ block }) => [block.hash, Number(block.number)]))
  const full = new Map<number, Buffer>()
  const headers = new Map<number, Buffer>()
  const receipts = new Map<number, Buffer>()
  const transactions = new Map<string, Buffer>()
  const receiptsByHash = new Map<string, Buffer>()
  for (const [number, { block, receipts: own }] of byNumber) {
    full.set(number, prepare(block))
    headers.set(number, prepare({ ...block, transactions: block.transactions.map(({ hash }) => hash) }))
    for (const transaction of block.transactions) transactions.set(transaction.hash, prepare(transaction))
    if (own === null) continue
    receipts.set(number, prepare(own))
    for (const receipt of own) receiptsByHash.set(receipt.transactionHash, prepare(receipt))
  }
  return {
    highest: Math.max(-1, ...byNumber.keys()),
    block: (number, isFull) => (isFull ? full : headers).get(number) ?? null,
    receipts: number => receipts.get(number) ?? null,
    transaction: hash => transactions.get(hash) ?? null,
    receipt: hash => receiptsByHash.get(hash) ?? null,
    heightOf: hash => heights.get(hash),
    logs: number => byNumber.get(number)?.receipts?.flatMap(({ logs }) => logs) ?? [],
  }
}

export function prepare(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value))
}
