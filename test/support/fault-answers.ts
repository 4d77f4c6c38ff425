/**
 * What a bad endpoint answers: the node's own answer, that of an older or another chain, or one that a careful reader can tell from
 * the truth.
 */
import { answerFrom } from './branch.ts'
import { count, type Play, plays } from './fault-schedule.ts'
import { type Fields, withForeignLog, withLogTwice, withoutLogs, withTransactionsOf } from './spoilt.ts'

export type Answer = { readonly result?: unknown; readonly error?: { readonly code: number; readonly message: string } }

const UPSTREAM_DEADLINE_MS = 20_000
/** A block is "just announced" while it is among this many newest ones. */
const RECENT_BLOCKS = 3
const METHOD_NOT_FOUND = -32_601
const SERVER_ERROR = -32_000
const LIMIT_EXCEEDED = -32_005
const BLOCK_NOT_FOUND = -39_001

export async function answerMethod(play: Play, method: string, params: readonly unknown[]): Promise<Answer> {
  const view = play.schedule?.view ?? null
  if (view?.kind === 'orphaned') {
    const answer = answerFrom(view.branch, method, params)
    count(play, 'orphaned')
    if (answer !== undefined) return { result: answer }
  }
  const limit = await visibleHead(play)
  if (plays(play, 'quota'))
    return { error: { code: LIMIT_EXCEEDED, message: 'daily request count exceeded, request rate limited' } }
  if (method === 'eth_chainId' && plays(play, 'wrong-chain')) return { result: '0x5' }
  if (method === 'eth_getBlockReceipts' && plays(play, 'no-block-receipts')) {
    return { error: { code: METHOD_NOT_FOUND, message: 'the method eth_getBlockReceipts does not exist' } }
  }
  const seen = limit === null ? await ask(play, method, params) : await askWithin(play, method, params, limit)
  if (seen.error !== undefined || seen.result === null || seen.result === undefined) return seen
  if (method === 'eth_getBlockByNumber') return spoilBlock(play, params, seen)
  if (method.startsWith('eth_getTransaction') && typeof seen.result === 'object' && plays(play, 'null-transaction'))
    return { result: null }
  if (method === 'eth_getBlockReceipts') return spoilReceipts(play, params, seen)
  return seen
}

async function spoilBlock(play: Play, params: readonly unknown[], seen: Answer): Promise<Answer> {
  const [number, isWhole] = params
  if ((number === 'safe' || number === 'finalized') && plays(play, 'no-tags'))
    return { error: { code: BLOCK_NOT_FOUND, message: `${number} block not found` } }
  if ((await isRecent(play, number)) && plays(play, 'null-block')) return { result: null }
  const before = hex(Number(number) - 1)
  if (!(Number(number) > 0)) return seen
  if (plays(play, 'foreign-block')) return ask(play, 'eth_getBlockByNumber', [before, isWhole])
  if (isWhole !== true || !plays(play, 'foreign-transactions')) return seen
  const other = (await ask(play, 'eth_getBlockByNumber', [before, true])).result as Fields
  return { result: withTransactionsOf(seen.result as Fields, other) ?? seen.result }
}

async function spoilReceipts(play: Play, params: readonly unknown[], seen: Answer): Promise<Answer> {
  if ((await isRecent(play, params[0])) && plays(play, 'null-receipts')) return { result: null }
  const receipts = seen.result as readonly Fields[]
  if (Number(params[0]) > 0 && plays(play, 'foreign-receipts'))
    return ask(play, 'eth_getBlockReceipts', [hex(Number(params[0]) - 1)])
  const [first] = receipts
  if (first === undefined) return seen
  if (plays(play, 'duplicate-receipts')) return { result: [first, ...receipts] }
  if (plays(play, 'missing-receipts')) return { result: receipts.slice(0, -1) }
  if (plays(play, 'receipts-without-logs')) return { result: withoutLogs(receipts) ?? receipts }
  if (plays(play, 'log-twice')) return { result: withLogTwice(receipts) ?? receipts }
  if (plays(play, 'foreign-log')) return { result: withForeignLog(receipts, first['transactionHash']) ?? receipts }
  return seen
}

/** The height of the newest block that this endpoint admits; null: of all. */
async function visibleHead(play: Play): Promise<number | null> {
  const view = play.schedule?.view ?? null
  if (view === null) return null
  const head = await headOf(play)
  if (view.kind === 'orphaned') return view.branch.head
  count(play, view.kind)
  if (view.kind === 'standing-head') {
    play.standsAt ??= head
    return Math.min(play.standsAt, head)
  }
  const behind = view.kind === 'lagging' ? view.blocks : play.dice.integer(0, view.blocks)
  return Math.max(head - behind, 0)
}

/** Answers as a node that has nothing above `limit`. */
async function askWithin(play: Play, method: string, params: readonly unknown[], limit: number): Promise<Answer> {
  if (method === 'eth_blockNumber') return { result: hex(limit) }
  if (method === 'eth_getBlockByNumber' || method === 'eth_getBlockReceipts') {
    const [tag, ...rest] = params
    if (tag === 'latest') return ask(play, method, [hex(limit), ...rest])
    if (String(tag).startsWith('0x')) return Number(tag) > limit ? { result: null } : ask(play, method, params)
    const answer = await ask(play, method, params)
    const tagged = answer.result as Fields | null | undefined
    return Number(tagged?.['number'] ?? 0) > limit ? ask(play, method, [hex(limit), ...rest]) : answer
  }
  if (method === 'eth_getTransactionByHash' || method === 'eth_getTransactionReceipt') {
    const answer = await ask(play, method, params)
    const found = answer.result as Fields | null | undefined
    if (Number(found?.['blockNumber'] ?? 0) <= limit) return answer
    if (method === 'eth_getTransactionReceipt') return { result: null }
    return { result: { ...found, blockNumber: null, blockHash: null, transactionIndex: null } }
  }
  if (method === 'eth_call' || method === 'eth_getTransactionCount' || method === 'eth_getCode') {
    const at = params.at(-1)
    if (at === 'latest') return ask(play, method, [...params.slice(0, -1), hex(limit)])
    if (Number(at) > limit) return { error: { code: SERVER_ERROR, message: 'header not found' } }
  }
  return ask(play, method, params)
}

async function isRecent(play: Play, block: unknown): Promise<boolean> {
  if (!String(block).startsWith('0x')) return false
  return Number(block) > (await headOf(play)) - RECENT_BLOCKS
}

async function headOf(play: Play): Promise<number> {
  return Number((await ask(play, 'eth_blockNumber', [])).result)
}

function hex(number: number): string {
  return `0x${number.toString(16)}`
}

async function ask(play: Play, method: string, params: readonly unknown[]): Promise<Answer> {
  const response = await fetch(play.target, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }),
    signal: AbortSignal.timeout(UPSTREAM_DEADLINE_MS),
  })
  return (await response.json()) as Answer
}
