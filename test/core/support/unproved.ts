/**
 * What may be changed in an answer without a proof noticing: all of it, each with its reason. Anything that is not here is noticed.
 */

import { type Answer, type Change, patternOf, valueAt } from './answers.ts'

type Exception = { readonly reason: string; readonly matches: (change: Change, answer: Answer) => boolean }

const pattern = (change: Change): string => patternOf(change.path)
/** The object that the changed field is in. */
const around = ({ path }: Change, answer: Answer): Record<string, unknown> =>
  valueAt(answer, path.slice(0, -1)) as Record<string, unknown>

/** Fields that neither a hash nor this program needs, and that older nodes lack: left out, they claim nothing. */
const MAY_BE_MISSING: ReadonlySet<string> = new Set([
  'block.size',
  'block.totalDifficulty',
  'block.uncles',
  'block.transactions.*.blockNumber',
  'block.transactions.*.blockTimestamp',
  'block.transactions.*.authorizationList.*.authority',
  'receipts.*.blockNumber',
  'receipts.*.from',
  'receipts.*.to',
  'receipts.*.type',
  'receipts.*.effectiveGasPrice',
  'receipts.*.blobGasUsed',
  'receipts.*.blobGasPrice',
  'receipts.*.logsBloom',
  'receipts.*.logs.*.blockNumber',
  'receipts.*.logs.*.blockTimestamp',
  'receipts.*.logs.*.transactionHash',
  'receipts.*.logs.*.transactionIndex',
  'receipts.*.logs.*.removed',
])

/** Gnosis, Prague, and the two blob-only forks since: e^(excess / fraction), as a float. */
function scheduledPrices(answer: Answer): number[] {
  const excess = Number(answer.block['excessBlobGas'])
  return [1_112_826, 5_007_716, 8_346_193, 11_684_671].map(fraction => Math.floor(Math.exp(excess / fraction)))
}

const EXCEPTIONS: readonly Exception[] = [
  {
    reason: 'What is left out claims nothing.',
    matches: change => change.after === undefined && MAY_BE_MISSING.has(pattern(change)),
  },
  {
    reason: 'null is the same as nothing.',
    matches: change => change.after === undefined && change.before === null,
  },
  {
    reason: 'The type 0 is also that of a transaction which names none.',
    matches: change =>
      change.after === undefined && change.before === '0x0' && pattern(change) === 'block.transactions.*.type',
  },
  {
    reason: 'The price that was paid is in `gasPrice` only by courtesy where a transaction caps it.',
    matches: (change, answer) =>
      change.after === undefined &&
      pattern(change) === 'block.transactions.*.gasPrice' &&
      Number(around(change, answer)['type']) > 1,
  },
  {
    reason: 'A legacy transaction has its chain in v.',
    matches: (change, answer) =>
      change.after === undefined &&
      pattern(change) === 'block.transactions.*.chainId' &&
      Number(around(change, answer)['type']) === 0,
  },
  {
    reason: 'v and yParity say the same in a typed transaction: one is enough.',
    matches: (change, answer) => {
      if (change.after !== undefined || !/^block\.transactions\.\*\.(?:v|yParity)$/.test(pattern(change))) return false
      const { v, yParity, type } = around(change, answer)
      return Number(type) > 0 && v !== undefined && yParity !== undefined
    },
  },
  {
    reason: 'The total difficulty sums up all blocks before: nothing in an answer shows it.',
    matches: change => pattern(change) === 'block.totalDifficulty',
  },
  {
    reason: 'sha3Uncles is of whole headers. Only none, too many and twice the same can be told from their hashes.',
    matches: (change, answer) => {
      if (change.path[1] !== 'uncles') return false
      const after = change.path.length === 2 ? (change.after as unknown[]) : (answer.block['uncles'] as unknown[])
      return after.length > 0 && new Set(after).size === after.length
    },
  },
  {
    reason: 'The size of uncles is not in an answer.',
    matches: (change, answer) => pattern(change) === 'block.size' && (answer.block['uncles'] as unknown[]).length > 0,
  },
  {
    reason: 'Some nodes leave the withdrawals out of the size.',
    matches: (change, answer) =>
      pattern(change) === 'block.size' &&
      answer.block['withdrawals'] !== undefined &&
      Number(change.after) < Number(change.before),
  },
  {
    reason: 'Some versions of geth write 0 where they do not know the time of a log.',
    matches: change => pattern(change) === 'receipts.*.logs.*.blockTimestamp' && Number(change.after) === 0,
  },
  {
    reason: 'No field of a header tells which of the blob schedules since Prague holds.',
    matches: (change, answer) =>
      pattern(change) === 'receipts.*.blobGasPrice' && scheduledPrices(answer).includes(Number(change.after)),
  },
  {
    reason: 'Nodes differ on a creation that failed: the address that it would have had, or none.',
    matches: (change, answer) =>
      pattern(change) === 'receipts.*.contractAddress' &&
      (change.after === null || change.after === undefined) &&
      around(change, answer)['status'] === '0x0',
  },
]

export const REASONS: readonly string[] = EXCEPTIONS.map(({ reason }) => reason)

/** Why a proof can't notice this change; null if it has to. */
export function reasonNotToNotice(change: Change, answer: Answer): string | null {
  return EXCEPTIONS.find(({ matches }) => matches(change, answer))?.reason ?? null
}
