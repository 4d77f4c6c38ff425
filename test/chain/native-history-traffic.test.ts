/**
 * Native history by the state of accounts, under traffic of everything that there is to do: no row that reading every block gives is
 * in a block that would not be read.
 */

import { numberToHex } from 'viem'
import { expect, test } from 'vitest'
import type { Address } from '../../src/core/types.ts'
import { startAnvil } from '../../src/demo/anvil.ts'
import { createTraffic } from '../../src/demo/traffic.ts'
import { createJsonRpcSource } from '../../src/source/json-rpc.ts'
import { findNativeHistory } from '../../src/steps/native-history.ts'
import { deriveRows } from '../../src/verify/derive.ts'
import { readChain } from '../support/chain-file.ts'

const SEED = 20_251_127
const ROUNDS = 12
const TRANSACTIONS = 35
const QUIET_BLOCKS = 40
const GENESIS = 9_442_913
/** The contracts are there. */
const FIRST = GENESIS + 3
const silent = () => undefined
const log = { debug: silent, info: silent, warn: silent, error: silent }

test('every native row of seeded traffic is in a block that is read, and quiet blocks are not', async () => {
  const chain = readChain('sepolia')
  const anvil = await startAnvil({ chainId: chain.id, number: GENESIS })
  const source = createJsonRpcSource({ chainId: chain.id, urls: [anvil.url], displayUrl: text => new URL(text).origin })
  try {
    const traffic = await createTraffic({ anvil, chain, seed: SEED })
    for (let round = 0; round < ROUNDS; round += 1) {
      await traffic.step(TRANSACTIONS)
      await anvil.rpc('anvil_mine', [numberToHex(QUIET_BLOCKS)])
    }
    const head = Number(await anvil.rpc('eth_blockNumber'))
    const wallets = [...traffic.users, ...traffic.watched].map(({ address }) => address)
    const owners = new Map<string, string | null>(wallets.map(wallet => [wallet, null]))
    const { activities } = await deriveRows({
      urls: [anvil.url],
      chain,
      fromBlock: FIRST,
      toBlock: head,
      owners,
      headNumber: head,
    })
    const native = activities.filter(({ log_index }) => log_index === null)
    const blocksOf = (wallet: Address) => [
      ...new Set(native.filter(row => row.wallet_address === wallet).map(row => row.block_number)),
    ]
    const range = { from: FIRST, to: head }
    const counts = { rows: 0, hit: 0, proved: 0, reasons: new Set<string>() }
    for (const wallet of wallets) {
      const found = await findNativeHistory({ chain, source, log }, wallet, range, AbortSignal.timeout(60_000))
      const hits = new Set(found.hits)
      const blocks = blocksOf(wallet)
      const isEmpty = (block: number) => found.empty.some(({ from, to }) => from <= block && block <= to)
      expect(blocks.filter(isEmpty), wallet).toEqual([])
      counts.rows += blocks.length
      counts.hit += blocks.filter(block => hits.has(block)).length
      counts.proved += found.empty.reduce((sum, { from, to }) => sum + to - from + 1, 0)
      for (const { reason } of found.whole) counts.reasons.add(reason)
    }
    // There was something to find and something to prove, of wallets of every kind.
    expect(counts.rows).toBeGreaterThan(200)
    expect(counts.hit).toBeGreaterThan(100)
    expect(counts.proved).toBeGreaterThan(3 * (head - FIRST))
    expect([...counts.reasons].toSorted()).toEqual(['contract', 'could-be-contract', 'delegated', 'dense'])
  } finally {
    await source.close()
    await anvil.stop()
  }
})
