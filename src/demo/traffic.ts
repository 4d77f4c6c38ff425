/**
 * Traffic on a local chain: users, watched wallets and strangers who do everything that the indexer has to understand.
 *
 * Always holds: for one seed, one chain and the same calls the transactions are the same ones, with the same hashes, because
 * nothing here looks at the chain once it has begun. Actions are dealt like cards: none comes a second time
 * before each has come once. Blocks come only from here, so Anvil must not mine by itself.
 */
import { toHex } from 'viem'
import type { Hash, Hex } from '../core/types.ts'
import { AppError } from '../errors.ts'
import { DELEGATION_ACTIONS } from './actions/delegation.ts'
import { LINKDAO_ACTIONS } from './actions/linkdao.ts'
import { NATIVE_ACTIONS } from './actions/native.ts'
import { ODD_ACTIONS } from './actions/oddities.ts'
import { PIECE_ACTIONS } from './actions/pieces.ts'
import { TOKEN_ACTIONS } from './actions/tokens.ts'
import { type Anvil, requestAll } from './anvil.ts'
import { createDice } from './dice.ts'
import { createHolder, type Held } from './held.ts'
import { makeParty, makeUser, type Party } from './party.ts'
import { type Action, freeUsers, pickKind, type Scene, show } from './scene.ts'
import { createSender } from './sender.ts'
import { buildWorld, type World, type WorldChain } from './world.ts'

export type TrafficOptions = {
  readonly anvil: Anvil
  readonly chain: WorldChain
  readonly seed: number
  /** At least 6. */
  readonly users?: number
  /** A block holds this many at most, but for the few by which its last action goes beyond. */
  readonly maxPerBlock?: number
  /** How many there are who sign one transaction each that may never be sent. */
  readonly hesitant?: number
}

export type Deed = { readonly hash: Hash; readonly words: string }

/** A transaction that waits in the pool, until another one takes its nonce. */
export type Waiting = {
  readonly hash: Hash
  /** Sends the same payment, or a cancellation of it, with higher fees. Returns the hash of what replaces it. */
  replace(how: 'speed-up' | 'cancel'): Promise<Hash>
}

export type Traffic = {
  readonly world: World
  readonly users: readonly Party[]
  readonly watched: readonly Party[]
  readonly strangers: readonly Party[]
  /** What was done so far, oldest first. */
  readonly log: readonly Deed[]
  /** Sends about `count` transactions in blocks of various sizes and mines them. Returns what was done. */
  step(count: number): Promise<readonly Deed[]>
  /** Sends about `count` transactions that stay in the pool until `mine`. */
  send(count: number): Promise<readonly Deed[]>
  mine(): Promise<void>
  /** A payment of a user, left in the pool. */
  sendReplaceable(): Promise<Waiting>
  /** A payment to a user that is signed and not sent; null when all the hesitant have signed one. */
  hold(): Promise<Held | null>
  /** The signed bytes of a transaction of this traffic, sent or not. */
  rawOf(hash: Hash): Hex | undefined
  /**
   * Replaces the newest `depth` blocks by others with the same transactions, which are moved up to `shift` blocks back (at most
   * depth − 1), and mines one block so that the new branch is longer. All of them must hold transactions of this traffic only.
   */
  reorganise(depth?: number, shift?: number): Promise<void>
}

const MIN_USERS = 6
const DEFAULT_USERS = 12
const DEFAULT_MAX_PER_BLOCK = 30
const WATCHED = 3
const STRANGERS = 8
/** No action needs more users at a time who may send; the others may rest. */
const NEEDED_USERS = 4
const RICH = toHex(1n << 200n)
const ACTIONS: readonly Action[] = [
  ...NATIVE_ACTIONS,
  ...TOKEN_ACTIONS,
  ...PIECE_ACTIONS,
  ...LINKDAO_ACTIONS,
  ...DELEGATION_ACTIONS,
  ...ODD_ACTIONS,
]

/** Builds the world, funds everybody and begins. Throws EMBEDDED_UNAVAILABLE where the compiler is not installed. */
export async function createTraffic(options: TrafficOptions): Promise<Traffic> {
  const { anvil, chain, seed } = options
  const count = options.users ?? DEFAULT_USERS
  if (count < MIN_USERS) {
    throw new AppError('INTERNAL', 'Traffic needs more users.', { facts: { users: count, atLeast: MIN_USERS } })
  }
  const users = Array.from({ length: count }, (_, i) => makeUser(i))
  const watched = Array.from({ length: WATCHED }, (_, i) => makeParty(`watched wallet ${i + 1}`, i))
  const strangers = Array.from({ length: STRANGERS }, (_, i) => makeParty(`stranger ${i + 1}`, i))
  const guarded = makeParty('the wallet with code')
  const hesitant = Array.from({ length: options.hesitant ?? 0 }, (_, i) => makeParty(`the hesitant ${i + 1}`, i))
  const world = await buildWorld(anvil, chain)
  const everybody = [...users, ...watched, ...strangers, guarded, ...hesitant]
  await requestAll(anvil.url, [
    ...everybody.map(({ address }) => ({ method: 'anvil_setBalance', params: [address, RICH] })),
    { method: 'anvil_setCode', params: [guarded.address, world.contracts.Sink.runtime] },
  ])
  // What was set by hand is part of the state that the next block is built on.
  await anvil.mine()
  const log: Deed[] = []
  const sender = await createSender(anvil, everybody)
  const dice = createDice(seed)
  const scene: Scene = {
    chainId: anvil.chainId,
    dice,
    world,
    sender,
    users,
    strangers,
    guarded,
    proposals: 0,
    watched: [...watched, guarded],
    resting: new Set(),
    stakes: new Map(),
    allowances: new Set(),
    act: async (party, draft, words) => {
      const kind = draft.kind ?? pickKind(dice)
      const hash = await sender.send(party, { ...draft, kind })
      log.push({ hash, words })
      return hash
    },
  }
  const hold = createHolder(anvil, scene, hesitant)
  return { ...buildTraffic(anvil, scene, log, options.maxPerBlock ?? DEFAULT_MAX_PER_BLOCK), hold }
}

function buildTraffic(anvil: Anvil, scene: Scene, log: Deed[], maxPerBlock: number): Omit<Traffic, 'hold'> {
  const { dice, sender } = scene
  const deal = createDealer(scene)
  let roomInBlock = dice.integer(1, maxPerBlock)

  const mine = async () => {
    await sender.flush()
    await anvil.mine()
    scene.resting.clear()
    roomInBlock = dice.integer(1, maxPerBlock)
  }
  const send = async (count: number, mustMine: boolean) => {
    const start = log.length
    while (log.length < start + count) {
      if (freeUsers(scene).length < NEEDED_USERS || (mustMine && roomInBlock <= 0)) await mine()
      const before = log.length
      await deal().run(scene)
      roomInBlock -= log.length - before
    }
    await sender.flush()
    return log.slice(start)
  }
  return {
    world: scene.world,
    users: scene.users,
    watched: scene.watched,
    strangers: scene.strangers,
    log,
    mine,
    step: async count => {
      const deeds = await send(count, true)
      await mine()
      return deeds
    },
    send: count => send(count, false),
    sendReplaceable: () => sendReplaceable(scene),
    rawOf: hash => sender.rawOf(hash),
    reorganise: (depth = 1, shift = 0) => reorganise(anvil, scene, depth, shift),
  }
}

/** Returns the next action that is possible, from a deck that is shuffled anew when it runs out. */
function createDealer(scene: Scene): () => Action {
  let deck: Action[] = []
  return () => {
    if (!deck.some(({ isPossible }) => isPossible?.(scene) ?? true)) deck = scene.dice.shuffle(ACTIONS)
    const at = deck.findIndex(({ isPossible }) => isPossible?.(scene) ?? true)
    const [action] = deck.splice(at, 1)
    // Unreachable: most actions are always possible.
    if (action === undefined) throw new AppError('INTERNAL', 'There is nothing left to do.')
    return action
  }
}

async function sendReplaceable(scene: Scene): Promise<Waiting> {
  const { sender, dice } = scene
  const from = dice.pick(freeUsers(scene))
  const to = dice.pick(scene.users.filter(user => user !== from))
  const value = BigInt(dice.integer(1, 900)) * 10n ** 15n
  const amount = show(value, 18, scene.world.nativeSymbol)
  const nonce = sender.nextNonce(from)
  const hash = await scene.act(from, { to: to.address, value }, `${from.name} sends ${amount} to ${to.name}, slowly`)
  await sender.flush()
  return {
    hash,
    replace: async how => {
      const draft = how === 'cancel' ? { to: from.address } : { to: to.address, value }
      const words = how === 'cancel' ? `${from.name} cancels that` : `${from.name} speeds it up`
      const other = await scene.act(from, { ...draft, nonce, feeFactor: 3n }, words)
      await sender.flush()
      return other
    },
  }
}

async function reorganise(anvil: Anvil, scene: Scene, depth: number, shift: number): Promise<void> {
  const head = Number(await anvil.rpc('eth_blockNumber'))
  const pairs: (readonly [Hex, number])[] = []
  for (let i = 0; i < depth; i += 1) {
    const number = toHex(head - depth + 1 + i)
    const block = (await anvil.rpc('eth_getBlockByNumber', [number, false])) as { transactions: readonly Hash[] }
    for (const hash of block.transactions) {
      const raw = scene.sender.rawOf(hash)
      if (raw === undefined) throw new AppError('INTERNAL', 'A block holds what this traffic did not send.')
      pairs.push([raw, Math.min(i + shift, depth - 1)])
    }
  }
  await anvil.rpc('anvil_reorg', [depth, pairs])
  await anvil.mine()
}
