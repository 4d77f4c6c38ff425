/**
 * What the node says to each question, and of which kind the question was.
 *
 * Always holds: an answer is made of prepared text; a method that the node does not know is refused with −32601, as nodes do. A block
 * above the head is not there: null, and its logs are none.
 */

import { FIRST_HEIGHT } from '../chain/generated-chain.ts'
import { fill, type Sheet } from '../chain/sheet.ts'
import { findLogs, type LogFilter } from './log-filter.ts'
import { type Served, tagHeight } from './served.ts'
import type { Kind } from './tally.ts'

export type Answer = {
  readonly kind: Kind
  /** The block that it is about, if it is there. */
  readonly height: number | null
  /** JSON in pieces, or a refusal. */
  readonly result: readonly Buffer[] | { readonly code: number; readonly message: string }
}

/** What this node has told so far, for telling news from what is known. */
export type Told = { head: number }

const METHOD_NOT_FOUND = -32_601
const INVALID_PARAMS = -32_602
const NULL = [Buffer.from('null')]
const EMPTY = [Buffer.from('"0x"')]
const ZERO = [Buffer.from('"0x0"')]
const DECIMALS = '0x313ce567'
const EIGHTEEN = [Buffer.from(`"0x${(18).toString(16).padStart(64, '0')}"`)]

export function answerTo(served: Served, told: Told, method: string, params: readonly unknown[]): Answer {
  const { chain, head } = served
  const [first, second] = params
  switch (method) {
    case 'eth_chainId':
      return other(quantity(chain.spec.chainId))
    case 'net_version':
      return other([Buffer.from(`"${chain.spec.chainId}"`)])
    case 'web3_clientVersion':
      return other([Buffer.from('"Replay/v1.0.0"')])
    case 'eth_syncing':
      return other([Buffer.from('false')])
    case 'eth_blockNumber':
      return headAnswer(told, head, quantity(head))
    case 'eth_getBlockByNumber':
      return blockByNumber(served, told, String(first), second === true)
    case 'eth_getBlockByHash':
      return block(served, told, heightOfHash(served, String(first)), second === true)
    case 'eth_getBlockReceipts':
      return receipts(served, String(first))
    case 'eth_getTransactionReceipt':
      return transactionPart(served, String(first), 'receipts')
    case 'eth_getTransactionByHash':
      return transactionPart(served, String(first), 'transactions')
    case 'eth_getLogs':
      return logs(served, first ?? {})
    case 'eth_call':
      return other((first as { data?: string; input?: string } | null)?.data === DECIMALS ? EIGHTEEN : EMPTY)
    case 'eth_getCode':
      return other(EMPTY)
    case 'eth_getBalance':
    case 'eth_getTransactionCount':
      return other(ZERO)
    default:
      return other({ code: METHOD_NOT_FOUND, message: `the method ${method} does not exist/is not available` })
  }
}

function other(result: Answer['result']): Answer {
  return { kind: 'other', height: null, result }
}

function idle(result: Answer['result'] = NULL): Answer {
  return { kind: 'idle', height: null, result }
}

function headAnswer(told: Told, head: number, result: Answer['result']): Answer {
  if (head <= told.head) return idle(result)
  told.head = head
  return { kind: 'block', height: head, result }
}

function blockByNumber(served: Served, told: Told, which: string, full: boolean): Answer {
  const { head } = served
  if (which === 'latest' || which === 'pending') return headAnswer(told, head, blockText(served, head, full))
  if (which === 'safe' || which === 'finalized') {
    const height = tagHeight(head, which)
    return { kind: 'tag', height, result: blockText(served, height, full) }
  }
  return block(served, told, heightOf(served, which), full)
}

function block(served: Served, told: Told, height: number | null, full: boolean): Answer {
  if (height === null) return idle()
  const isLookBack = !full && height <= told.head
  told.head = Math.max(told.head, height)
  return { kind: isLookBack ? 'tag' : 'block', height, result: blockText(served, height, full) }
}

function blockText(served: Served, height: number, full: boolean): Buffer[] {
  const { full: all, light } = served.chain.mouldAt(height)
  return textOf(served, height, full ? all : light)
}

function receipts(served: Served, which: string): Answer {
  const height = which.length === 66 ? heightOfHash(served, which) : heightOf(served, which)
  if (height === null) return idle()
  return { kind: 'block', height, result: textOf(served, height, served.chain.mouldAt(height).receipts) }
}

function transactionPart(served: Served, hash: string, part: 'receipts' | 'transactions'): Answer {
  const found = served.chain.findTransaction(hash)
  if (found === null || found.height > served.head) return idle()
  const sheet = served.chain.mouldAt(found.height)[part]
  const item = sheet.items[found.index]
  if (item === undefined) return idle()
  const [text] = textOf(served, found.height, sheet)
  return {
    kind: 'block',
    height: found.height,
    result: text === undefined ? NULL : [text.subarray(item.start, item.end)],
  }
}

function logs(served: Served, filter: LogFilter): Answer {
  if (filter.blockHash !== undefined) {
    const height = heightOfHash(served, filter.blockHash)
    if (height === null) return other({ code: -32_000, message: 'unknown block' })
    return { kind: 'block', height, result: findLogs(served, height, height, filter) }
  }
  const from = heightOrHead(served, filter.fromBlock)
  const to = Math.min(heightOrHead(served, filter.toBlock), served.head)
  if (Number.isNaN(from) || Number.isNaN(to)) return other({ code: INVALID_PARAMS, message: 'invalid block range' })
  if (from > to) return idle([Buffer.from('[]')])
  return { kind: 'block', height: from, result: findLogs(served, Math.max(from, FIRST_HEIGHT), to, filter) }
}

function heightOrHead({ head }: Served, which: string | undefined): number {
  return which === undefined || which === 'latest' || which === 'pending'
    ? head
    : which === 'safe' || which === 'finalized'
      ? tagHeight(head, which)
      : Number(which)
}

/** null: there is no such block yet. */
function heightOf(served: Served, which: string): number | null {
  const height = which === 'earliest' ? FIRST_HEIGHT : heightOrHead(served, which)
  return height >= FIRST_HEIGHT && height <= served.head ? height : null
}

function heightOfHash({ chain, head }: Served, hash: string): number | null {
  const height = chain.findBlock(hash)
  return height !== null && height <= head ? height : null
}

function textOf({ chain }: Served, height: number, sheet: Sheet): Buffer[] {
  return [fill(sheet, chain.fillingAt(height))]
}

function quantity(value: number): Buffer[] {
  return [Buffer.from(`"0x${value.toString(16)}"`)]
}
