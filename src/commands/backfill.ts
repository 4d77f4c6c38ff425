/**
 * `backfill`: indexes a block range and exits.
 */

import { type App, withApp } from '../app.ts'
import { findChain } from '../config/env.ts'
import type { BackfillCost } from '../core/estimate.ts'
import { countBlocks, type Range } from '../core/range.ts'
import type { Address } from '../core/types.ts'
import { AppError } from '../errors.ts'
import { createProgress, describeDuration } from '../ops/progress.ts'
import { uniqueName } from '../runtime/random.ts'
import { backfill, planBackfill } from '../steps/backfill.ts'
import { catchUp, mayCatchUp } from '../steps/catch-up.ts'
import type { ChainContext } from '../steps/context.ts'
import { estimateCost } from '../steps/estimate.ts'
import { leaseName, whileHolding } from '../steps/lease.ts'
import type { CommandInput, ExitCode } from './command.ts'

export type BackfillOptions = {
  readonly chain: string
  readonly fromBlock: number
  readonly toBlock: number | 'finalized' | 'latest'
  /** Empty: every tracked wallet. */
  readonly wallets: readonly Address[]
}

export function runBackfill(input: CommandInput, options: BackfillOptions): Promise<ExitCode> {
  const { chain } = findChain(input.config, options.chain)
  return withApp<ExitCode>({ ...input, logTo: 2, migrate: false }, async app => {
    const context = app.context(chain.id)
    const wallets = options.wallets.length === 0 ? null : options.wallets
    const to = await resolveEnd(context, options, input.signal)
    await app.registry.refresh('now', input.signal)
    refuseUntracked(app, options.wallets)
    await takeFinal(app, context, { from: options.fromBlock, to }, wallets, input)
    if (wallets === null && options.toBlock !== 'finalized') await takeRest(app, context, to, input)
    if (input.signal.aborted)
      throw new AppError('ABORTED', 'Stopped before the end; the same command goes on from here.')
    return 0
  })
}

/** Rows of a wallet that nobody tracks would have no owner, and nobody would go on with them. */
function refuseUntracked({ registry }: App, wallets: readonly Address[]): void {
  for (const wallet of wallets) {
    if (registry.isTracked(wallet)) continue
    throw new AppError('USAGE', `${wallet} is not tracked.`, { hint: `Watch it first: wallets add ${wallet}` })
  }
}

async function resolveEnd(
  { source, chain }: ChainContext,
  { fromBlock, toBlock }: BackfillOptions,
  signal: AbortSignal,
): Promise<number> {
  const head = await source.head(signal)
  // `finalized` is cut by the plan, which knows what is final.
  const to = typeof toBlock === 'number' ? toBlock : head.number
  if (to > head.number) {
    throw new AppError('USAGE', `Chain ${chain.name} has no block ${to} yet.`, {
      facts: { head: head.number },
      hint: 'Use --to-block latest.',
    })
  }
  if (fromBlock > to) throw new AppError('USAGE', `--from-block ${fromBlock} is above --to-block ${to}.`)
  return to
}

async function takeFinal(
  app: App,
  context: ChainContext,
  range: Range,
  wallets: readonly Address[] | null,
  { signal, print, terminal }: CommandInput,
): Promise<void> {
  const { clock, log, store } = app
  const { chain } = context
  const started = clock.monotonic()
  const plan = await planBackfill(context, { range, wallets }, signal)
  const total = countBlocks(plan.missing)
  if (total === 0) {
    print(
      `${chain.name}: every final block of ${range.from} to ${range.to} is complete already (final up to ${plan.finalizedNumber}).`,
    )
    return
  }
  const cost = await estimateCost(context, plan.missing, wallets, signal)
  print(`${chain.name}: ${describeCost(total, cost)}`)
  const job = await store.openJob({ chainId: chain.id, range, wallets, blocksTotal: total })
  const progress = createProgress({
    label: chain.name,
    total,
    unit: 'blocks',
    clock,
    terminal,
    onLine: text => log.info(text),
  })
  let done = 0
  try {
    const { blocks, activities } = await backfill(
      context,
      wallets,
      plan,
      async blocksDone => {
        done = blocksDone
        progress.update(blocksDone)
        await store.updateJob(job, blocksDone, 'running')
      },
      signal,
    )
    progress.end()
    await store.updateJob(job, blocks, 'done')
    print(
      `${chain.name}: ${blocks} blocks, ${activities} new activities, ${describeDuration((clock.monotonic() - started) / 1000)}.`,
    )
  } catch (error) {
    await store.updateJob(job, done, 'failed').catch(() => log.debug('The job could not be marked as failed'))
    throw error
  }
}

function describeCost(blocks: number, cost: BackfillCost | null): string {
  const missing = `${blocks.toLocaleString('en-US')} blocks are missing`
  if (cost === null) return `${missing}.`
  const { requests, seconds, days } = cost
  const budget =
    days === null
      ? ''
      : Number.isFinite(days)
        ? `; the daily budget leaves it so little that it takes about ${days} ${days === 1 ? 'day' : 'days'}: run the same command again each day`
        : '; the daily budget leaves nothing for it'
  return `${missing}: about ${requests.toLocaleString('en-US')} requests (${(requests / blocks).toFixed(2)} a block)${days === null ? ` and ${describeDuration(seconds)}` : budget}.`
}

/** Blocks above finality belong to the daemon; without one, this command goes the daemon's way up to them. */
async function takeRest(app: App, context: ChainContext, to: number, { signal, print }: CommandInput): Promise<void> {
  const { store, log } = app
  const { chain } = context
  const { finalizedNumber } = await planBackfill(context, { range: { from: 0, to: 0 }, wallets: null }, signal)
  if (to <= finalizedNumber) return
  const rest = `blocks ${finalizedNumber + 1} to ${to} are not final`
  if (!(await mayCatchUp(context, finalizedNumber))) {
    print(
      `${chain.name}: ${rest} and were left to the daemon, because blocks from ${chain.startBlock} on are still missing below them.`,
    )
    return
  }
  const lease = await store.claimLease(leaseName(chain.id), uniqueName())
  if (lease === null) {
    print(`${chain.name}: ${rest}; the daemon that follows this chain takes them.`)
    return
  }
  await whileHolding(context, lease, signal, held =>
    catchUp(
      context,
      lease,
      finalizedNumber,
      to,
      async number => log.debug({ chain: chain.name, block: number }, 'Caught up to'),
      held,
    ),
  )
  print(`${chain.name}: followed up to block ${to} (final up to ${finalizedNumber}).`)
}
