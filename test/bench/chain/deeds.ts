/**
 * What happens in a generated block: about thirty transactions with a hundred transfers of tokens, or as many times more, and who takes
 * part.
 *
 * Always holds: the same throws give the same deeds; a block is either one in which wallets meet at random, or one of strangers
 * among whom at most one place is a tracked wallet's.
 */

import type { Address, Hex } from '../../../src/core/types.ts'
import type { Dice } from '../../../src/demo/dice.ts'
import type { Cast } from './cast.ts'

export type Move = { readonly token: Address; readonly from: Address; readonly to: Address; readonly rawAmount: bigint }

export type Deed = {
  readonly from: Address
  readonly to: Address
  readonly value: bigint
  readonly input: Hex
  readonly failed: boolean
  readonly moves: readonly Move[]
  /** A log besides that no decoder knows, as contracts have them. */
  readonly hasOwnLog: boolean
}

/** Where a tracked wallet stands in a block of strangers. */
export const PLACES = ['receives tokens', 'sends tokens', 'receives value', 'sends a transaction'] as const
export type Place = (typeof PLACES)[number]

/** Of a block of thirty transactions; one besides is reverted. */
const NATIVE_DEEDS = 8
const TRANSFER_DEEDS = 10
const ROUTER_DEEDS = 11
const ROUTED_TRANSFERS = 90
export const USUAL_TRANSACTIONS = NATIVE_DEEDS + TRANSFER_DEEDS + ROUTER_DEEDS + 1
const VALUE_BITS = 62
const AMOUNT_BITS = 80
const TRANSFER_SELECTOR = 'a9059cbb'
const ROUTE_SELECTOR = '5ae401dc'
const MIN_ROUTE_WORDS = 8
const MAX_ROUTE_WORDS = 40
const WORD_BITS = 256

/** A block of so many transactions in which each party is one of these wallets. */
export function throwDeeds(
  dice: Dice,
  { tokens, routers }: Cast,
  wallets: readonly Address[],
  transactions = USUAL_TRANSACTIONS,
): Deed[] {
  const times = transactions / USUAL_TRANSACTIONS
  const natives = Math.round(NATIVE_DEEDS * times)
  const transfers = Math.round(TRANSFER_DEEDS * times)
  const routes = transactions - natives - transfers - 1
  const routed = Math.round(ROUTED_TRANSFERS * times)
  const move = (): Move => ({
    token: dice.pick(tokens).address,
    from: dice.pick(wallets),
    to: dice.pick(wallets),
    rawAmount: dice.bits(AMOUNT_BITS) + 1n,
  })
  const native = (): Deed => ({
    ...QUIET,
    from: dice.pick(wallets),
    to: dice.pick(wallets),
    value: dice.bits(VALUE_BITS) + 1n,
  })
  const transfer = (): Deed => {
    const own = move()
    return { ...QUIET, from: own.from, to: own.token, input: transferInput(own), moves: [own] }
  }
  const route = (index: number): Deed => ({
    ...QUIET,
    from: dice.pick(wallets),
    to: dice.pick(routers),
    input: routeInput(dice),
    moves: Array.from({ length: shareOf(routed, routes, index) }, move),
    hasOwnLog: true,
  })
  const reverted = (): Deed => ({ ...transfer(), failed: true, moves: [] })
  return dice.shuffle([
    ...Array.from({ length: natives }, native),
    ...Array.from({ length: transfers }, transfer),
    ...Array.from({ length: routes }, (_, index) => route(index)),
    reverted(),
  ])
}

const QUIET: Omit<Deed, 'from' | 'to'> = { value: 0n, input: '0x', failed: false, moves: [], hasOwnLog: false }

/** The same deeds, but for one party. */
export function placeWallet(dice: Dice, deeds: readonly Deed[], wallet: Address, place: Place): Deed[] {
  const fits = (deed: Deed) => (place === 'receives value' ? deed.value > 0n : deed.moves.length > 1)
  const chosen = dice.pick(deeds.filter(fits))
  return deeds.map(deed => (deed === chosen ? withWallet(deed, wallet, place) : deed))
}

function withWallet(deed: Deed, wallet: Address, place: Place): Deed {
  const [first, ...others] = deed.moves
  if (place === 'receives value') return { ...deed, to: wallet }
  if (place === 'sends a transaction' || first === undefined) return { ...deed, from: wallet }
  return { ...deed, moves: [{ ...first, [place === 'sends tokens' ? 'from' : 'to']: wallet }, ...others] }
}

/** Divides a total among so many as evenly as whole numbers allow. */
function shareOf(total: number, among: number, index: number): number {
  return Math.floor(total / among) + (index < total % among ? 1 : 0)
}

/** `transfer(address,uint256)`. */
function transferInput({ to, rawAmount }: Move): Hex {
  return `0x${TRANSFER_SELECTOR}${word(BigInt(to))}${word(rawAmount)}`
}

function routeInput(dice: Dice): Hex {
  const words = dice.integer(MIN_ROUTE_WORDS, MAX_ROUTE_WORDS)
  return `0x${ROUTE_SELECTOR}${Array.from({ length: words }, () => word(dice.bits(WORD_BITS))).join('')}`
}

export function word(value: bigint): string {
  return value.toString(16).padStart(64, '0')
}
