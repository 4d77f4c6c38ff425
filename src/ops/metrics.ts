/**
 * The state of the daemon as Prometheus reads it: made anew at each scrape from what the loops and endpoints tell of themselves.
 *
 * Always holds: labels are names of chains and endpoints as they may be shown, never a URL; a chain or endpoint that is not known yet has
 * no sample, rather than a zero that looks like one.
 */

import { Counter, Gauge, Registry } from 'prom-client'
import type { EndpointHealth } from '../source/source.ts'

export type ChainMetrics = {
  readonly chain: string
  readonly phase: string
  readonly head: number | null
  readonly indexed: number | null
  readonly finalized: number | null
  /** Seconds since the timestamp of the newest block that is indexed. */
  readonly ageSeconds: number | null
  readonly stalledSeconds: number | null
  readonly isReady: boolean
  readonly reorgs: number
  /** Wallets that lack blocks; null: not counted yet. */
  readonly onboarding: { readonly waiting: number; readonly working: number; readonly failing: number } | null
  readonly endpoints: readonly EndpointHealth[]
}

export const METRICS_TYPE = Registry.PROMETHEUS_CONTENT_TYPE

/** The text of one scrape. */
export function renderMetrics(chains: readonly ChainMetrics[]): Promise<string> {
  const registry = new Registry()
  const labelNames = ['chain']
  const gauge = (name: string, help: string, valueOf: (chain: ChainMetrics) => number | null) => {
    const metric = new Gauge({ name: `indexer_${name}`, help, labelNames, registers: [registry] })
    for (const chain of chains) {
      const value = valueOf(chain)
      if (value !== null) metric.set({ chain: chain.chain }, value)
    }
  }
  gauge('head_block', 'The newest block of the chain that is known.', ({ head }) => head)
  gauge('indexed_block', 'The newest block whose rows are committed.', ({ indexed }) => indexed)
  gauge('finalized_block', 'The newest block that no reorg may touch.', ({ finalized }) => finalized)
  gauge('lag_blocks', 'Blocks between the head and what is indexed.', ({ head, indexed }) =>
    head === null || indexed === null ? null : Math.max(head - indexed, 0),
  )
  gauge('indexed_age_seconds', 'Age of the newest indexed block, by its timestamp.', ({ ageSeconds }) => ageSeconds)
  gauge(
    'stalled_seconds',
    'For how long no block has come, where that is far longer than the chain explains; else 0.',
    chain => chain.stalledSeconds ?? 0,
  )
  gauge('ready', '1 if the chain is followed (or stood by for) and close to its head.', ({ isReady }) =>
    Number(isReady),
  )
  gauge(
    'wallets_lacking_history',
    'Wallets that were linked late and lack blocks of their past.',
    ({ onboarding }) => onboarding?.waiting ?? null,
  )
  gauge(
    'wallets_being_filled',
    'Of those, wallets that some process works on.',
    ({ onboarding }) => onboarding?.working ?? null,
  )
  gauge(
    'wallets_failing',
    'Of those, wallets whose past could not be filled at the last try.',
    ({ onboarding }) => onboarding?.failing ?? null,
  )
  const reorgs = new Counter({
    name: 'indexer_reorgs_total',
    help: 'Reorgs that were followed since the start.',
    labelNames,
    registers: [registry],
  })
  for (const { chain, reorgs: count } of chains) reorgs.inc({ chain }, count)
  addEndpoints(registry, chains)
  return registry.metrics()
}

function addEndpoints(registry: Registry, chains: readonly ChainMetrics[]): void {
  const labelNames = ['chain', 'endpoint']
  const all = chains.flatMap(({ chain, endpoints }) =>
    endpoints.map(health => ({ labels: { chain, endpoint: health.name }, health })),
  )
  const gauge = (name: string, help: string, valueOf: (health: EndpointHealth) => number | null) => {
    const metric = new Gauge({ name: `indexer_rpc_${name}`, help, labelNames, registers: [registry] })
    for (const { labels, health } of all) {
      const value = valueOf(health)
      if (value !== null) metric.set(labels, value)
    }
  }
  const counter = (name: string, help: string, valueOf: (health: EndpointHealth) => number) => {
    const metric = new Counter({ name: `indexer_rpc_${name}_total`, help, labelNames, registers: [registry] })
    for (const { labels, health } of all) metric.inc(labels, valueOf(health))
  }
  counter('requests', 'Requests that were sent.', ({ requests }) => requests)
  counter('errors', 'Requests that failed.', ({ errors }) => errors)
  counter('lies', 'Answers that did not fit together or were disproved.', ({ lies }) => lies)
  gauge('healthy', '1 unless the endpoint fails over and over, or asked to be left alone.', ({ healthy }) =>
    Number(healthy),
  )
  gauge('latency_seconds', 'What an answer takes, averaged over the last ones.', ({ latencyMs }) =>
    latencyMs === null ? null : latencyMs / 1000,
  )
  gauge('head_block', 'The newest block that the endpoint showed.', ({ head }) => head)
  gauge('waiting', 'Questions that wait for their turn.', ({ waiting }) => waiting)
  gauge('requests_today', 'Requests of this day (UTC), of all processes.', ({ today }) => today)
  gauge('requests_per_day', 'The daily budget, where one is set.', ({ perDay }) => perDay)
}
