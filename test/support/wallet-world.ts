/**
 * A small chain with accounts: it grows while a node serves it, and knows nonce and balance of everybody at every height.
 *
 * Always holds: nonces count what an account sent, balances follow every transfer, also those inside of calls; nothing costs fees.
 * Everybody begins with the same wealth, so nobody has to be funded.
 */

import { toHex } from 'viem'
import type { Hex } from '../../src/core/types.ts'
import { rowsOfTransfer, tokenTransfersOf, transactionRowsOf, type RowText } from './expected-rows.ts'
import { prepare, type ReplayBlock, type ReplayChain, type RpcTransaction } from './replay-chain.ts'
import type { Answer, ReplayOptions } from './replay-node.ts'
import { smallBlock, type SmallTransaction } from './small-chain.ts'

export type WorldTransaction = SmallTransaction & {
  /** What its call pays out, to whom: seen in balances alone. */
  readonly inside?: { readonly to: Hex; readonly value: bigint }
}

export type WalletWorld = {
  readonly chain: ReplayChain
  readonly blocks: readonly ReplayBlock[]
  /** Adds the next block. @returns its height */
  mine(transactions: readonly WorldTransaction[]): number
  /** What a node has to know besides the blocks. `archive: false`: only the newest state. */
  state(options?: { readonly archive?: boolean }): Pick<ReplayOptions, 'nonce' | 'methods'>
  /** The rows that wallets have up to a height, from the blocks alone. */
  rowsOf(wallets: ReadonlySet<string>, upTo: number): RowText[]
}

const WEALTH = 10n ** 24n
const CALL_GAS = 50_000

type Past<T> = { readonly block: number; readonly value: T }[]

export function createWalletWorld(): WalletWorld {
  const blocks: ReplayBlock[] = []
  const nonces = new Map<string, Past<number>>()
  const balances = new Map<string, Past<bigint>>()
  const full: Buffer[] = []
  const bare: Buffer[] = []
  const receiptsOf: Buffer[] = []
  const byHash = new Map<string, { readonly transaction: Buffer; readonly receipt: Buffer }>()
  const heights = new Map<string, number>()

  const last = <T>(past: ReadonlyMap<string, Past<T>>, address: string, nothing: T): T =>
    past.get(address)?.at(-1)?.value ?? nothing
  const note = <T>(past: Map<string, Past<T>>, address: string, block: number, value: T) => {
    const own = past.get(address) ?? []
    past.set(address, own)
    own.push({ block, value })
  }
  const at = <T>(past: ReadonlyMap<string, Past<T>>, address: string, block: number, nothing: T): T =>
    past.get(address)?.findLast(each => each.block <= block)?.value ?? nothing
  const move = (from: string | null, to: string, value: bigint, block: number) => {
    if (from !== null) note(balances, from, block, last(balances, from, WEALTH) - value)
    note(balances, to, block, last(balances, to, WEALTH) + value)
  }
  const toState = (transaction: RpcTransaction, number: number, isGood: boolean) => {
    const { from, to } = transaction
    const nonce = last(nonces, from, 0)
    note(nonces, from, number, nonce + 1)
    if (isGood && to !== null && BigInt(transaction.value) > 0n) move(from, to, BigInt(transaction.value), number)
    return nonce
  }

  const chain: ReplayChain = {
    get highest() {
      return blocks.length - 1
    },
    block: (number, isFull) => (isFull ? full : bare)[number] ?? null,
    receipts: number => receiptsOf[number] ?? null,
    transaction: hash => byHash.get(hash)?.transaction ?? null,
    receipt: hash => byHash.get(hash)?.receipt ?? null,
    heightOf: hash => heights.get(hash),
    logs: number => blocks[number]?.receipts?.flatMap(({ logs }) => logs) ?? [],
  }

  const heightOf = (block: number | string) => (typeof block === 'number' ? block : chain.highest)
  return {
    chain,
    blocks,
    mine(wanted) {
      const number = blocks.length
      const made = smallBlock(number, wanted)
      const transactions = made.block.transactions.map((transaction, index) => {
        const { inside, fails } = wanted[index] ?? {}
        const nonce = toState(transaction, number, fails !== true)
        if (inside !== undefined) move(null, inside.to, inside.value, number)
        const calls = inside !== undefined || (wanted[index]?.tokensTo ?? []).length > 0
        return {
          ...transaction,
          nonce: toHex(nonce),
          gasPrice: '0x0',
          gas: toHex(CALL_GAS * 2),
          input: calls ? '0x01020304' : '0x',
        }
      })
      const receipts = (made.receipts ?? []).map((receipt, index) => {
        const calls = transactions[index]?.input !== '0x'
        return { ...receipt, gasUsed: toHex(calls ? CALL_GAS : 21_000), effectiveGasPrice: '0x0' }
      })
      const block = { ...made.block, transactions }
      blocks.push({ block, receipts })
      heights.set(block.hash, number)
      full.push(prepare(block))
      bare.push(prepare({ ...block, transactions: transactions.map(({ hash }) => hash) }))
      receiptsOf.push(prepare(receipts))
      for (const [index, transaction] of transactions.entries())
        byHash.set(transaction.hash, { transaction: prepare(transaction), receipt: prepare(receipts[index]) })
      return number
    },
    state({ archive = true } = {}) {
      const isKept = (block: number) => archive || block >= blocks.length - 1
      return {
        nonce: (address, block) => {
          const height = heightOf(block)
          return isKept(height) ? at(nonces, address, height, 0) : null
        },
        methods: {
          eth_getBalance: ([address, block]): Answer => {
            const height = heightOf(typeof block === 'string' && block.startsWith('0x') ? Number(block) : String(block))
            return isKept(height)
              ? { kind: 'result', json: prepare(toHex(at(balances, String(address), height, WEALTH))) }
              : { kind: 'error', code: -32_000, message: 'missing trie node 0x00 (path ) state is not available' }
          },
        },
      }
    },
    rowsOf(wallets, upTo) {
      return blocks.slice(0, upTo + 1).flatMap(({ block, receipts }) => {
        const own = receipts ?? []
        const tokens = tokenTransfersOf(own, new Set()).flatMap(transfer => rowsOfTransfer(transfer))
        return [...transactionRowsOf(block, own), ...tokens].filter(row => wallets.has(walletOf(row)))
      })
    },
  }
}

/** Whose row it is: its third word (`describeTransfer`). */
function walletOf(row: RowText): string {
  return /: (0x[0-9a-f]{40}) /.exec(row)?.[1] ?? ''
}
