/**
 * How far everything is, for `status`, `/status` and `/readyz`.
 */

import type { App } from './app.ts'
import { countBlocks, type Ranges } from './core/range.ts'
import type { Header } from './core/types.ts'
import type { ChainState } from './daemon.ts'
import { describeError } from './errors.ts'
import type { OnboardingState } from './jobs/onboarding.ts'
import type { ChainMetrics } from './ops/metrics.ts'
import type { Clock } from './runtime/clock.ts'
import type { EndpointHealth } from './source/source.ts'
import { leaseName } from './steps/lease.ts'
import type { Job, OnboardingCount, Totals } from './store/store.ts'

/** A chain that is this many blocks behind its head is not ready. */
const MAX_READY_LAG_BLOCKS = 20
/** What fails and works again within this time has cost nothing: readiness follows lag, and a second's trouble makes none. */
const MAX_READY_TROUBLE_MS = 3_000
const MAX_JOBS = 10

export type ChainStatus = {
  readonly chain: string
  readonly id: number
  readonly phase: string | null
  readonly head: number | null
  readonly indexed: number | null
  readonly finalized: number | null
  readonly lagBlocks: number | null
  readonly lagSeconds: number | null
  /** No block for far longer than this chain explains: for how long, and what the endpoints say. */
  readonly stall: string | null
  readonly followed: boolean
  readonly problem: string | null
  readonly pending: number
  readonly coverage: Ranges
  readonly coveredBlocks: number
  /** Wallets whose past is not complete. */
  readonly onboarding: OnboardingCount
  readonly endpoints: readonly EndpointHealth[]
}

export type Status = Totals & {
  readonly chains: readonly ChainStatus[]
  readonly jobs: readonly Job[]
}

/** @param states of the daemon in this process; null asks the nodes for their heads */
export async function statusOf(app: App, { states }: { states: readonly ChainState[] | null }): Promise<Status> {
  const { store, config } = app
  const chains = await Promise.all(
    config.chains.map(({ chain }) =>
      chainStatus(
        app,
        chain.id,
        states?.find(state => state.chainId === chain.id),
      ),
    ),
  )
  return { chains, ...(await store.totals()), jobs: await store.jobs(MAX_JOBS) }
}

async function chainStatus(app: App, chainId: number, state: ChainState | undefined): Promise<ChainStatus> {
  const { store, clock } = app
  const { chain, source } = app.context(chainId)
  const checkpoint = await store.checkpoint(chainId)
  const { head, problem } =
    state === undefined ? await askHead(app, chainId) : { head: headOf(state), problem: state.reason }
  const coverage = await store.coverage(chainId)
  const indexed = checkpoint?.number ?? null
  return {
    chain: chain.name,
    id: chain.id,
    phase: state?.phase ?? null,
    head: head?.number ?? null,
    stall: state?.stall ?? null,
    indexed,
    finalized: checkpoint?.finalizedNumber ?? null,
    lagBlocks: head === null || indexed === null ? null : Math.max(head.number - indexed, 0),
    lagSeconds: checkpoint === null ? null : Math.max(Math.round(clock.now() / 1000 - checkpoint.timestamp), 0),
    followed: (await store.leaseHolder(leaseName(chainId))) !== null,
    problem: checkpoint?.halt?.message ?? problem,
    pending: await store.pendingCount(chain.label),
    coverage,
    coveredBlocks: countBlocks(coverage),
    onboarding: await store.countOnboarding(chainId),
    endpoints: source.health(),
  }
}

const HEAD_DEADLINE_MS = 8_000

async function askHead(
  app: App,
  chainId: number,
): Promise<{ head: Pick<Header, 'number' | 'timestamp'> | null; problem: string | null }> {
  try {
    return { head: await app.context(chainId).source.head(AbortSignal.timeout(HEAD_DEADLINE_MS)), problem: null }
  } catch (error) {
    return { head: null, problem: describeError(error) }
  }
}

function headOf(state: ChainState): Pick<Header, 'number' | 'timestamp'> | null {
  return state.headNumber === null ? null : { number: state.headNumber, timestamp: state.headTimestamp ?? 0 }
}

/** What Prometheus is told. Asks neither the database nor a node: a scrape is answered whatever is down. */
export function metricsOf(
  { context, chains, clock }: App,
  states: readonly ChainState[],
  onboarding: readonly OnboardingState[],
): ChainMetrics[] {
  return states.map(state => ({
    chain: chains.get(state.chainId)?.name ?? String(state.chainId),
    phase: state.phase,
    head: state.headNumber,
    indexed: state.indexedNumber,
    finalized: state.finalizedNumber,
    ageSeconds: state.indexedTimestamp === null ? null : Math.max(clock.now() / 1000 - state.indexedTimestamp, 0),
    stalledSeconds: state.stalledMs === null ? null : state.stalledMs / 1000,
    isReady: reasonOf(state, '', clock) === null,
    reorgs: state.reorgs,
    onboarding: onboarding.find(({ chainId }) => chainId === state.chainId)?.count ?? null,
    endpoints: context(state.chainId).source.health(),
  }))
}

/** Ready: the database answers, and every chain is followed here (or stands by) and close to its head. */
export async function readinessOf(
  { store, chains, clock }: App,
  states: readonly ChainState[],
): Promise<{ ready: boolean; reasons: string[] }> {
  const reasons: string[] = []
  try {
    // A question that costs nothing: this is asked every few seconds.
    await store.checkpoint(states[0]?.chainId ?? 0)
  } catch (error) {
    reasons.push(describeError(error))
  }
  for (const state of states) {
    const reason = reasonOf(state, chains.get(state.chainId)?.name ?? String(state.chainId), clock)
    if (reason !== null) reasons.push(reason)
  }
  return { ready: reasons.length === 0, reasons }
}

/** Why a chain is not ready; null if it is. Readiness follows lag: a trouble that has cost nothing yet is none. */
function reasonOf(state: ChainState, name: string, clock: Clock): string | null {
  const { phase, reason, stall, headNumber, indexedNumber, failingSince } = state
  if (phase === 'standby') return null
  if (phase === 'starting') return `${name} has not begun yet`
  const troubleMs = failingSince === null ? 0 : clock.monotonic() - failingSince
  if (reason !== null && (phase === 'halted' || troubleMs >= MAX_READY_TROUBLE_MS))
    return `${name} is ${phase}: ${reason}`
  if (stall !== null) return `${name} stands still: ${stall}`
  const lag = headNumber === null || indexedNumber === null ? 0 : headNumber - indexedNumber
  return lag > MAX_READY_LAG_BLOCKS ? `${name} is ${lag} blocks behind its head` : null
}
