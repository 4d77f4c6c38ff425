/**
 * Where a wallet's native history is, found from the state of its account instead of from the blocks.
 *
 * The search itself and what it rests on are in `core/native-history.ts`; here its questions are put to nodes, as work that can wait.
 * Nothing is written: whoever is stopped begins again.
 */

import { interestOf } from '../core/interest.ts'
import pMap from 'p-map'
import { type Answer, codeKindOf, type Findings, type Question, searchNativeHistory } from '../core/native-history.ts'
import type { AccountState } from '../core/native-history-explain.ts'
import type { Range } from '../core/range.ts'
import type { Address } from '../core/types.ts'
import { AppError } from '../errors.ts'
import type { Source } from '../source/source.ts'
import type { ChainContext } from './context.ts'

const AT_ONCE = 16
const MAX_WITNESSES = 2
/** Nonce and balance. */
const CALLS_PER_ACCOUNT = 2
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
  { chain, source, log }: Pick<ChainContext, 'chain' | 'source' | 'log'>,
  wallet: Address,
  range: Range,
  signal: AbortSignal,
  isKey = false,
): Promise<NativeHistory> {
  const background = source.inBackground()
  const ends = await askEnds(background, wallet, range, signal)
  let { calls } = ends
  if (ends.problem !== null) {
    log.warn(
      { chain: chain.name, wallet, error: ends.problem },
      'Endpoints differ about an account: its blocks are read',
    )
    return { hits: [], whole: [{ range, reason: 'inconsistent' }], empty: [], changes: [], calls }
  }
  const search = searchNativeHistory(range, { isKey, atOnce: AT_ONCE })
  let step = search.next()
  while (step.done !== true) {
    const answers = await pMap(
      step.value,
      async (question: Question) => {
        const { of, block } = question
        const end = ends.states.get(block)
        if (end !== undefined && (of === 'nonce' || of === 'balance')) return end?.[of] ?? null
        calls += of === 'signature' ? CALLS_PER_BLOCK : 1
        return ask(background, wallet, question, signal)
      },
      { concurrency: AT_ONCE },
    )
    step = search.next(answers)
  }
  return { ...step.value, calls }
}

type Ends = {
  readonly states: ReadonlyMap<number, AccountState | null>
  readonly calls: number
  /** Why they can't be believed. */
  readonly problem: AppError | null
}

/** The states between which everything is searched, each as two endpoints have it, where there are two. */
async function askEnds(source: Source, wallet: Address, { from, to }: Range, signal: AbortSignal): Promise<Ends> {
  const states = new Map<number, AccountState | null>()
  const witnesses = Math.min(source.health().length, MAX_WITNESSES)
  const blocks = [...new Set([Math.max(from - 1, 0), to])]
  const calls = blocks.length * CALLS_PER_ACCOUNT * witnesses
  try {
    // The lowest first: what an endpoint shows there counts for all above it.
    for (const block of blocks) states.set(block, await source.accountAt(wallet, block, signal, witnesses))
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== 'RPC_INCONSISTENT') throw error
    return { states, calls, problem: error }
  }
  return { states, calls, problem: null }
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
  const nobody = interestOf({ wallet: () => false, transaction: () => false })
  const { transactions } = await source.block(number, signal, nobody)
  return transactions.some(
    ({ from, authorizations }) => from === wallet || authorizations.some(({ authority }) => authority === wallet),
  )
}
