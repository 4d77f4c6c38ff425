/**
 * Endpoints on different branches: behind one address another node appears, which is on a fork. What it claims is weighed against the
 * other endpoints, and a real reorg is followed all the same.
 */

import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type Anvil, startAnvil } from '../../src/demo/anvil.ts'
import { type Balancer, startBalancer } from '../support/balancer.ts'
import { createDatabase, type TestDatabase } from '../support/database.ts'
import { createIndexer, type Indexer, testChain } from '../support/indexer.ts'

const ALICE = '0xa11ce00000000000000000000000000000000001'
const BOB = '0xb0b0000000000000000000000000000000000002'
const ETHER = 10n ** 18n
const hex = (value: bigint) => `0x${value.toString(16)}`

let database: TestDatabase
let chain: Anvil
let fork: Anvil
let balancer: Balancer
const opened: { close(): Promise<unknown> }[] = []

async function openChain(options: Partial<Parameters<typeof startAnvil>[0]> = {}): Promise<Anvil> {
  const anvil = await startAnvil({ chainId: 31337, args: ['--auto-impersonate'], ...options })
  opened.push({ close: () => anvil.stop() })
  return anvil
}

/** A chain, and a fork of it from block 2 on. */
beforeEach(async () => {
  database = await createDatabase()
  await database.sql`insert into users (wallet_address) values (${ALICE})`
  chain = await openChain({ slotsInAnEpoch: 32 })
  await chain.rpc('anvil_setBalance', [ALICE, hex(1000n * ETHER)])
  await chain.mine(2)
  fork = await openChain({ slotsInAnEpoch: 32, forkUrl: chain.url })
  balancer = await startBalancer(chain.url)
  opened.push(balancer)
})

afterEach(async () => {
  for (const each of opened.splice(0).toReversed()) await each.close()
  await database.drop()
})

function openIndexer(urls: readonly string[], fields: Record<string, unknown> = {}): Indexer {
  const indexer = createIndexer(database.url, [{ chain: testChain(fields), url: urls }])
  opened.push(indexer)
  return indexer
}

async function send(anvil: Anvil): Promise<string> {
  const fields = { from: ALICE, to: BOB, value: hex(ETHER), gas: hex(100_000n) }
  return String(await anvil.rpc('eth_sendTransaction', [fields]))
}

const untilAt = (indexer: Indexer, anvil: Anvil) =>
  indexer.until('the checkpoint is the head', async () => {
    const head = (await anvil.rpc('eth_getBlockByNumber', ['latest', false])) as { hash: string }
    return (await indexer.store.checkpoint(31337))?.hash === head.hash
  })

/** The branch of the others goes on meanwhile, which is what tells a fork from a reorg. */
const untilDisputed = (indexer: Indexer) =>
  indexer.until('the endpoints are found on different branches', async () => {
    await chain.mine()
    return indexer.lines.some(({ message }) => message === 'Endpoints on different branches')
  })

const reasons = async () =>
  (await database.sql<{ reason: string }[]>`select reason from indexer.transitions order by id`).map(row => row.reason)

test.each([
  ['of three endpoints', () => [balancer.url, `${chain.url}/?a`, `${chain.url}/?b`]],
  ['of two endpoints', () => [balancer.url, `${chain.url}/?a`]],
])('a longer fork that one %s claims takes nothing back, and the chain goes on', async (_what, urls) => {
  const indexer = openIndexer(urls())
  const hash = await send(chain)
  await chain.mine(5)
  const daemon = indexer.start()
  await untilAt(indexer, chain)
  const before = await reasons()
  expect(before).toEqual(['included', 'confirmed'])

  await fork.mine(9)
  balancer.pointTo(fork.url)
  await untilDisputed(indexer)
  await chain.mine()
  await untilAt(indexer, chain)
  expect(await reasons()).toEqual(before)
  expect(daemon.states()[0]).toMatchObject({ reorgs: 0, phase: 'following' })
  expect([...(await database.sql`select tx_hash, status from user_transactions`)]).toEqual([
    { tx_hash: hash, status: 'confirmed' },
  ])
})

test('a fork that the first endpoint leads onto, block by block, is left before it decides anything', async () => {
  const indexer = openIndexer([balancer.url, `${chain.url}/?a`, `${chain.url}/?b`], { confirmations: 4 })
  const daemon = indexer.start()
  await untilAt(indexer, chain)
  balancer.pointTo(fork.url)
  const hash = await send(fork)
  await fork.mine()
  await indexer.until('the fork is followed', async () => (await reasons()).includes('included'))
  await chain.mine(9)
  await fork.mine(6)
  await untilAt(indexer, chain)
  expect(await reasons()).toEqual(['included', 'reorged'])
  expect([...(await database.sql`select tx_hash, status from user_transactions`)]).toEqual([
    { tx_hash: hash, status: 'pending' },
  ])
  expect(daemon.states()[0]).toMatchObject({ reorgs: 1, phase: 'following' })
})

test('a fork that begins above the checkpoint is not even taken', async () => {
  const indexer = openIndexer([balancer.url, `${chain.url}/?a`, `${chain.url}/?b`], { confirmations: 2 })
  const daemon = indexer.start()
  await untilAt(indexer, chain)
  await indexer.stop()
  await send(fork)
  await chain.mine(9)
  await fork.mine(8)
  balancer.pointTo(fork.url)
  // Several blocks at once, of which the first are deep enough to decide something.
  const again = indexer.start()
  await untilAt(indexer, chain)
  expect(await reasons()).toEqual([])
  expect([daemon, again].map(each => each.states()[0]?.reorgs)).toEqual([0, 0])
})

test('a fork from below what was final does not stop the chain while another endpoint has our blocks', async () => {
  const indexer = openIndexer([balancer.url, chain.url], { confirmations: 1 })
  await send(chain)
  await chain.mine(70)
  const daemon = indexer.start()
  await untilAt(indexer, chain)
  expect((await indexer.store.checkpoint(31337))?.finalizedNumber).toBeGreaterThan(2)
  await fork.mine(80)
  balancer.pointTo(fork.url)
  await chain.mine()
  await untilDisputed(indexer)
  await chain.mine()
  await untilAt(indexer, chain)
  expect((await indexer.store.checkpoint(31337))?.halt).toBeNull()
  expect(daemon.states()[0]).toMatchObject({ reorgs: 0, phase: 'following' })
})

test('a reorg is followed though an endpoint stays on the old branch for good', async () => {
  const indexer = openIndexer([balancer.url, `${chain.url}/?stays`])
  const hash = await send(chain)
  await chain.mine(4)
  const daemon = indexer.start()
  await untilAt(indexer, chain)
  // The old branch is the chain's own, which stands still from now on; the fork is what everybody else went over to.
  await fork.mine(9)
  balancer.pointTo(fork.url)
  await untilAt(indexer, fork)
  expect(daemon.states()[0]).toMatchObject({ reorgs: 1 })
  expect((await reasons()).at(-1)).toBe('reorged')
  expect([...(await database.sql`select tx_hash, status, block_number from user_transactions`)]).toEqual([
    { tx_hash: hash, status: 'pending', block_number: null },
  ])
})

test('a reorg that one endpoint shows while another is silent is followed after some patience', async () => {
  const silent = await startBalancer(chain.url)
  opened.push(silent)
  const indexer = openIndexer([silent.url, balancer.url])
  await send(chain)
  await chain.mine(4)
  indexer.start()
  await untilAt(indexer, chain)
  silent.pointTo(null)
  await fork.mine(9)
  balancer.pointTo(fork.url)
  await untilAt(indexer, fork)
  expect((await reasons()).at(-1)).toBe('reorged')
})

test('a head that is claimed and not there confirms nothing', async () => {
  const indexer = openIndexer([balancer.url], { confirmations: 12 })
  const early = await send(chain)
  await chain.mine(36)
  const late = await send(chain)
  await chain.mine(5)
  // The newest block says that it is far above those which can be had.
  balancer.alter((method, answer) => {
    const header = answer.result as { number?: string; transactions?: readonly unknown[] } | null
    const isHead = method === 'eth_getBlockByNumber' && header?.number === '0x2b'
    return isHead ? { ...answer, result: { ...header, number: '0x3e8' } } : answer
  })
  indexer.start()
  let rows: { tx_hash: string; status: string }[] = []
  await indexer.until('a step was committed', async () => {
    rows = [...(await database.sql<typeof rows>`select tx_hash, status from user_transactions order by block_number`)]
    return rows.length === 2
  })
  expect(rows).toEqual([
    { tx_hash: early, status: 'confirmed' },
    { tx_hash: late, status: 'pending' },
  ])
})

const finalized = async (indexer: Indexer) => (await indexer.store.checkpoint(31337))?.finalizedNumber
const headerOf = (anvil: Anvil, number: number) => anvil.rpc('eth_getBlockByNumber', [hex(BigInt(number)), false])

describe('a finalized block of another branch makes none of ours final', () => {
  test('at a height that we have', async () => {
    await chain.mine(6)
    await fork.mine(6)
    const theirs = await headerOf(fork, 5)
    balancer.alter((_method, answer, [tag]) => (tag === 'finalized' ? { ...answer, result: theirs } : answer))
    const indexer = openIndexer([balancer.url])
    indexer.start()
    await untilAt(indexer, chain)
    expect(await finalized(indexer)).toBe(-1)
  })

  test('above what we have', async () => {
    const indexer = openIndexer([balancer.url])
    await chain.mine(5)
    indexer.start()
    await untilAt(indexer, chain)
    const before = await finalized(indexer)
    await fork.mine(60)
    const theirs = new Map<unknown, unknown>()
    for (let number = 1; number <= 50; number += 1) theirs.set(hex(BigInt(number)), await headerOf(fork, number))
    balancer.alter((_method, answer, [block, isWhole]) => {
      if (block === 'finalized') return { ...answer, result: theirs.get('0x32') }
      return isWhole === false && theirs.has(block) ? { ...answer, result: theirs.get(block) } : answer
    })
    // As many blocks as pass before the tag is asked again.
    await chain.mine(17)
    await untilAt(indexer, chain)
    await chain.mine()
    await untilAt(indexer, chain)
    expect(await finalized(indexer)).toBe(before)
  })

  test('and one of our own branch, above what we have, makes final what its endpoint shares with us', async () => {
    const indexer = openIndexer([balancer.url])
    await chain.mine(5)
    indexer.start()
    await untilAt(indexer, chain)
    const ahead = { ...((await headerOf(fork, 2)) as object), number: '0x32' }
    balancer.alter((_method, answer, [block]) => (block === 'finalized' ? { ...answer, result: ahead } : answer))
    await chain.mine(17)
    await untilAt(indexer, chain)
    // Up to the checkpoint that there was when the tag was asked for again.
    expect(await finalized(indexer)).toBeGreaterThanOrEqual(7)
  })
})
