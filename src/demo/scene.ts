/**
 * What an action of the traffic has at hand: who is there, what stands where, chance, and one way to send.
 *
 * Always holds: whoever signed an authorization that will take effect rests until the next block, because Anvil's pool counts a
 * sender's nonces by transactions only and would never take up the one after the gap.
 */
import { encodeFunctionData, type SignedAuthorization } from 'viem'
import type { Address, Hash, Hex } from '../core/types.ts'
import type { ContractName } from './compile.ts'
import type { Dice } from './dice.ts'
import type { Party } from './party.ts'
import type { Draft, Sender, TransactionKind } from './sender.ts'
import type { World, WorldToken } from './world.ts'

export type Scene = {
  readonly chainId: number
  readonly dice: Dice
  readonly world: World
  readonly sender: Sender
  readonly users: readonly Party[]
  /** Wallets on the watch-list, which belong to no user. */
  readonly watched: readonly Party[]
  /** Nobody tracks them. */
  readonly strangers: readonly Party[]
  /** Has a key and, impossibly on a real chain, the code of a contract: authorizations by it never take effect. */
  readonly guarded: Party
  /** Addresses whose nonce an authorization in the coming block uses. */
  readonly resting: Set<Address>
  /** Stakes that are open, by user: index and how many there have been. */
  readonly stakes: Map<Address, { open: number[]; count: number }>
  /** Pairs of owner, spender and token that have an unlimited allowance. */
  readonly allowances: Set<string>
  /** Proposals so far on this chain. */
  proposals: number
  /** Sends, and notes in plain words what that was. The kind of transaction is left to chance where the draft names none. */
  act(party: Party, draft: Draft, words: string): Promise<Hash>
}

export type Action = {
  readonly name: string
  /** Absent: always. */
  readonly isPossible?: (scene: Scene) => boolean
  readonly run: (scene: Scene) => Promise<void>
}

const KINDS: readonly TransactionKind[] = ['legacy', 'eip2930', 'eip1559', 'eip1559']

export function pickKind(dice: Dice): TransactionKind {
  return dice.pick(KINDS)
}

/** A user who may send now, none of `others`. */
export function pickUser(scene: Scene, ...others: readonly Party[]): Party {
  return scene.dice.pick(freeUsers(scene).filter(user => !others.includes(user)))
}

export function freeUsers(scene: Scene): Party[] {
  return scene.users.filter(({ address }) => !scene.resting.has(address))
}

/** Somebody at the other end: a user as often as not, a watched wallet or a stranger. Never `party` itself. */
export function pickCounterparty(scene: Scene, party: Party): Party {
  const { dice } = scene
  const group = dice.pick([scene.users, scene.users, scene.watched, scene.strangers])
  return dice.pick(group.filter(one => one !== party))
}

export function pickStranger(scene: Scene): Party {
  return scene.dice.pick(scene.strangers.filter(({ address }) => !scene.resting.has(address)))
}

/** Calldata of a function of one of the local contracts. */
export function encode(scene: Scene, contract: ContractName, functionName: string, args: readonly unknown[]): Hex {
  return encodeFunctionData({ abi: scene.world.contracts[contract].abi, functionName, args })
}

/** Sees to it that `spender` may move everything that `owner` has of a token. */
export async function allow(scene: Scene, owner: Party, token: WorldToken, spender: Address): Promise<void> {
  const key = `${owner.address} ${token.address} ${spender}`
  if (scene.allowances.has(key)) return
  scene.allowances.add(key)
  const data = encode(scene, 'Token', 'approve', [spender, 2n ** 256n - 1n])
  await scene.act(owner, { to: token.address, data }, `${owner.name} approves ${token.symbol} without limit`)
}

/** Signs an authorization with the party's next nonce plus `offset`; `uses`: it will take effect and use the nonce up. */
export async function authorize(
  scene: Scene,
  party: Party,
  delegate: Address,
  options: { readonly offset?: number; readonly chainId?: number; readonly isEffective?: boolean } = {},
): Promise<SignedAuthorization> {
  const nonce = scene.sender.nextNonce(party) + (options.offset ?? 0)
  if (options.isEffective ?? true) {
    scene.resting.add(party.address)
    scene.sender.useNonce(party)
  }
  return party.account.signAuthorization({ address: delegate, chainId: options.chainId ?? scene.chainId, nonce })
}

/** An amount as people write it: at most six decimals. */
export function show(raw: bigint, decimals: number | null, symbol: string): string {
  const places = decimals ?? 0
  const digits = raw.toString().padStart(places + 1, '0')
  const whole = digits.slice(0, digits.length - places)
  const fraction = digits
    .slice(digits.length - places)
    .slice(0, 6)
    .replace(/0+$/, '')
  const text = whole.length > 24 ? `${whole.slice(0, 6)}…(${whole.length} digits)` : whole
  return `${fraction === '' ? text : `${text}.${fraction}`} ${symbol}`
}

/** A few thousand whole tokens with more decimals than this would be more than a uint256 holds. */
const MAX_PLACES = 70

/** A plausible amount in the smallest unit: whole, with a fraction, or a single unit. */
export function pickAmount(scene: Scene, decimals: number | null): bigint {
  const { dice } = scene
  const unit = 10n ** BigInt(Math.min(decimals ?? 18, MAX_PLACES))
  if (dice.chance(0.1)) return 1n
  const whole = BigInt(dice.integer(1, 500)) * unit
  return dice.chance(0.5) ? whole : whole + (unit * BigInt(dice.integer(1, 999))) / 1000n
}
