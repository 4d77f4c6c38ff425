/**
 * `status`: how far every chain is, in plain words or as JSON.
 */

import { withApp } from '../app.ts'
import type { Address, Hash } from '../core/types.ts'
import { describeDuration } from '../ops/progress.ts'
import type { EndpointHealth } from '../source/source.ts'
import { type ChainStatus, type Status, statusOf } from '../status.ts'
import type { Job, JobWorker } from '../store/store.ts'
import type { CommandInput, ExitCode } from './command.ts'
import { walletStatusOf } from '../wallet-status.ts'
import { describeStory } from './story.ts'
import { describeWallet } from './wallet-words.ts'

export type StatusOptions = {
  readonly json: boolean
  /** The story of this transaction instead. */
  readonly tx: Hash | null
  /** What is complete for this wallet instead. */
  readonly wallet: Address | null
}

export function runStatus(input: CommandInput, { json, tx, wallet }: StatusOptions): Promise<ExitCode> {
  return withApp<ExitCode>({ ...input, logTo: 2, migrate: false }, async app => {
    if (tx !== null) {
      const story = await app.store.story(tx)
      for (const line of json ? [JSON.stringify(story, null, 2)] : describeStory(story, app.chains)) input.print(line)
      return 0
    }
    if (wallet !== null) {
      const status = await walletStatusOf(app, wallet)
      for (const line of json ? [toJson(status)] : describeWallet(status)) input.print(line)
      return 0
    }
    const status = await statusOf(app, { states: null })
    if (json) input.print(JSON.stringify(status, null, 2))
    else for (const line of describeStatus(status)) input.print(line)
    return 0
  })
}

/** Amounts of money are text: they are larger than the numbers of JSON. */
function toJson(value: unknown): string {
  return JSON.stringify(value, (_key, each: unknown) => (typeof each === 'bigint' ? each.toString() : each), 2)
}

/** The status as lines of text. */
export function describeStatus({ chains, wallets, transactions, jobs }: Status): string[] {
  return [
    ...chains.flatMap(describeChain),
    `Wallets: ${wallets.users} of users, ${wallets.watched} watched${wallets.waitingForAttribution > 0 ? `, ${wallets.waitingForAttribution} waiting to be attributed` : ''}`,
    `Transactions: ${transactions.confirmed} confirmed, ${transactions.failed} failed, ${transactions.pending} pending (${transactions.sought} of them not found on any chain yet${transactions.malformed > 0 ? `, ${transactions.malformed} with a malformed hash` : ''})`,
    ...jobs.flatMap(describeJob),
  ]
}

function describeChain(chain: ChainStatus): string[] {
  const lag =
    chain.lagBlocks === null
      ? ''
      : chain.lagBlocks === 0
        ? ', up to date'
        : `, ${describeNumber(chain.lagBlocks)} blocks behind`
  const age = chain.lagSeconds === null ? '' : `, last block ${describeDuration(chain.lagSeconds)} ago`
  return [
    `${chain.chain} (${chain.id}): indexed ${chain.indexed === null ? 'nothing yet' : describeNumber(chain.indexed)}, head ${describeNumber(chain.head)}${lag}${age}, final up to ${describeNumber(chain.finalized)}`,
    `  ${chain.followed ? 'followed by a daemon' : 'no daemon follows it'}; ${describeNumber(chain.coveredBlocks)} blocks complete; ${describeNumber(chain.pending)} transactions pending`,
    ...describeOnboarding(chain),
    ...chain.endpoints.map(describeEndpoint),
    ...(chain.stall === null ? [] : [`  ${chain.stall}`]),
    ...(chain.problem === null ? [] : [`  ${chain.problem}`]),
  ]
}

function describeOnboarding({ onboarding }: ChainStatus): string[] {
  const { waiting, working, failing } = onboarding
  if (waiting === 0) return []
  const trouble = failing === 0 ? '' : `, ${describeNumber(failing)} could not be filled yet`
  return [
    `  ${describeNumber(waiting)} wallets lack blocks of before they were linked; ${describeNumber(working)} are being filled${trouble} (status --wallet 0x… tells more)`,
  ]
}

function describeEndpoint(endpoint: EndpointHealth): string {
  const { name, client, healthy, state, latencyMs, head, lies, today, perDay, perSecond, lastError } = endpoint
  const facts = [
    ...(client === null ? [] : [client]),
    ...(latencyMs === null ? [] : [`${latencyMs} ms`]),
    ...(head === null ? [] : [`head ${describeNumber(head)}`]),
    `${describeNumber(today)}${perDay === null ? '' : ` of ${describeNumber(perDay)}`} requests today`,
    ...(perSecond === null ? [] : [`${perSecond.toFixed(1)} a second`]),
    ...(lies === 0 ? [] : [`${lies} answers that did not fit`]),
  ]
  const trouble = healthy || lastError === null ? '' : `: ${lastError}`
  return `  ${healthy ? 'ok  ' : 'bad '} ${name}${state === 'ok' ? '' : ` (${state})`} ${facts.join(', ')}${trouble}`
}

function describeJob(job: Job): string[] {
  const { blocksDone, blocksTotal, state, perSecond, secondsLeft, workers, expiredClaims, problem } = job
  const share = blocksTotal === 0 ? 100 : Math.floor((blocksDone / blocksTotal) * 100)
  const whose = job.wallets === null ? '' : `, ${job.wallets.length} ${job.wallets.length === 1 ? 'wallet' : 'wallets'}`
  const facts = [
    `${describeNumber(blocksDone)} of ${describeNumber(blocksTotal)} blocks (${share} %)`,
    ...(perSecond === null ? [] : [`${describeNumber(Math.round(perSecond))} blocks/s`]),
    ...(secondsLeft === null ? [] : [`${describeDuration(secondsLeft)} left`]),
    ...(state === 'running' ? [] : [`${describeDuration(job.updatedSecondsAgo)} ago`]),
  ]
  const expired =
    expiredClaims === 0 ? [] : [`${expiredClaims} ${expiredClaims === 1 ? 'claim' : 'claims'} that ran out`]
  const atWork = [...workers.map(describeWorker), ...expired]
  return [
    `${job.kind} of chain ${job.chainId}, blocks ${job.range.from} to ${job.range.to}${whose}: ${state}, ${facts.join(', ')}`,
    ...(atWork.length === 0 ? [] : [`  ${atWork.join('; ')}`]),
    ...(problem === null ? [] : [`  ${problem}`]),
    ...(state === 'interrupted' || state === 'failed' ? ['  the same command goes on with it'] : []),
  ]
}

/** `build-3 (process 4711): 3 pieces`. */
function describeWorker({ host, process, pieces }: JobWorker): string {
  return `${host} (process ${process}): ${pieces} ${pieces === 1 ? 'piece' : 'pieces'}`
}

function describeNumber(value: number | null): string {
  return value === null ? 'unknown' : value.toLocaleString('en-US')
}
