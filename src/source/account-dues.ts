/**
 * What the protocol took from an account in one block, and gave it: fees of its transactions, withdrawals, and what a block pays its
 * recipient. It is asked for the few blocks that have something of a wallet, beside the block itself, which carries none of this.
 *
 * Always holds: it is told of the block with the hash that was asked about, or not at all. Rewards of proof of work depend on the chain's
 * history of forks and are not reckoned: for a miner's block, and an uncle's, the reward is not known.
 */

import { numberToHex } from 'viem/utils'
import type { Dues } from '../core/native-history-explain.ts'
import type { Address, Hash, Hex } from '../core/types.ts'
import { AppError } from '../errors.ts'
import { inconsistent } from './blocks.ts'
import { parseQuantity } from './parse.ts'
import { type Asker, LackingBlock } from './pool.ts'

/** More receipts than this are asked for by the block. */
const MAX_SINGLE_RECEIPTS = 4
/** Since Shanghai withdrawals are in gwei. */
const WEI_PER_GWEI = 10n ** 9n

type Fields = Readonly<Record<string, unknown>>

export async function askDues(
  asker: Asker,
  address: Address,
  { number, hash }: { readonly number: number; readonly hash: Hash },
): Promise<Dues> {
  const { endpoint, request } = asker
  const told = await request('eth_getBlockByNumber', [numberToHex(number), true])
  if (told === null) throw new LackingBlock(endpoint, number, 'block')
  const block = fieldsOf(told, 'block')
  if (!isSame(block['hash'], hash)) throw inconsistent(endpoint, `another block than ${hash} was returned`, number)
  const transactions = listOf(block, 'transactions')
  const isRecipient = isSame(block['miner'], address)
  const isOwn = ({ from }: Fields) => isSame(from, address)
  const wanted = isRecipient ? transactions : transactions.filter(isOwn)
  const receipts = await askReceipts(asker, number, wanted)
  let feesPaid = 0n
  let tips = 0n
  const baseFee = amount(block, 'baseFeePerGas')
  for (const [index, transaction] of wanted.entries()) {
    const receipt = receipts[index] ?? {}
    if (!isSame(receipt['blockHash'], hash)) throw inconsistent(endpoint, 'a receipt belongs to another block', number)
    const gasUsed = parseQuantity(receipt['gasUsed'], 'receipt.gasUsed')
    // Older nodes tell no effective price; in a block the transaction's is the same.
    const price = parseQuantity(receipt['effectiveGasPrice'] ?? transaction['gasPrice'], 'receipt.effectiveGasPrice')
    tips += gasUsed * (price - baseFee)
    if (!isOwn(transaction)) continue
    feesPaid += gasUsed * price + amount(receipt, 'blobGasUsed') * amount(receipt, 'blobGasPrice')
    // What rollups of the OP stack charge for the chain below.
    feesPaid += amount(receipt, 'l1Fee')
  }
  const withdrawals = listOf(block, 'withdrawals')
    .filter(withdrawal => isSame(withdrawal['address'], address))
    .reduce((sum, withdrawal) => sum + parseQuantity(withdrawal['amount'], 'withdrawal.amount') * WEI_PER_GWEI, 0n)
  const isMined = amount(block, 'difficulty') > 0n && (isRecipient || (await isUnclesMiner(asker, block, address)))
  return { feesPaid, withdrawals, reward: isMined ? null : isRecipient ? tips : 0n }
}

async function askReceipts({ request }: Asker, number: number, transactions: readonly Fields[]): Promise<Fields[]> {
  if (transactions.length === 0) return []
  if (transactions.length <= MAX_SINGLE_RECEIPTS) {
    const single = transactions.map(({ hash }) => request('eth_getTransactionReceipt', [hash]))
    return (await Promise.all(single)).map(receipt => fieldsOf(receipt, 'receipt'))
  }
  const all = listOf({ receipts: await request('eth_getBlockReceipts', [numberToHex(number)]) }, 'receipts')
  const byHash = new Map(all.map(receipt => [receipt['transactionHash'], receipt]))
  return transactions.map(({ hash }) => fieldsOf(byHash.get(hash), 'receipt'))
}

async function isUnclesMiner({ request }: Asker, block: Fields, address: Address): Promise<boolean> {
  const uncles = Array.isArray(block['uncles']) ? block['uncles'] : []
  for (const index of uncles.keys()) {
    const uncle = await request('eth_getUncleByBlockNumberAndIndex', [block['number'], numberToHex(index)])
    if (isSame(fieldsOf(uncle, 'uncle')['miner'], address)) return true
  }
  return false
}

/** 0 where there is none. */
function amount(fields: Fields, name: string): bigint {
  return fields[name] === undefined || fields[name] === null ? 0n : parseQuantity(fields[name], name)
}

/** @param known in lower case */
function isSame(value: unknown, known: Hex): boolean {
  return typeof value === 'string' && value.toLowerCase() === known
}

function listOf(fields: Fields, name: string): Fields[] {
  const value = fields[name] ?? []
  if (!Array.isArray(value)) throw bad(name)
  return value.map(entry => fieldsOf(entry, name))
}

function fieldsOf(value: unknown, name: string): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw bad(name)
  return value as Fields
}

function bad(name: string): AppError {
  return new AppError('RPC_BAD_RESPONSE', `The node's answer has no valid ${name}.`, {
    hint: 'Another endpoint is asked; if this stays, the node is no Ethereum execution node.',
  })
}
