/**
 * `backfill`: indexes a block range and exits. Whoever runs the same command, on any machine, works on the same job.
 */

import { type App, withApp } from '../app.ts'
import { findChain } from '../config/env.ts'
import type { BackfillCost } from '../core/estimate.ts'
import { countBlocks, type Range } from '../core/range.ts'
import type { Address } from '../core/types.ts'
import { AppError, describeError } from '../errors.ts'
import { createProgress, describeDuration } from '../ops/progress.ts'
import { uniqueName } from '../runtime/random.ts'
import { sleep, within } from '../runtime/sleep.ts'
import { type BackfillPlan, planBackfill, workOn } from '../steps/backfill.ts'
import { catchUp, mayCatchUp } from '../steps/catch-up.ts'
import type { ChainContext } from '../steps/context.ts'
import { estimateCost } from '../steps/estimate.ts'
import { leaseName, whileHolding } from '../steps/lease.ts'
import { CLAIM_TTL_MS, type OpenJob } from '../store/store.ts'
import type { CommandInput, ExitCode } from './command.ts'
import { nameHolder, startWorkers, untilParentGone } from './workers.ts'

/** How far a job is, is asked of the database this often. */
const PROGRESS_EVERY_MS = 1_000
/** What the last look at the progress may take. */
const TELL_DEADLINE_MS = 1_000
/** What workers have to end by themselves, once everything is complete. */
const WORKERS_DEADLINE_MS = 30_000

export type BackfillOptions = {
  readonly chain: string
  readonly fromBlock: number
  readonly toBlock: number | 'finalized' | 'latest'
  /** Empty: every tracked wallet. */
  readonly wallets: readonly Address[]
  /** Processes on this machine, this one among them. */
  readonly workers: number
  /** Set in the processes that `workers` starts: the job that they work on. */
  readonly job: string | null
  /** For tests: how long a new job's claims last without a renewal. */
  readonly claimTtlMs: number | null
}

export function runBackfill(input: CommandInput, options: BackfillOptions): Promise<ExitCode> {
  const { chain } = findChain(input.config, options.chain)
  return withApp<ExitCode>({ ...input, logTo: 2, migrate: false }, async app => {
    const context = app.context(chain.id)
    await app.registry.refresh('now', input.signal)
    if (options.job !== null) return workAsChild(context, input, options, options.job)
    const wallets = options.wallets.length === 0 ? null : options.wallets
    const to = await resolveEnd(context, options, input.signal)
    refuseUntracked(app, options.wallets)
    const failed = await takeFinal(app, context, { range: { from: options.fromBlock, to }, wallets }, input, options)
    if (wallets === null && options.toBlock !== 'finalized' && !input.signal.aborted)
      await takeRest(app, context, to, input)
    if (input.signal.aborted)
      throw new AppError('ABORTED', 'Stopped before the end; the same command goes on from here.')
    return failed ? 1 : 0
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

/** What is final, together with all who take it too. @returns whether a worker of this machine failed though the job is done */
async function takeFinal(
  app: App,
  context: ChainContext,
  { range, wallets }: { readonly range: Range; readonly wallets: readonly Address[] | null },
  input: CommandInput,
  options: BackfillOptions,
): Promise<boolean> {
  const { store } = app
  const { chain } = context
  const { signal, print } = input
  const plan = await planBackfill(context, { range, wallets }, signal)
  const { finalizedNumber } = plan
  const upTo = Math.min(range.to, finalizedNumber)
  const job = await store.openJob({
    chainId: chain.id,
    range: { from: range.from, to: upTo },
    askedTo: String(options.toBlock),
    wallets,
    claimTtlMs: options.claimTtlMs ?? CLAIM_TTL_MS,
  })
  if (job === null) {
    print(
      `${chain.name}: every final block of ${range.from} to ${range.to} is complete already (final up to ${finalizedNumber}).`,
    )
    return false
  }
  const cost = await estimateCost(context, plan.missing, wallets, signal)
  print(`${chain.name}: ${describeCost(countBlocks(plan.missing), cost)}`)
  const failures = await shareJob(
    app,
    context,
    { job, wallets, upTo, settledHeight: plan.settledHeight },
    input,
    options,
  )
  if (signal.aborted) return false
  const progress = await store.jobProgress(job.id)
  if (progress !== null) {
    const { blocksDone, activities, seconds } = progress
    print(`${chain.name}: ${blocksDone} blocks, ${activities} new activities, ${describeDuration(seconds)}.`)
  }
  for (const failure of failures) print(`${chain.name}: a worker ${failure}; the others did its part.`)
  return failures.length > 0
}

type Shared = {
  readonly job: OpenJob
  readonly wallets: readonly Address[] | null
  readonly upTo: number
  readonly settledHeight: number
}

/** Works on a job, here and in as many processes as were asked for, and tells how far all are. @returns how workers failed */
async function shareJob(
  app: App,
  context: ChainContext,
  shared: Shared,
  input: CommandInput,
  options: BackfillOptions,
): Promise<readonly string[]> {
  const { chain, store, log } = context
  const holder = nameHolder()
  const workers = startWorkers(input.root, childArguments(shared, options), options.workers - 1, input.signal)
  const stopWatching = watchJob(app, chain.name, shared.job, input)
  try {
    await workOn(context, { ...shared, holder }, input.signal)
    // The job is over: the others notice it at their next piece. One that stands still is not waited for.
    await within(WORKERS_DEADLINE_MS, workers.ended)
    await workers.stop()
    return await workers.ended
  } catch (error) {
    // Others may well go on where this one can't.
    if (options.workers > 1) log.error({ chain: chain.name, error }, 'This worker gives up; the others go on')
    await workers.ended
    throw error
  } finally {
    await workers.stop()
    // Nothing of this is worth waiting for a database that is away.
    await within(TELL_DEADLINE_MS, stopWatching())
    const share = input.signal.aborted ? null : await store.jobShare(shared.job.id, holder).catch(() => null)
    if (share !== null) log.info({ chain: chain.name, blocks: share }, 'What this process took of the job')
  }
}

function childArguments({ job, upTo }: Shared, { chain, fromBlock, wallets }: BackfillOptions): string[] {
  const range = ['--from-block', String(fromBlock), '--to-block', String(upTo)]
  const only = wallets.flatMap(wallet => ['--wallet', wallet])
  return ['backfill', '--chain', chain, ...range, ...only, '--job', job.id]
}

/** A process that another one started: it works on that one's job, and tells nothing but troubles. */
async function workAsChild(
  context: ChainContext,
  { signal }: CommandInput,
  { fromBlock, toBlock, wallets }: BackfillOptions,
  jobId: string,
): Promise<ExitCode> {
  const both = AbortSignal.any([signal, untilParentGone()])
  const only = wallets.length === 0 ? null : wallets
  const to = typeof toBlock === 'number' ? toBlock : Number.POSITIVE_INFINITY
  const job = await context.store.job(jobId)
  if (job === null) throw new AppError('USAGE', 'The job that this worker was started for is not there.')
  let plan: BackfillPlan
  try {
    plan = await planBackfill(context, { range: { from: fromBlock, to }, wallets: only }, both)
  } catch (error) {
    if (both.aborted) return 0
    throw error
  }
  const { finalizedNumber, settledHeight } = plan
  const upTo = Math.min(to, finalizedNumber)
  await workOn(context, { job, holder: nameHolder(), wallets: only, upTo, settledHeight }, both)
  return 0
}

/** Shows how far a job is, by all who work on it. @returns ends it, with the last state */
function watchJob(app: App, label: string, job: OpenJob, { terminal }: CommandInput): () => Promise<void> {
  const { clock, log, store } = app
  const ended = new AbortController()
  const watch = async () => {
    let progress: ReturnType<typeof createProgress> | null = null
    for (let isLast = false; !isLast; ) {
      isLast = ended.signal.aborted
      try {
        const now = await store.jobProgress(job.id)
        if (now === null) return
        const { blocksDone: done, blocksTotal: total } = now
        progress ??= createProgress({
          label,
          done,
          total,
          unit: 'blocks',
          clock,
          terminal,
          onLine: line => log.info(line),
        })
        progress.update(done, total)
      } catch (error) {
        log.debug({ reason: describeError(error) }, 'The progress of the job could not be read')
      }
      if (!isLast) await sleep(PROGRESS_EVERY_MS, ended.signal)
    }
    progress?.end()
  }
  const watching = watch()
  return () => {
    ended.abort()
    return watching
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
