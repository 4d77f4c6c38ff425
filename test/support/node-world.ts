/**
 * A chain that goes on as real ones do: traffic of many kinds in every block, and the time at which each block was there.
 *
 * Always holds: every block that `mine` makes holds at least one payment of a user, so each has a row to wait for.
 */
import type { Chain } from '../../src/core/chain.ts'
import { type Anvil, startAnvil } from '../../src/demo/anvil.ts'
import { createTraffic, type Traffic } from '../../src/demo/traffic.ts'
import { sleep } from '../../src/runtime/sleep.ts'
import { readChain } from './chain-file.ts'

export type Mined = {
  readonly number: number
  readonly hash: string
  /** Monotonic milliseconds. */
  readonly at: number
}

export type World = {
  readonly anvil: Anvil
  /** A node of another chain, with more blocks. */
  readonly stranger: Anvil
  readonly traffic: Traffic
  readonly chain: Chain
  /** Mines blocks one after the other, a block time apart if no other pause is asked for. */
  mine(blocks: number, options?: { readonly pauseMs?: number }): Promise<readonly Mined[]>
  /** Blocks without traffic, at once. */
  pass(blocks: number): Promise<void>
  head(): Promise<{ readonly number: number; readonly hash: string }>
  close(): Promise<void>
}

const BLOCK_TIME_MS = 200
const CONFIRMATIONS = 2
/** Of many kinds, so that most blocks have several logs. */
const TRANSACTIONS = 4
const STRANGER_ID = 424_242
const STRANGER_BLOCKS = 300

/** @param seed of the traffic */
export async function openWorld(seed: number, options: { readonly slotsInAnEpoch?: number } = {}): Promise<World> {
  const chain: Chain = {
    ...readChain('sepolia'),
    confirmations: CONFIRMATIONS,
    tiers: [],
    blockTimeSeconds: BLOCK_TIME_MS / 1_000,
    mempool: 'off',
  }
  const [anvil, stranger] = await Promise.all([
    startAnvil({ chainId: chain.id, ...options }),
    startAnvil({ chainId: STRANGER_ID }),
  ])
  await stranger.mine(STRANGER_BLOCKS)
  const traffic = await createTraffic({ anvil, chain, seed })
  const head = async () =>
    (await anvil.rpc('eth_getBlockByNumber', ['latest', false])) as { number: string; hash: string }
  const mineOne = async (): Promise<Mined> => {
    await traffic.sendReplaceable()
    await traffic.send(TRANSACTIONS)
    await traffic.mine()
    const at = performance.now()
    const { number, hash } = await head()
    return { number: Number(number), hash, at }
  }
  return {
    anvil,
    stranger,
    traffic,
    chain,
    async mine(blocks, { pauseMs = BLOCK_TIME_MS } = {}) {
      const mined: Mined[] = []
      for (let count = 0; count < blocks; count += 1) {
        mined.push(await mineOne())
        await sleep(pauseMs)
      }
      return mined
    },
    pass: blocks => anvil.mine(blocks),
    async head() {
      const { number, hash } = await head()
      return { number: Number(number), hash }
    },
    async close() {
      await Promise.all([anvil.stop(), stranger.stop()])
    },
  }
}
