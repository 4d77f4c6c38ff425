/**
 * `verify`: derives the rows of a range again from the chain and compares them with the database.
 */

import { type App, withApp } from '../app.ts'
import { findChain } from '../config/env.ts'
import { describeFailure } from '../source/failure.ts'
import { rangesOf } from '../core/proof.ts'
import {
  countBlocks,
  intersectRanges,
  mergeRanges,
  type Range,
  type Ranges,
  splitRanges,
  subtractRanges,
} from '../core/range.ts'
import type { Address, Hash } from '../core/types.ts'
import { AppError } from '../errors.ts'
import { createProgress } from '../ops/progress.ts'
import type { ChainContext } from '../steps/context.ts'
import { repairBlock } from '../steps/repair.ts'
import { compareActivities, compareTransactions, type Difference } from '../verify/compare.ts'
import { deriveRows } from '../verify/derive.ts'
import { readActivities, readTransactions } from '../verify/read.ts'
import type { CommandInput, ExitCode } from './command.ts'
import { describeProved, type Named, nameWallet } from './verify-wallet.ts'

/** Blocks that are derived and compared at a time. */
const PIECE_BLOCKS = 50
const MAX_WALLETS_NAMED = 5
const HEAD_DEADLINE_MS = 30_000

export type VerifyOptions = {
  readonly chain: string
  readonly fromBlock: number
  readonly toBlock: number
  /** Empty: every tracked wallet. */
  readonly wallets: readonly Address[]
  readonly repair: boolean
}

export function runVerify(input: CommandInput, options: VerifyOptions): Promise<ExitCode> {
  return withApp<ExitCode>({ ...input, logTo: 2, migrate: false }, app => verify(app, input, options))
}

/** The command within an App that is there already. */
export async function verify(
  app: App,
  input: Pick<CommandInput, 'print' | 'terminal' | 'signal'>,
  options: VerifyOptions,
): Promise<ExitCode> {
  const { print, terminal, signal } = input
  const { chain } = findChain(app.config, options.chain)
  const context = app.context(chain.id)
  const range = { from: options.fromBlock, to: options.toBlock }
  if (range.from > range.to) throw new AppError('USAGE', `--from-block ${range.from} is above --to-block ${range.to}.`)
  await app.registry.refresh('now', signal)
  const scope = await scopeOf(context, range, options.wallets, print)
  const total = countBlocks(scope.covered)
  const progress = createProgress({
    label: `verify ${chain.name}`,
    total,
    unit: 'blocks',
    clock: app.clock,
    terminal,
    onLine: text => app.log.info(text),
  })
  const differences: Difference[] = []
  const compared = new Map<string, number>()
  let done = 0
  for (const piece of splitRanges(scope.covered, PIECE_BLOCKS)) {
    if (signal.aborted) throw new AppError('ABORTED', 'Stopped before the end.')
    const found = await comparePiece(app, context, piece, scope)
    differences.push(...found.differences)
    for (const { wallet_address: wallet } of found.activities) compared.set(wallet, (compared.get(wallet) ?? 0) + 1)
    done += piece.to - piece.from + 1
    progress.update(done)
  }
  if (total > 0) progress.end()
  for (const { text } of differences) print(text)
  for (const each of scope.named)
    for (const line of describeProved(each, chain.name, compared, differences)) print(line)
  print(
    `${chain.name}: ${total} blocks, ${scope.wallets.size} wallets, ${differences.length === 0 ? 'no differences' : `${differences.length} differences`}.`,
  )
  if (differences.length > 0 && options.repair) return repair(app, context, differences, scope, input, options)
  return differences.length === 0 && scope.missing === 0 ? 0 : 1
}

type VerifyScope = {
  /** Every tracked wallet: whose a transaction is depends on all who take part. */
  readonly owners: ReadonlyMap<Address, string | null>
  /** Those that are compared. */
  readonly wallets: ReadonlySet<Address>
  /** Only some wallets are. */
  readonly isNarrow: boolean
  /** What of the range is complete for the tracked set, or for the wallets that were named. */
  readonly covered: Ranges
  /** The wallets that were named, each with what is complete for it. */
  readonly named: readonly Named[]
  /** Blocks of the range that are not complete for one of them. */
  readonly missing: number
  readonly coverageOf: (wallet: Address) => Ranges
  readonly headNumber: number
  readonly finalizedNumber: number
}

async function scopeOf(
  context: ChainContext,
  range: Range,
  only: readonly Address[],
  print: (line: string) => void,
): Promise<VerifyScope> {
  const { chain, store, source } = context
  const asked = mergeRanges([range])
  const owners = new Map<Address, string | null>()
  for await (const changes of store.loadWallets(0)) {
    for (const { address, userId, tracked } of changes) {
      if (tracked) owners.set(address, userId)
    }
  }
  for (const wallet of only) {
    if (!owners.has(wallet))
      throw new AppError('USAGE', `${wallet} is not tracked.`, {
        hint: 'Only wallets of users and of the watch-list have rows.',
      })
  }
  const wallets = new Set(only.length === 0 ? owners.keys() : only)
  const differing = new Map([...(await store.differingCoverage(chain.id))].filter(([wallet]) => owners.has(wallet)))
  const set = await store.coverage(chain.id)
  const coverageOf = (wallet: Address) => differing.get(wallet) ?? set
  const covered = intersectRanges(asked, only.length === 0 ? set : mergeRanges(only.flatMap(coverageOf)))
  const checkpoint = await store.checkpoint(chain.id)
  const head = checkpoint ?? (await source.head(AbortSignal.timeout(HEAD_DEADLINE_MS)))
  const finalizedNumber = Math.min(checkpoint?.finalizedNumber ?? -1, head.number)
  const named: Named[] = []
  for (const wallet of only) named.push(await nameWallet(context, wallet, asked, finalizedNumber))
  if (only.length === 0) tellMissing(chain.name, subtractRanges(asked, covered), differing, covered, print)
  const missing = only.length === 0 ? subtractRanges(asked, covered) : rangesOf(named.flatMap(each => each.missing))
  const isNarrow = only.length > 0
  return {
    owners,
    wallets,
    isNarrow,
    covered,
    named,
    missing: countBlocks(missing),
    coverageOf,
    headNumber: head.number,
    finalizedNumber,
  }
}

/** What of a range is not complete for the tracked set, and who is not complete where that is. */
function tellMissing(
  chain: string,
  missing: Ranges,
  differing: ReadonlyMap<Address, Ranges>,
  covered: Ranges,
  print: (line: string) => void,
): void {
  for (const { from, to } of missing) print(`${chain}: blocks ${from} to ${to} are not indexed; backfill takes them.`)
  const partial = [...differing]
    .filter(([, ranges]) => subtractRanges(covered, ranges).length > 0)
    .map(([wallet]) => wallet)
  if (partial.length === 0) return
  const named = partial.slice(0, MAX_WALLETS_NAMED).join(', ')
  print(
    `${chain}: ${partial.length} wallets were linked later and are compared only where they are complete: ${named}${partial.length > MAX_WALLETS_NAMED ? ', …' : ''}`,
  )
}

async function comparePiece(
  app: App,
  { chain }: ChainContext,
  range: Range,
  scope: VerifyScope,
): Promise<{
  readonly differences: Difference[]
  readonly activities: readonly { readonly wallet_address: string }[]
}> {
  const urls = app.config.chains.find(each => each.chain.id === chain.id)?.rpcUrls ?? []
  const isComplete = (wallet: string, block: number) =>
    scope.coverageOf(wallet as Address).some(({ from, to }) => from <= block && block <= to)
  const expected = await wrapped(urls, () =>
    deriveRows({
      urls,
      chain,
      fromBlock: range.from,
      toBlock: range.to,
      owners: scope.owners,
      headNumber: scope.headNumber,
      finalizedNumber: scope.finalizedNumber,
    }),
  )
  const found = await readActivities(app.store.sql, { chainId: chain.id, range, wallets: [...scope.wallets] })
  const compared = expected.activities.filter(row => scope.wallets.has(row.wallet_address as Address))
  const complete = compared.filter(row => isComplete(row.wallet_address, row.block_number))
  const differences = compareActivities(
    complete,
    found.filter(row => isComplete(row.wallet_address, row.block_number)),
  )
  // A transaction is compared where all its wallets are complete: else another one of them may have given it its row.
  const partial = new Set(
    expected.activities.filter(row => !isComplete(row.wallet_address, row.block_number)).map(row => row.tx_hash),
  )
  const asked = new Set(compared.map(row => row.tx_hash))
  const transactions = expected.transactions.filter(row => asked.has(row.tx_hash) && !partial.has(row.tx_hash))
  const rows = await readTransactions(app.store.sql, {
    label: chain.label,
    range: scope.isNarrow ? null : range,
    hashes: transactions.map(row => row.tx_hash),
  })
  differences.push(
    ...compareTransactions(
      transactions,
      rows.filter(row => !partial.has(row.tx_hash)),
      chain.id,
    ),
  )
  return { differences, activities: complete }
}

/** Errors of viem hold the URL that was asked. */
async function wrapped<T>(urls: readonly string[], work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw new AppError(
      'RPC_UNAVAILABLE',
      `The rows could not be derived: ${describeFailure(error, urls[0] ?? '').message}`,
      {
        hint: 'Check the endpoints with `doctor`, then run it again.',
      },
    )
  }
}

async function repair(
  app: App,
  context: ChainContext,
  differences: readonly Difference[],
  scope: VerifyScope,
  input: Pick<CommandInput, 'print' | 'terminal' | 'signal'>,
  options: VerifyOptions,
): Promise<ExitCode> {
  const blocks = new Set(differences.map(({ block }) => block).filter(block => block !== null))
  // A block that was orphaned while it was indexed leaves rows under a hash that the chain does not have: they go with their height.
  for (const block of [...blocks].toSorted((a, b) => a - b)) {
    const isWritten = await repairBlock(context, block, scope.wallets, input.signal)
    if (!isWritten) input.print(`Block ${block} is not the one that is indexed any more; the daemon takes it back.`)
  }
  await app.store.rederive([...new Set(differences.map(({ hash }) => hash as Hash))], app.chains)
  input.print(`${blocks.size} blocks were written again; comparing once more.`)
  return verify(app, input, { ...options, repair: false })
}
