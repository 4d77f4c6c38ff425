/**
 * What a bad endpoint answers: the node's own answer, that of an older or another chain, or one that a careful reader can tell from
 * the truth.
 */
import { answerFrom } from './branch.ts'
import { complaint } from './fault-keys.ts'
import { answerLogs, otherHash } from './fault-logs.ts'
import { refuseMissing } from './fault-missing.ts'
import { count, type Play, plays } from './fault-schedule.ts'
import {
  type Fields,
  withForeignLog,
  withLogMissing,
  withLogTwice,
  withoutLogs,
  withTransactionsOf,
  withTransactionTwice,
} from './spoilt.ts'

/** `status`: of an HTTP answer, 200 if absent; `body`: what comes instead of JSON-RPC. */
export type Answer = {
  readonly result?: unknown
  readonly error?: { readonly code: number; readonly message: string }
  readonly status?: number
  readonly body?: string
}

const UPSTREAM_DEADLINE_MS = 20_000
/** A block is "just announced" while it is among this many newest ones. */
const RECENT_BLOCKS = 3
const METHOD_NOT_FOUND = -32_601
const SERVER_ERROR = -32_000
const INTERNAL_ERROR = -32_603
const LIMIT_EXCEEDED = -32_005
const TOO_MANY_REQUESTS = 429
const BLOCK_NOT_FOUND = -39_001

const STATE_METHODS: ReadonlySet<string> = new Set(['eth_getTransactionCount', 'eth_getBalance', 'eth_getCode'])
const STATE_GONE = 'missing trie node 5e2f (path ) state 0x5e2f is not available, not found'

/** undefined: it is never answered. */
export async function answerMethod(
  play: Play,
  method: string,
  params: readonly unknown[],
): Promise<Answer | undefined> {
  const missing = refuseMissing(play, method, params)
  if (missing !== null) return missing
  if (STATE_METHODS.has(method)) {
    const newestOf = play.schedule?.newestStateOf
    if (newestOf === 'all' || newestOf === params[0]) return ask(play, method, [params[0], 'latest'])
    if (await isStateGone(play, params.at(-1))) return { error: { code: SERVER_ERROR, message: STATE_GONE } }
  }
  const refusal = refuseForThePlan(play)
  if (refusal !== null) return { error: refusal }
  const view = play.schedule?.view ?? null
  if (view?.kind === 'other-chain' && play.stranger !== null) {
    count(play, view.kind)
    return askNode(play.stranger, method, params)
  }
  if (view?.kind === 'orphaned') {
    const answer = answerFrom(view.branch, method, params)
    count(play, 'orphaned')
    if (answer !== undefined) return { result: answer }
  }
  const limit = await visibleHead(play)
  if (method === 'eth_chainId' && plays(play, 'wrong-chain')) return { result: '0x5' }
  if (method === 'eth_getBlockReceipts' && plays(play, 'no-block-receipts')) {
    return { error: { code: METHOD_NOT_FOUND, message: 'the method eth_getBlockReceipts does not exist' } }
  }
  const askSeen = (asked: string, rest: readonly unknown[]) =>
    limit === null ? ask(play, asked, rest) : askWithin(play, asked, rest, limit)
  if (method === 'eth_getLogs') return answerLogs(play, params, askSeen)
  const seen = await askSeen(method, params)
  if (seen.error !== undefined || seen.result === null || seen.result === undefined) return seen
  if (method === 'eth_getBlockByNumber') return spoilBlock(play, params, seen)
  if (method.startsWith('eth_getTransaction') && typeof seen.result === 'object')
    return spoilTransaction(play, method, seen)
  if (method === 'eth_getBlockReceipts') return spoilReceipts(play, params, seen)
  return seen
}

/** What a plan does not include, and what fails for no reason. */
function refuseForThePlan(play: Play): NonNullable<Answer['error']> | null {
  const { keys } = play
  if (plays(play, 'quota')) {
    const message = complaint(keys, 'daily request count exceeded, request rate limited')
    return { code: LIMIT_EXCEEDED, message }
  }
  if (plays(play, 'throttled-error')) {
    const message = complaint(keys, 'Your app has exceeded its compute units per second capacity')
    return { code: TOO_MANY_REQUESTS, message }
  }
  if (plays(play, 'internal-error')) return { code: INTERNAL_ERROR, message: complaint(keys, 'Internal error') }
  return null
}

async function spoilBlock(play: Play, params: readonly unknown[], seen: Answer): Promise<Answer> {
  const [number, isWhole] = params
  const block = seen.result as Fields
  if ((number === 'safe' || number === 'finalized') && plays(play, 'no-tags'))
    return { error: { code: BLOCK_NOT_FOUND, message: `${number} block not found` } }
  if (number === 'latest') return spoilHead(play, block)
  if ((await isRecent(play, number)) && plays(play, 'null-block')) return { result: null }
  const before = hex(Number(number) - 1)
  if (!(Number(number) > 0)) return seen
  if (plays(play, 'foreign-block')) return ask(play, 'eth_getBlockByNumber', [before, isWhole])
  if (isWhole !== true) return seen
  const twice = withTransactionTwice(block)
  if (twice !== null && plays(play, 'transaction-twice')) return { result: twice }
  if ((play.schedule?.rates['foreign-transactions'] ?? 0) === 0) return seen
  const other = (await ask(play, 'eth_getBlockByNumber', [before, true])).result as Fields
  const foreign = withTransactionsOf(block, other)
  return foreign !== null && plays(play, 'foreign-transactions') ? { result: foreign } : seen
}

function spoilHead(play: Play, head: Fields): Answer {
  const { number, hash } = head
  const next = { number: hex(Number(number) + 1), hash: otherHash(hash), parentHash: hash }
  if (plays(play, 'early-head')) return { result: { ...head, ...next } }
  if (plays(play, 'foreign-head')) return { result: { ...head, hash: otherHash(hash) } }
  return { result: head }
}

async function spoilTransaction(play: Play, method: string, seen: Answer): Promise<Answer> {
  if (plays(play, 'null-transaction')) return { result: null }
  const fault = method === 'eth_getTransactionReceipt' ? 'foreign-receipt' : 'foreign-transaction'
  if ((play.schedule?.rates[fault] ?? 0) === 0) return seen
  const found = seen.result as Fields
  const block = (await ask(play, 'eth_getBlockByNumber', [found['blockNumber'], false])).result as Fields | null
  const hashes = (block?.['transactions'] ?? []) as readonly unknown[]
  const other = hashes.find(hash => hash !== (found['transactionHash'] ?? found['hash']))
  return other !== undefined && plays(play, fault) ? ask(play, method, [other]) : seen
}

async function spoilReceipts(play: Play, params: readonly unknown[], seen: Answer): Promise<Answer> {
  if ((await isRecent(play, params[0])) && plays(play, 'null-receipts')) return { result: null }
  const receipts = seen.result as readonly Fields[]
  if (Number(params[0]) > 0 && plays(play, 'foreign-receipts'))
    return ask(play, 'eth_getBlockReceipts', [hex(Number(params[0]) - 1)])
  const [first] = receipts
  if (first === undefined) return seen
  const spoilt = {
    'duplicate-receipts': [first, ...receipts],
    'missing-receipts': receipts.slice(0, -1),
    'receipts-without-logs': withoutLogs(receipts),
    'log-twice': withLogTwice(receipts),
    'log-missing': withLogMissing(receipts),
    'foreign-log': withForeignLog(receipts, first['transactionHash']),
  } as const
  for (const [fault, result] of Object.entries(spoilt))
    if (result !== null && plays(play, fault as keyof typeof spoilt)) return { result }
  return seen
}

/** The height of the newest block that this endpoint admits; null: of all. */
async function visibleHead(play: Play): Promise<number | null> {
  const view = play.schedule?.view ?? null
  if (play.announced !== null && performance.now() < play.announced.until) return play.announced.number - 1
  if (view === null || view.kind === 'other-chain') return null
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
  if (method === 'eth_getLogs') {
    const answer = await ask(play, method, params)
    const logs = (answer.result ?? []) as readonly Fields[]
    return answer.error === undefined ? { result: logs.filter(log => Number(log['blockNumber']) <= limit) } : answer
  }
  if (method === 'eth_call' || method === 'eth_getTransactionCount' || method === 'eth_getCode') {
    const at = params.at(-1)
    if (at === 'latest') return ask(play, method, [...params.slice(0, -1), hex(limit)])
    if (Number(at) > limit) return { error: { code: SERVER_ERROR, message: 'header not found' } }
  }
  return ask(play, method, params)
}

async function isStateGone(play: Play, block: unknown): Promise<boolean> {
  const kept = play.schedule?.keepsStates
  if (kept === undefined || Number(block) > (await headOf(play)) - kept) return false
  count(play, 'state-gone')
  return true
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

function ask(play: Play, method: string, params: readonly unknown[]): Promise<Answer> {
  return askNode(play.target, method, params)
}

async function askNode(url: string, method: string, params: readonly unknown[]): Promise<Answer> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }),
    signal: AbortSignal.timeout(UPSTREAM_DEADLINE_MS),
  })
  return (await response.json()) as Answer
}
