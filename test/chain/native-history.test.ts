/**
 * Native history by the state of accounts, on a real EVM: compared with what traces of every block show.
 */

import { encodeFunctionData, getCreate2Address, type Hex, numberToHex, size } from 'viem'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { explainBlock } from '../../src/core/native-history-explain.ts'
import { codeKindOf } from '../../src/core/native-history.ts'
import { createdContract } from '../../src/core/interest.ts'
import { type Address, type Block, ZERO_ADDRESS } from '../../src/core/types.ts'
import { type Anvil, startAnvil } from '../../src/demo/anvil.ts'
import { compileContracts, type Contracts } from '../../src/demo/compile.ts'
import { createDice } from '../../src/demo/dice.ts'
import { makeParty, type Party } from '../../src/demo/party.ts'
import { createSender, type Sender } from '../../src/demo/sender.ts'
import { createJsonRpcSource } from '../../src/source/json-rpc.ts'
import type { Source } from '../../src/source/source.ts'
import { findNativeHistory, type NativeHistory } from '../../src/steps/native-history.ts'
import { type FaultProxy, startFaultProxy } from '../support/fault-proxy.ts'
import type { Schedule } from '../support/fault-schedule.ts'
import { testChain } from '../support/indexer.ts'

const CHAIN_ID = 31337
const ETHER = 10n ** 18n
/** Deploys by CREATE2 what follows 32 bytes of salt; Anvil has it from its genesis on. */
const FACTORY: Address = '0x4e59b44847b379578588920ca78fbf26c0b4956c'
const SALT: Hex = `0x${'00'.repeat(32)}`
const DEADLINE_MS = 100_000

const [wallet, rested, delegating, other, sink] = ['Wanda', 'Rita', 'Della', 'Otto', 'Sid'].map(name =>
  makeParty(name),
) as [Party, Party, Party, Party, Party]

/**
 * The constructor of a contract that leaves no code: it pays all it has to somebody, by a self-destruct; or, if it is given value
 * itself, by a call, after which the address stays as an account with nonce 1.
 */
function sweeperTo(to: Address): Hex {
  const address = to.slice(2)
  const selfDestruct = `34601a5773${address}ff`
  const call = `5b5f5f5f5f4773${address}5af100`
  return `0x${selfDestruct}${call}`
}

let anvil: Anvil
let contracts: Contracts
let sender: Sender
let proxy: FaultProxy
let counterfactual: Address
/** The wallets whose history is looked for, by what they are. */
let wallets: Readonly<Record<string, Address>>
let head = 0
const opened: Source[] = []

const NOTHING: Schedule = { rates: {}, view: null }

function sourceOf(...urls: readonly string[]): Source {
  const source = createJsonRpcSource({ chainId: CHAIN_ID, urls, displayUrl: text => new URL(text).origin })
  opened.push(source)
  return source
}

const chain = testChain()
const lines: string[] = []
const tell = (_facts: object, message: string) => void lines.push(message)
const log = { debug: tell, info: tell, warn: tell, error: tell }

const find = (source: Source, of: Address, isKey = false) =>
  findNativeHistory({ chain, source, log }, of, { from: 0, to: head }, AbortSignal.timeout(DEADLINE_MS), isKey)

/** How often the proxy was asked about the chain. */
const questions = () => proxy.arrivals().filter(({ method }) => method !== 'eth_chainId').length

/** What was sent, in one block, and some blocks in which nothing happens. */
async function mine(pause = 7): Promise<void> {
  await sender.flush()
  await anvil.mine()
  await anvil.mine(pause)
}

const authorizationOf = (party: Party, code: Address) =>
  party.account.signAuthorization({
    chainId: CHAIN_ID,
    address: code,
    nonce: sender.nextNonce(party),
  })

async function delegate(party: Party, to: Address): Promise<void> {
  const signed = await authorizationOf(party, to)
  sender.useNonce(party)
  await sender.send(other, { to: other.address, authorizations: [signed], gas: 400_000n })
}

beforeAll(async () => {
  anvil = await startAnvil({ chainId: CHAIN_ID })
  contracts = await compileContracts()
  for (const { address } of [wallet, other, delegating])
    await anvil.rpc('anvil_setBalance', [address, numberToHex(1_000n * ETHER)])
  sender = await createSender(anvil, [wallet, rested, delegating, other, sink])
  proxy = await startFaultProxy({ target: anvil.url, dice: createDice(5) })
  // What comes first is in block 9, where an endpoint is asked to show that it tells old states.
  await anvil.mine(8)
  await playWallet()
  await playDelegating()
  await playCounterfactual()
  await playRested()
  await anvil.mine(60)
  head = Number(await anvil.rpc('eth_blockNumber'))
  wallets = {
    'a key': wallet.address,
    'a key that only receives': rested.address,
    'a key that delegates': delegating.address,
    'a counterfactual contract': counterfactual,
    'somebody who pays all the time': other.address,
  }
}, 60_000)

afterAll(async () => {
  await Promise.all(opened.map(source => source.close()))
  await proxy.close()
  await anvil.stop()
})

async function playWallet(): Promise<void> {
  const runner = createdContract({ to: null, from: other.address, nonce: sender.nextNonce(other) }) ?? ZERO_ADDRESS
  await sender.send(other, { to: null, data: contracts.Delegate.creation, gas: 2_000_000n })
  await sender.send(other, { to: wallet.address, value: 5n * ETHER })
  await mine()
  await sender.send(wallet, { to: other.address, value: ETHER })
  await sender.send(other, { to: wallet.address, value: 2n * ETHER })
  await mine(41)
  // A deployment with value: the constructor pays it on.
  await sender.send(wallet, { to: null, value: ETHER, data: sweeperTo(sink.address) })
  await mine()
  await sender.send(wallet, { to: FACTORY, value: ETHER, data: '0x00' })
  await mine()
  await sender.send(wallet, { to: wallet.address, value: ETHER })
  await mine(3)
  // By self-destruct, and by an internal call.
  await sender.send(other, { to: null, value: 3n * ETHER, data: `0x73${wallet.address.slice(2)}ff` })
  await mine(90)
  await sender.send(other, {
    to: runner,
    value: 2n * ETHER,
    data: run(wallet.address, 2n * ETHER),
  })
  await mine()
  // It calls what pays it back, and gets something else from the same place in the same block.
  await sender.send(wallet, { to: runner, value: 4n * ETHER, data: run(wallet.address, 4n * ETHER) })
  await sender.send(other, { to: runner, value: ETHER, data: run(wallet.address, ETHER) })
  await mine()
  await sender.send(other, { to: wallet.address })
  await mine()
  // It earns the fees of a block.
  await anvil.rpc('anvil_setCoinbase', [wallet.address])
  await sender.send(other, { to: sink.address, value: ETHER })
  await sender.flush()
  await anvil.mine()
  await anvil.rpc('anvil_setCoinbase', [ZERO_ADDRESS])
  await anvil.mine(4)
  // Busy for a while.
  for (let count = 0; count < 6; count += 1) {
    await sender.send(wallet, { to: sink.address, value: 5n })
    await sender.send(wallet, { to: sink.address, value: 6n })
    await mine(0)
  }
  await mine(20)
}

function run(to: Address, value: bigint): Hex {
  return encodeFunctionData({ abi: contracts.Delegate.abi, functionName: 'run', args: [to, value, '0x'] })
}

async function playDelegating(): Promise<void> {
  const code = createdContract({ to: null, from: other.address, nonce: sender.nextNonce(other) }) ?? ZERO_ADDRESS
  await sender.send(other, { to: null, data: contracts.Delegate.creation, gas: 2_000_000n })
  await mine()
  await sender.send(other, { to: delegating.address, value: ETHER })
  await mine(12)
  await delegate(delegating, code)
  await mine(15)
  // Anybody makes it pay, and its nonce stays; once with as much as it gets.
  await sender.send(other, { to: delegating.address, data: run(sink.address, ETHER) })
  await mine(11)
  await sender.send(other, { to: delegating.address, value: ETHER, data: run(sink.address, ETHER) })
  await mine(6)
  await delegate(delegating, ZERO_ADDRESS)
  await mine(17)
  await sender.send(other, { to: delegating.address, value: ETHER })
  await mine(17)
  await sender.send(delegating, { to: sink.address, value: ETHER })
  await mine()
  // There and back within one block.
  await delegate(delegating, code)
  await sender.send(other, { to: delegating.address, data: run(sink.address, ETHER) })
  await delegate(delegating, ZERO_ADDRESS)
  await mine()
}

/** Funded, created, swept and destroyed within one block, twice; at last it is left without code and with a nonce. */
async function playCounterfactual(): Promise<void> {
  const sweeper = sweeperTo(sink.address)
  counterfactual = getCreate2Address({ from: FACTORY, salt: SALT, bytecode: sweeper }).toLowerCase() as Address
  const deploy = `${SALT}${sweeper.slice(2)}` as const
  for (const value of [0n, 0n, 1n]) {
    await sender.send(other, { to: counterfactual, value: ETHER })
    await sender.send(other, { to: FACTORY, data: deploy, value })
    await mine(25)
  }
  await sender.send(other, { to: counterfactual, value: ETHER })
  await mine(25)
}

async function playRested(): Promise<void> {
  await sender.send(other, { to: rested.address, value: ETHER })
  await mine()
}

// ── What reading every block finds ───────────────────────────────────────────────────────────────────────────────────────

type Frame = {
  readonly type: string
  readonly from: string
  readonly to?: string
  readonly value?: string
  readonly error?: string
  readonly calls?: readonly Frame[]
}
type Traced = { readonly hash: Hex; readonly frame: Frame; readonly block: number }

let traced: Promise<readonly Traced[]> | null = null

async function traceAll(): Promise<readonly Traced[]> {
  const all: Traced[] = []
  for (let block = 1; block <= head; block += 1) {
    const { transactions } = (await anvil.rpc('eth_getBlockByNumber', [numberToHex(block), false])) as {
      transactions: Hex[]
    }
    for (const hash of transactions) {
      const frame = (await anvil.rpc('debug_traceTransaction', [hash, { tracer: 'callTracer' }])) as Frame
      all.push({ hash, frame, block })
    }
  }
  return all
}

/** Frames that moved value, what failed and all below it left out. */
function movements({
  from,
  to,
  value = '0x0',
  error,
  calls = [],
  type,
}: Frame): { from: string; to: string; value: bigint }[] {
  if (error !== undefined) return []
  const moves = BigInt(value) > 0n && type !== 'DELEGATECALL' && type !== 'CALLCODE'
  return [
    ...(moves ? [{ from: from.toLowerCase(), to: (to ?? '').toLowerCase(), value: BigInt(value) }] : []),
    ...calls.flatMap(movements),
  ]
}

const quantityAt = async (method: string, address: Address, block: number) =>
  BigInt(String(await anvil.rpc(method, [address, numberToHex(block)])))

const eventful = new Map<Address, Promise<readonly number[]>>()

/** The blocks in which something happened to a wallet: value that moved, whatever it added up to, and anything of its account. */
function eventfulBlocks(of: Address): Promise<readonly number[]> {
  const known = eventful.get(of) ?? readEventfulBlocks(of)
  eventful.set(of, known)
  return known
}

async function readEventfulBlocks(of: Address): Promise<readonly number[]> {
  traced ??= traceAll()
  const blocks = new Set<number>()
  for (const { frame, block } of await traced) {
    if (frame.from.toLowerCase() === of) blocks.add(block)
    if (movements(frame).some(({ from, to }) => from === of || to === of)) blocks.add(block)
  }
  let last = ''
  for (let block = 0; block <= head; block += 1) {
    const [nonce, balance, code] = await Promise.all([
      quantityAt('eth_getTransactionCount', of, block),
      quantityAt('eth_getBalance', of, block),
      anvil.rpc('eth_getCode', [of, numberToHex(block)]),
    ])
    const now = `${nonce} ${balance} ${String(code)}`
    if (block > 0 && now !== last) blocks.add(block)
    last = now
  }
  return [...blocks].toSorted((a, b) => a - b)
}

const isIn = (ranges: readonly { from: number; to: number }[], block: number) =>
  ranges.some(({ from, to }) => from <= block && block <= to)
const wholeOf = ({ whole }: NativeHistory) => whole.map(({ range }) => range)
const reasonsOf = ({ whole }: NativeHistory) => [...new Set(whole.map(({ reason }) => reason))]

describe('on an archive node', () => {
  test('of every kind of wallet, nothing happened in the blocks that would not be read', async () => {
    for (const [what, address] of Object.entries(wallets)) {
      const found = await find(sourceOf(anvil.url), address)
      const happened = await eventfulBlocks(address)
      expect(happened.length, what).toBeGreaterThan(0)
      expect(
        happened.filter(block => isIn(found.empty, block)),
        what,
      ).toEqual([])
    }
  })

  test('a key has exactly the blocks in which something happened, and little that is read whole', async () => {
    const found = await find(sourceOf(anvil.url), wallet.address)
    const happened = await eventfulBlocks(wallet.address)
    expect(found.hits).toEqual(happened.filter(block => !isIn(wholeOf(found), block)))
    expect(reasonsOf(found)).toEqual(['dense'])
    expect(wholeOf(found).reduce((sum, { from, to }) => sum + to - from + 1, 0)).toBeLessThan(12)
  })

  test('a delegating key is read whole while it is delegated, and only then', async () => {
    const found = await find(sourceOf(anvil.url), delegating.address)
    const happened = await eventfulBlocks(delegating.address)
    expect(reasonsOf(found)).toEqual(['delegated'])
    expect(found.hits).toEqual(happened.filter(block => !isIn(wholeOf(found), block)))
    const kinds = await Promise.all(
      found.whole.flatMap(({ range }) =>
        [range.from - 1, range.to].map(async block =>
          codeKindOf((await anvil.rpc('eth_getCode', [delegating.address, numberToHex(block)])) as Hex),
        ),
      ),
    )
    expect(new Set(kinds)).toEqual(new Set(['delegated']))
  })

  test('a counterfactual wallet that looks like a key at the end is read whole up to where its nonce rose', async () => {
    const at = (method: string, block: number) => quantityAt(method, counterfactual, block)
    expect(await at('eth_getTransactionCount', head)).toBe(1n)
    expect(size((await anvil.rpc('eth_getCode', [counterfactual, 'latest'])) as Hex)).toBe(0)
    const [first, second, third, paid] = await eventfulBlocks(counterfactual)
    const found = await find(sourceOf(anvil.url), counterfactual)
    expect(found.whole).toEqual([{ range: { from: 1, to: Number(third) - 1 }, reason: 'could-be-contract' }])
    expect(found.hits).toEqual([third, paid])
    // Before that the ends of any stretch are equal, with all that moved in between.
    for (const block of [first, second])
      expect(await at('eth_getBalance', Number(block))).toBe(await at('eth_getBalance', Number(block) - 1))
  })

  test('a key that never sent anything can not be told from a contract to come', async () => {
    const found = await find(sourceOf(anvil.url), rested.address)
    expect(found.whole).toEqual([{ range: { from: 1, to: head }, reason: 'could-be-contract' }])
    const known = await find(sourceOf(anvil.url), rested.address, true)
    expect(known.hits).toEqual(await eventfulBlocks(rested.address))
    expect(known.whole).toEqual([])
  })

  test('what is internal in a hit is what traces show below the roots', async () => {
    const source = sourceOf(anvil.url)
    const signal = AbortSignal.timeout(DEADLINE_MS)
    const { hits, changes } = await find(source, wallet.address)
    const all = await (traced ??= traceAll())
    const internals: bigint[] = []
    for (const { block: number, before, after } of changes) {
      if (before === null || after === null) throw new Error('an archive node has both')
      const block: Block = await source.block(number, signal)
      const dues = await source.dues(wallet.address, block, signal)
      const { internal, fits } = explainBlock(block, wallet.address, { before, after }, dues, false)
      expect(fits).toBe(true)
      const below = all
        .filter(one => one.block === number && one.frame.error === undefined)
        .flatMap(({ frame }) => (frame.calls ?? []).flatMap(movements))
      const net = below.reduce(
        (sum, { from, to, value }) =>
          sum + (to === wallet.address ? value : 0n) - (from === wallet.address ? value : 0n),
        0n,
      )
      expect(internal, `block ${number}`).toBe(net)
      if (net !== 0n) internals.push(net)
    }
    expect(hits.length).toBeGreaterThan(8)
    expect(internals).toEqual([3n * ETHER, 2n * ETHER, 5n * ETHER])
  })

  test('takes no more questions than the bar, as counted on the wire, and as it says', async () => {
    for (const address of [wallet.address, other.address, delegating.address]) {
      const source = sourceOf(proxy.url)
      // What an endpoint has to show is asked once, and not for each wallet.
      await find(source, rested.address)
      const before = questions()
      const found = await find(source, address)
      const calls = questions() - before
      expect(calls).toBe(found.calls)
      const changed = (await eventfulBlocks(address)).length
      expect(calls).toBeLessThanOrEqual((2 * Math.log2(head) + 10) * changed + 10)
    }
  })
})

describe('on other nodes', () => {
  test('one that keeps no old state: it is said so, and nothing is concluded', async () => {
    proxy.play({ ...NOTHING, keepsStates: 20 })
    const found = await find(sourceOf(proxy.url), wallet.address)
    expect(found).toMatchObject({
      hits: [],
      whole: [{ range: { from: 1, to: head }, reason: 'no-archive' }],
      empty: [{ from: 0, to: 0 }],
    })
    proxy.play(null)
  })

  test('one that keeps no old state beside one that does: the other is asked', async () => {
    proxy.play({ ...NOTHING, keepsStates: 20 })
    const found = await find(sourceOf(proxy.url, anvil.url), wallet.address)
    const alone = await find(sourceOf(anvil.url), wallet.address)
    expect(found.hits).toEqual(alone.hits)
    expect(found.whole).toEqual(alone.whole)
    proxy.play(null)
  })

  test('one that tells the newest state whatever it is asked: it is found out, and not believed', async () => {
    proxy.play({ ...NOTHING, newestStateOf: 'all' })
    const source = sourceOf(proxy.url)
    expect(reasonsOf(await find(source, wallet.address))).toEqual(['no-archive'])
    expect(source.health()[0]?.lies).toBeGreaterThan(0)
    const beside = await find(sourceOf(proxy.url, anvil.url), wallet.address)
    expect(beside.hits).toEqual((await find(sourceOf(anvil.url), wallet.address)).hits)
    proxy.play(null)
  })

  test('two that differ about the account: nothing is concluded, and it is told', async () => {
    proxy.play({ ...NOTHING, newestStateOf: wallet.address })
    const found = await find(sourceOf(anvil.url, proxy.url), wallet.address)
    expect(found.whole).toEqual([{ range: { from: 0, to: head }, reason: 'inconsistent' }])
    expect(lines.at(-1)).toMatch(/differ about an account/)
    proxy.play(null)
  })

  test('one without proofs and without receipts by block: they are not needed', async () => {
    proxy.play({ ...NOTHING, missing: { methods: ['eth_getProof', 'eth_getBlockReceipts'], form: 'not found' } })
    const found = await find(sourceOf(proxy.url), wallet.address)
    expect(found.hits).toEqual((await find(sourceOf(anvil.url), wallet.address)).hits)
    proxy.play(null)
  })

  test('is given up when the signal aborts', async () => {
    const given = new AbortController()
    const search = findNativeHistory(
      { chain, source: sourceOf(anvil.url), log },
      wallet.address,
      { from: 0, to: head },
      given.signal,
    )
    given.abort()
    await expect(search).rejects.toMatchObject({ code: 'ABORTED' })
  })
})
