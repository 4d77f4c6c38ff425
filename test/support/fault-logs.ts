/**
 * What a bad endpoint answers to eth_getLogs: lists that lack something or are of another block, and refusals of ranges, in the words
 * of nodes and providers, with or without a range that would do.
 *
 * Always holds: one block alone is never refused, so whoever asks for less and less gets through.
 */
import type { Answer } from './fault-answers.ts'
import { count, type Play, plays } from './fault-schedule.ts'
import type { Fields } from './spoilt.ts'

type Asked = { readonly from: number; readonly to: number; readonly most: number }
type Words = { readonly code: number; readonly message: (asked: Asked) => string; readonly status?: number }
type Ask = (method: string, params: readonly unknown[]) => Promise<Answer>

const hex = (number: number) => `0x${number.toString(16)}`
const upTo = ({ from, most }: Asked) => `[${hex(from)}, ${hex(from + most - 1)}]`

/** How a range is refused. `never`: it is not answered at all. */
export const RANGE_WORDS: Readonly<Record<string, Words | 'never'>> = {
  'response size exceeded, with a range that should work': {
    code: -32_602,
    message: asked =>
      `Log response size exceeded. You can make eth_getLogs requests with up to a 2K block range and no limit on the response size, or you can request any block range with a cap of 10K logs in the response. Based on your parameters and the response size limit, this block range should work: ${upTo(asked)}`,
  },
  'a block range of a plan, with status 400': {
    code: -32_600,
    message: asked =>
      `Under the Free tier plan, you can make eth_getLogs requests with up to a ${asked.most} block range. Based on your parameters, this block range should work: ${upTo(asked)}. Upgrade to PAYG for expanded block range.`,
    status: 400,
  },
  'more results than allowed, with a range to try': {
    code: -32_005,
    message: asked => `query returned more than 10000 results. Try with this block range ${upTo(asked)}.`,
  },
  'more results than allowed': { code: -32_005, message: () => 'query returned more than 10000 results' },
  'limited to a range': { code: -32_614, message: ({ most }) => `eth_getLogs is limited to a ${most} range` },
  'a maximum range': { code: -32_000, message: ({ most }) => `exceed maximum block range: ${most}` },
  'range too large, under a code of its own': {
    code: -32_047,
    message: ({ most }) =>
      `Invalid eth_getLogs request. 'fromBlock'-'toBlock' range too large. Max range: ${most}. Please refer to the documentation`,
  },
  'range too wide': { code: -32_000, message: () => 'block range is too wide' },
  'a limit of the free tier': {
    code: 35,
    message: ({ most }) => `ranges over ${most} blocks are not supported on freetier`,
  },
  'limit exceeded': { code: -32_005, message: () => 'Block range limit exceeded' },
  'response too big, from what stands in front': { code: -32_020, message: () => 'backend response too large' },
  'status 413': { code: -32_000, message: () => 'Request Entity Too Large', status: 413 },
  'query timeout': {
    code: -32_000,
    message: () => 'Query timeout exceeded. Consider reducing your block range.',
  },
  'deadline of a context': { code: -32_000, message: () => 'context deadline exceeded' },
  'request timed out': { code: -32_002, message: () => 'request timed out' },
  'status 504': { code: -32_000, message: () => 'Gateway Time-out', status: 504 },
  'no answer at all': 'never',
}

/** undefined: never answered. */
export async function answerLogs(play: Play, params: readonly unknown[], ask: Ask): Promise<Answer | undefined> {
  const filter = (params[0] ?? {}) as Fields
  const range = await rangeOf(filter, ask)
  if (range === null) return ask('eth_getLogs', params)
  const refusal = await refuseRange(play, filter, range, ask)
  if (refusal !== null) return refusal === 'never' ? undefined : refusal
  return spoilLogs(play, filter, range, ask)
}

type Range = { readonly from: number; readonly to: number }

/** Also of a filter that names a block by its hash; null: there is no such block. */
async function rangeOf(filter: Fields, ask: Ask): Promise<Range | null> {
  const numberOf = async (method: string, block: unknown) => {
    const header = (await ask(method, [block, false])).result as Fields | null | undefined
    return header === null || header === undefined ? null : Number(header['number'])
  }
  if (filter['blockHash'] !== undefined) {
    const number = await numberOf('eth_getBlockByHash', filter['blockHash'])
    return number === null ? null : { from: number, to: number }
  }
  const read = async (block: unknown) =>
    String(block).startsWith('0x') ? Number(block) : numberOf('eth_getBlockByNumber', block ?? 'latest')
  const [from, to] = [await read(filter['fromBlock']), await read(filter['toBlock'])]
  return from === null || to === null ? null : { from, to }
}

async function refuseRange(play: Play, filter: Fields, range: Range, ask: Ask): Promise<Answer | 'never' | null> {
  const limit = play.schedule?.rangeLimit
  const blocks = range.to - range.from + 1
  if (limit === undefined || blocks <= 1) return null
  const isTooMuch =
    limit.of === 'blocks' ? blocks > limit.most : (await logsWithin(filter, range, ask)).length > limit.most
  if (!isTooMuch) return null
  count(play, 'range-refused')
  const words = RANGE_WORDS[limit.words]
  if (words === undefined) throw new RangeError(`no refusal is called ${limit.words}`)
  if (words === 'never') return words
  const most = limit.of === 'blocks' ? limit.most : await blocksUpTo(limit.most, filter, range, ask)
  const error = { code: words.code, message: words.message({ ...range, most }) }
  return words.status === undefined ? { error } : { error, status: words.status }
}

/** How many blocks from the lowest one on have that many logs at most; one at least. */
async function blocksUpTo(mostLogs: number, filter: Fields, range: Range, ask: Ask): Promise<number> {
  const logs = await logsWithin(filter, range, ask)
  const first = logs[mostLogs]
  return first === undefined ? range.to - range.from + 1 : Math.max(Number(first['blockNumber']) - range.from, 1)
}

async function logsWithin(filter: Fields, { from, to }: Range, ask: Ask): Promise<readonly Fields[]> {
  const { blockHash: _hash, ...rest } = filter
  const answer = await ask('eth_getLogs', [{ ...rest, fromBlock: hex(from), toBlock: hex(to) }])
  return (answer.result ?? []) as readonly Fields[]
}

async function spoilLogs(play: Play, filter: Fields, range: Range, ask: Ask): Promise<Answer> {
  const logs = await logsWithin(filter, range, ask)
  if (logs.length === 0) return { result: logs }
  if (plays(play, 'logs-empty')) return { result: [] }
  if (range.from > 0 && plays(play, 'logs-of-other-block')) {
    const before = { from: range.from - 1, to: Math.max(range.to - 1, 0) }
    return { result: await logsWithin(filter, before, ask) }
  }
  // As a node on a fork has them: the same logs under other hashes.
  if (plays(play, 'logs-of-other-branch'))
    return { result: logs.map(log => ({ ...log, blockHash: otherHash(log['blockHash']) })) }
  if (plays(play, 'logs-missing')) {
    const lost = play.dice.integer(0, logs.length - 1)
    return { result: logs.filter((_, index) => index !== lost) }
  }
  if (plays(play, 'logs-twice')) return { result: logs.flatMap(log => [log, log]) }
  const middle = range.from + ((range.to - range.from) >> 1)
  if (range.to > range.from && plays(play, 'logs-cut-short'))
    return { result: logs.filter(log => Number(log['blockNumber']) <= middle) }
  return { result: logs }
}

/** The hash of a block that nobody has. */
export function otherHash(hash: unknown): string {
  const digits = String(hash).slice(2)
  return `0x${digits.slice(32)}${digits.slice(0, 32)}`
}
