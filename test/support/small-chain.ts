/**
 * A small chain for a replay node: blocks of a few transactions, whose parts belong together as far as `basic` verification looks.
 *
 * Its hashes are made up; its bloom filters are those of its logs.
 */
import { pad, toHex } from 'viem'
import { bloomOf } from '../../src/core/bloom.ts'
import type { Hex } from '../../src/core/types.ts'
import type { ReplayBlock, RpcLog, RpcReceipt, RpcTransaction } from './replay-chain.ts'

const TRANSFER = '0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef'
const TOKEN = '0x70c0000000000000000000000000000000000070'
const SOME_ROOT = '0xd7f8974fb5ac78d9ac099b9ad5018bedc2ce0a72dad1827a1709da30580f0544'
const EMPTY_ROOT = '0x56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421'

export type SmallTransaction = {
  readonly from?: Hex
  readonly to?: Hex | null
  readonly value?: bigint
  /** Recipients of a token that this transaction sends. */
  readonly tokensTo?: readonly Hex[]
  readonly fails?: boolean
}

export function accountOf(n: number): Hex {
  return toHex(n, { size: 20 })
}

/** A hash by what it is of. `salt` makes another branch. */
export function smallHash(kind: 'block' | 'transaction', number: number, index = 0, salt = 0): Hex {
  return toHex(
    BigInt(kind === 'block' ? 1 : 2) * 10n ** 30n + BigInt(salt) * 10n ** 20n + BigInt(number) * 1000n + BigInt(index),
    {
      size: 32,
    },
  )
}

/** A block at a height; `branchesAt`: from this height on its hash is of another branch than without a salt. */
export function smallBlock(
  number: number,
  transactions: readonly SmallTransaction[],
  { salt = 0, branchesAt = 0 }: { readonly salt?: number; readonly branchesAt?: number } = {},
): ReplayBlock {
  const saltAt = (height: number) => (height >= branchesAt ? salt : 0)
  const hash = smallHash('block', number, 0, saltAt(number))
  const place = { blockHash: hash, blockNumber: toHex(number) }
  let logIndex = 0
  const receipts = transactions.map((transaction, index): RpcReceipt & { blockHash: Hex } => {
    const transactionHash = smallHash('transaction', number, index, saltAt(number))
    const logs = (transaction.tokensTo ?? []).map((to): RpcLog & Record<string, unknown> => ({
      ...place,
      address: TOKEN,
      topics: [TRANSFER, pad(transaction.from ?? accountOf(1)), pad(to)],
      data: toHex(1000n, { size: 32 }),
      logIndex: toHex(logIndex++),
      transactionHash,
      transactionIndex: toHex(index),
    }))
    return {
      ...place,
      transactionHash,
      transactionIndex: toHex(index),
      contractAddress: null,
      gasUsed: '0x5208',
      status: transaction.fails === true ? '0x0' : '0x1',
      logs,
    }
  })
  return {
    block: {
      number: toHex(number),
      hash,
      parentHash: number === 0 ? toHex(0, { size: 32 }) : smallHash('block', number - 1, 0, saltAt(number - 1)),
      timestamp: toHex(1_700_000_000 + number * 12),
      miner: accountOf(0xfee),
      logsBloom: bloomOf(receipts.flatMap(({ logs }) => logs) as never),
      transactionsRoot: transactions.length === 0 ? EMPTY_ROOT : SOME_ROOT,
      transactions: transactions.map(
        ({ from = accountOf(1), to = accountOf(2), value = 0n }, index): RpcTransaction => ({
          ...place,
          hash: smallHash('transaction', number, index, saltAt(number)),
          transactionIndex: toHex(index),
          from,
          to,
          value: toHex(value),
          input: '0x',
          nonce: toHex(number),
          gas: '0x5208',
        }),
      ),
    },
    receipts,
  }
}

/** Blocks 0 to `highest`, each with what `of` gives. */
export function smallBlocks(
  highest: number,
  of: (number: number) => readonly SmallTransaction[] = () => [{ tokensTo: [accountOf(3)] }, { value: 5n }],
  branch?: Parameters<typeof smallBlock>[2],
): ReplayBlock[] {
  return Array.from({ length: highest + 1 }, (_, number) => smallBlock(number, of(number), branch))
}
