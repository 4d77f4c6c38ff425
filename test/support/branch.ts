/**
 * A branch of a chain, recorded before the chain leaves it: what a node that stays behind on it goes on answering.
 *
 * Always holds: headers, bodies, receipts and places of its transactions belong together, as those of a node do. State is not
 * recorded: at these heights it is the other branch's.
 */
import { type Anvil, requestAll } from '../../src/demo/anvil.ts'
import type { Fields } from './spoilt.ts'

export type Branch = {
  readonly head: number
  /** By number, with whole transactions. */
  readonly blocks: ReadonlyMap<number, Fields>
  readonly receipts: ReadonlyMap<number, readonly Fields[]>
  /** What it holds for safe and final. */
  readonly tags: ReadonlyMap<string, Fields>
}

const TAGS = ['safe', 'finalized'] as const

/** The newest `depth` blocks as they are now; deeper than any reorg goes, now or later, or it would not fit what is below it. */
export async function recordBranch(anvil: Anvil, depth: number): Promise<Branch> {
  const head = Number(await anvil.rpc('eth_blockNumber'))
  const numbers = Array.from({ length: depth }, (_, index) => head - index)
  const ask = (method: string, rest: readonly unknown[]) =>
    requestAll(
      anvil.url,
      numbers.map(number => ({ method, params: [`0x${number.toString(16)}`, ...rest] })),
    )
  const blocks = (await ask('eth_getBlockByNumber', [true])) as Fields[]
  const receipts = (await ask('eth_getBlockReceipts', [])) as Fields[][]
  const tagged = await requestAll(
    anvil.url,
    TAGS.map(tag => ({ method: 'eth_getBlockByNumber', params: [tag, false] })),
  )
  return {
    head,
    tags: new Map(TAGS.map((tag, index) => [tag, tagged[index] as Fields])),
    blocks: new Map(numbers.map((number, index) => [number, blocks[index] ?? {}])),
    receipts: new Map(numbers.map((number, index) => [number, receipts[index] ?? []])),
  }
}

/** undefined: the branch says nothing of it that the chain would not. */
export function answerFrom(branch: Branch, method: string, params: readonly unknown[]): unknown {
  const [first, isWhole] = params
  const number = first === 'latest' ? branch.head : Number(first)
  switch (method) {
    case 'eth_getBlockByNumber':
      return branch.tags.get(String(first)) ?? shorten(branch.blocks.get(number), isWhole === true)
    case 'eth_getBlockReceipts':
      return branch.receipts.get(number)
    case 'eth_getTransactionByHash':
      return find(branch.blocks, ({ transactions }) => transactions as readonly Fields[], 'hash', first)
    case 'eth_getTransactionReceipt':
      return find(branch.receipts, receipts => receipts, 'transactionHash', first)
    default:
      return undefined
  }
}

function shorten(block: Fields | undefined, isWhole: boolean): Fields | undefined {
  if (block === undefined || isWhole) return block
  return { ...block, transactions: (block['transactions'] as readonly Fields[]).map(({ hash }) => hash) }
}

function find<T>(all: ReadonlyMap<number, T>, listOf: (one: T) => readonly Fields[], key: string, hash: unknown) {
  return [...all.values()].flatMap(listOf).find(each => each[key] === hash)
}
