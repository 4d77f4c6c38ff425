/**
 * Where a wallet's native history is, found from the state of its account instead of from the blocks.
 *
 * The search itself and what it rests on are in `core/native-history.ts`; here its questions are put to nodes, as work that can wait.
 * Nothing is written: whoever is stopped begins again.
 */

import pMap from 'p-map'
import { type Answer, codeKindOf, type Findings, type Question, searchNativeHistory } from '../core/native-history.ts'
import type { Range } from '../core/range.ts'
import type { Address } from '../core/types.ts'
import type { Source } from '../source/source.ts'
import type { ChainContext } from './context.ts'

const AT_ONCE = 16
/** What a whole block takes: itself and its receipts. */
const CALLS_PER_BLOCK = 2

/** Every block of the range is in one of the three. Whoever reads hits and `whole` has every row of the wallet's native history. */
export type NativeHistory = Findings & {
  /** Questions that were put to nodes, repetitions aside. */
  readonly calls: number
}

/**
 * @param range final blocks
 * @param isKey a signature of the wallet was seen elsewhere: then it is no contract that is yet to come
 * @throws AppError as the source does
 */
export async function findNativeHistory(
  { source }: ChainContext,
  wallet: Address,
  range: Range,
  signal: AbortSignal,
  isKey = false,
): Promise<NativeHistory> {
  const background = source.inBackground()
  const search = searchNativeHistory(range, { isKey, atOnce: AT_ONCE })
  let calls = 0
  let step = search.next()
  while (step.done !== true) {
    const questions: readonly Question[] = step.value
    calls += questions.reduce((sum, { of }) => sum + (of === 'signature' ? CALLS_PER_BLOCK : 1), 0)
    const answers = await pMap(questions, question => ask(background, wallet, question, signal), {
      concurrency: AT_ONCE,
    })
    step = search.next(answers)
  }
  return { ...step.value, calls }
}

async function ask(source: Source, wallet: Address, { of, block }: Question, signal: AbortSignal): Promise<Answer> {
  switch (of) {
    case 'nonce':
      return source.nonceAt(wallet, block, signal)
    case 'balance':
      return source.balanceAt(wallet, block, signal)
    case 'code': {
      const code = await source.codeAt(wallet, block, signal)
      return code === null ? null : codeKindOf(code)
    }
    case 'signature':
      return hasSigned(source, wallet, block, signal)
  }
}

/** Whether a block holds a transaction from the wallet, or an authorization that it signed: for what it was, and whether it counted. */
async function hasSigned(source: Source, wallet: Address, number: number, signal: AbortSignal): Promise<boolean> {
  const nobody = { wallet: () => false, transaction: () => false }
  const { transactions } = await source.block(number, signal, nobody)
  return transactions.some(
    ({ from, authorizations }) => from === wallet || authorizations.some(({ authority }) => authority === wallet),
  )
}
