/**
 * The traffic does everything that it promises, and the same again for the same seed; the oracle understands all of it.
 */
import { expect, test } from 'vitest'
import type { Chain } from '../../src/core/chain.ts'
import { type Anvil, startAnvil } from '../../src/demo/anvil.ts'
import { createTraffic, type Traffic } from '../../src/demo/traffic.ts'
import { readChain } from '../support/chain-file.ts'
import { deriveRows } from '../../src/verify/derive.ts'
import { diffRows, type Rows } from '../../src/verify/rows.ts'

const SEED = 20_251_020
/** Two rounds of everything that there is to do. */
const TRANSACTIONS = 190
const GENESIS = 9_442_913

type World = { readonly anvil: Anvil; readonly traffic: Traffic; readonly chain: Chain }

async function withTraffic(
  name: 'mainnet' | 'sepolia',
  work: (world: World) => Promise<void>,
  seed = SEED,
): Promise<void> {
  const chain = readChain(name)
  const anvil = await startAnvil({ chainId: chain.id, number: GENESIS })
  try {
    await work({ anvil, chain, traffic: await createTraffic({ anvil, chain, seed }) })
  } finally {
    await anvil.stop()
  }
}

async function derive({ anvil, chain, traffic }: World): Promise<Rows> {
  const head = Number(await anvil.rpc('eth_blockNumber'))
  const owners = new Map<string, string | null>([
    ...traffic.users.map(({ address, name }): [string, string] => [address, name]),
    ...traffic.watched.map(({ address }): [string, null] => [address, null]),
  ])
  return deriveRows({ urls: [anvil.url], chain, fromBlock: GENESIS + 3, toBlock: head, owners, headNumber: head })
}

const countBy = (values: readonly string[]) =>
  Object.fromEntries([...new Set(values)].sort().map(value => [value, values.filter(one => one === value).length]))

const BUILT_IN = [
  'APPROVAL',
  'BURN',
  'CONTRACT_DEPLOYMENT',
  'CONTRACT_INTERACTION',
  'DELEGATION',
  'MINT',
  'TRANSACTION_REVERTED',
  'TRANSFER_IN',
  'TRANSFER_OUT',
]
const BY_RULE = ['CLAIM_REWARDS', 'PROPOSE', 'STAKE', 'TIP_RECEIVED', 'TIP_SENT', 'UNSTAKE', 'VOTE']

test('every activity and every shape of it occurs on Sepolia, and everything sent is mined', async () => {
  await withTraffic('sepolia', async world => {
    await world.traffic.step(TRANSACTIONS)
    const { activities, transactions } = await derive(world)
    const counts = countBy(activities.map(row => row.activity_type))
    expect(Object.keys(counts)).toEqual([...BUILT_IN, ...BY_RULE].sort())
    expect(new Set(transactions.map(row => row.status))).toEqual(new Set(['pending', 'confirmed', 'failed']))
    expect(new Set(transactions.map(row => row.event_type))).toEqual(
      new Set([...BUILT_IN, ...BY_RULE, 'TRANSFER', 'TIP'].filter(type => !/^(TRANSFER|TIP)_/.test(type))),
    )

    const keys = new Set(activities.flatMap(({ metadata }) => Object.keys(metadata as object)))
    for (const key of ['token_id', 'batch_index', 'unlimited', 'revoked', 'all', 'delegate', 'stakeIndex', 'support']) {
      expect(keys, key).toContain(key)
    }
    const tokens = activities.filter(row => row.token_address !== null && row.raw_amount !== null)
    expect(tokens.some(row => row.amount === null && row.raw_amount === (2n ** 256n - 1n).toString())).toBe(true)
    expect(tokens.some(row => row.amount === '0')).toBe(true)

    // What the chain itself says of authorizations: each that took effect has used up a nonce, and no other has.
    for (const { address, name } of world.traffic.users) {
      const nonce = Number(await world.anvil.rpc('eth_getTransactionCount', [address, 'latest']))
      const sent = await countSent(world, address)
      const delegated = activities.filter(row => row.wallet_address === address && row.activity_type === 'DELEGATION')
      expect(delegated.length, name).toBe(nonce - sent)
    }

    const mined = await Promise.all(world.traffic.log.map(({ hash }) => isMined(world.anvil, hash)))
    expect(mined.filter(one => !one)).toEqual([])
  })
})

async function hashesOf(seed: number): Promise<string[]> {
  const hashes: string[] = []
  await withTraffic(
    'mainnet',
    async ({ traffic }) => {
      await traffic.step(10)
      await traffic.step(50)
      hashes.push(...traffic.log.map(({ hash }) => hash))
    },
    seed,
  )
  return hashes
}

test('the same seed gives the same transactions, another seed others', async () => {
  const [first, second, other] = [await hashesOf(SEED), await hashesOf(SEED), await hashesOf(SEED + 1)]
  expect(second).toEqual(first)
  expect(first.filter(hash => other.includes(hash))).toEqual([])
})

test('a replacement takes the nonce, and a reorganised block is another one with the same transactions', async () => {
  await withTraffic('mainnet', async world => {
    const { anvil, traffic } = world
    const waiting = await traffic.sendReplaceable()
    const cancelled = await traffic.sendReplaceable()
    const faster = await waiting.replace('speed-up')
    const cancellation = await cancelled.replace('cancel')
    await traffic.mine()
    expect(
      await Promise.all([waiting.hash, faster, cancelled.hash, cancellation].map(hash => isMined(anvil, hash))),
    ).toEqual([false, true, false, true])

    await traffic.step(25)
    const before = await derive(world)
    await traffic.reorganise()
    const after = await derive(world)
    const own = new Set(after.activities.map(row => row.block_hash))
    expect(before.activities.every(row => own.has(row.block_hash))).toBe(false)
    expect(after.activities.map(row => row.tx_hash)).toHaveLength(before.activities.length)
    expect(diffRows(before, after)).not.toEqual([])
    expect(diffRows(after, after)).toEqual([])

    await traffic.reorganise(3, 1)
    const shifted = await derive(world)
    expect(countBy(shifted.activities.map(row => row.activity_type))).toEqual(
      countBy(after.activities.map(row => row.activity_type)),
    )
  })
})

async function countSent({ anvil, traffic }: World, address: string): Promise<number> {
  const sent = await Promise.all(traffic.log.map(({ hash }) => anvil.rpc('eth_getTransactionByHash', [hash])))
  return sent.filter(one => (one as { from: string }).from === address).length
}

async function isMined(anvil: Anvil, hash: string): Promise<boolean> {
  return (await anvil.rpc('eth_getTransactionReceipt', [hash])) !== null
}
