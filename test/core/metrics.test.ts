import { expect, test } from 'vitest'
import { type ChainMetrics, renderMetrics } from '../../src/ops/metrics.ts'

const chain: ChainMetrics = {
  chain: 'mainnet',
  phase: 'following',
  head: 120,
  indexed: 118,
  finalized: 60,
  ageSeconds: 30.5,
  stalledSeconds: null,
  isReady: true,
  reorgs: 2,
  onboarding: { waiting: 7, working: 3, failing: 1 },
  endpoints: [
    {
      name: 'https://node.example',
      client: 'Geth/v1.16',
      requests: 40,
      errors: 3,
      lies: 1,
      lastError: 'too many requests',
      state: 'throttled',
      healthy: false,
      latencyMs: 250,
      head: null,
      underWay: 0,
      waiting: 4,
      perSecond: 2.5,
      today: 900,
      perDay: 1_000,
      abilities: {},
    },
  ],
}

const samplesOf = async (chains: readonly ChainMetrics[]) =>
  (await renderMetrics(chains)).split('\n').filter(line => line !== '' && !line.startsWith('#'))

test('a scrape tells how far each chain is and how its endpoints do', async () => {
  const endpoint = '{chain="mainnet",endpoint="https://node.example"}'
  expect(await samplesOf([chain])).toEqual([
    'indexer_head_block{chain="mainnet"} 120',
    'indexer_indexed_block{chain="mainnet"} 118',
    'indexer_finalized_block{chain="mainnet"} 60',
    'indexer_lag_blocks{chain="mainnet"} 2',
    'indexer_indexed_age_seconds{chain="mainnet"} 30.5',
    'indexer_stalled_seconds{chain="mainnet"} 0',
    'indexer_ready{chain="mainnet"} 1',
    'indexer_wallets_lacking_history{chain="mainnet"} 7',
    'indexer_wallets_being_filled{chain="mainnet"} 3',
    'indexer_wallets_failing{chain="mainnet"} 1',
    'indexer_reorgs_total{chain="mainnet"} 2',
    `indexer_rpc_requests_total${endpoint} 40`,
    `indexer_rpc_errors_total${endpoint} 3`,
    `indexer_rpc_lies_total${endpoint} 1`,
    `indexer_rpc_healthy${endpoint} 0`,
    `indexer_rpc_latency_seconds${endpoint} 0.25`,
    `indexer_rpc_waiting${endpoint} 4`,
    `indexer_rpc_requests_today${endpoint} 900`,
    `indexer_rpc_requests_per_day${endpoint} 1000`,
  ])
})

test('what is not known has no sample', async () => {
  const unknown = {
    ...chain,
    head: null,
    indexed: null,
    finalized: null,
    ageSeconds: null,
    onboarding: null,
    endpoints: [],
  }
  expect(await samplesOf([unknown])).toEqual([
    'indexer_stalled_seconds{chain="mainnet"} 0',
    'indexer_ready{chain="mainnet"} 1',
    'indexer_reorgs_total{chain="mainnet"} 2',
  ])
})
