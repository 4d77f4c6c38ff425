/**
 * A generated chain: a block at every height, of a few dozen moulds, each height with hashes of its own.
 *
 * Always holds: it is a function of its description, so that the node that serves it and the oracle that knows its rows agree without
 * a word; parent links are right at every height; an answer is made from text that was ready before. Heights have six hex digits and
 * times eight, so that holes have one width.
 */

import { createDice } from '../../../src/demo/dice.ts'
import type { Hash } from '../../../src/core/types.ts'
import { type Cast, type CastSpec, createCast, hexFrom } from './cast.ts'
import { PLACES, placeWallet, throwDeeds, USUAL_TRANSACTIONS } from './deeds.ts'
import { mix, unmix } from './mix.ts'
import { type Mould, pourMould } from './mould.ts'
import { createFilling, type Filling, setSlot, SLOT } from './sheet.ts'

/** The lowest height; those of the highest have as many digits. */
export const FIRST_HEIGHT = 0x10_0000
const LAST_HEIGHT = 0xff_ffff

export type ChainSpec = CastSpec & {
  readonly chainId: number
  /**
   * `crowd`: a tenth of the parties of each block are tracked (if a tenth of the wallets is); else one block in so many has one tracked
   * wallet at one place, and the others have none.
   */
  readonly concerns: 'crowd' | { readonly oneBlockIn: number }
  /** Of the chain's time: a block and its timestamp (Unix seconds). */
  readonly anchor: { readonly height: number; readonly seconds: number }
  readonly blockSeconds: number
  /** Of each block; absent: about thirty. */
  readonly transactions?: number
}

export type GeneratedChain = {
  readonly spec: ChainSpec
  readonly cast: Cast
  mouldAt(height: number): Mould
  /** Whether the block at a height concerns a tracked wallet. */
  isConcerned(height: number): boolean
  fillingAt(height: number): Filling
  hashAt(height: number): Hash
  timestampAt(height: number): number
  transactionHash(height: number, index: number): Hash
  /** Where a block or a transaction of this hash would be; null for a hash that the chain never has. */
  findBlock(hash: string): number | null
  findTransaction(hash: string): { readonly height: number; readonly index: number } | null
}

const MOULDS = 48
/** Of larger blocks there are fewer. */
const MIN_MOULDS = 4
const FRONT_DIGITS = 8
/** Words of the dice, so that one choice says nothing of another. */
const CHOICE_SALT = 0x5bd1_e995
const CONCERN_SALT = 0x1b87_3593

export function createChain(spec: ChainSpec): GeneratedChain {
  const cast = createCast(spec)
  const seed = `${spec.seed}:${spec.chainId}`
  const blockHash = hexFrom(32, seed, 'block').slice(2)
  const blockTail = blockHash.slice(FRONT_DIGITS)
  const blockSalt = Number.parseInt(blockHash.slice(0, FRONT_DIGITS), 16)
  const moulds = pourMoulds(spec, cast, seed, blockTail)
  const tails = new Map<string, { readonly mould: Mould; readonly index: number }>()
  for (const mould of [...moulds.plain, ...moulds.concerned])
    for (const [index, tail] of mould.hashTails.entries()) tails.set(tail, { mould, index })

  const isConcerned = (height: number) =>
    spec.concerns === 'crowd' || mix(height ^ spec.seed ^ CONCERN_SALT) % spec.concerns.oneBlockIn === 0
  const mouldAt = (height: number): Mould => {
    const among = isConcerned(height) ? moulds.concerned : moulds.plain
    return among[mix(height ^ spec.seed ^ CHOICE_SALT) % among.length] as Mould
  }
  const hashAt = (height: number): Hash => `0x${frontAt(height, blockSalt)}${blockTail}`
  const timestampAt = (height: number) =>
    Math.floor(spec.anchor.seconds + (height - spec.anchor.height) * spec.blockSeconds)
  const heightOf = (hash: string, salt: number) => {
    const height = (unmix(Number.parseInt(hash.slice(2, 2 + FRONT_DIGITS), 16)) ^ salt) >>> 0
    return height >= FIRST_HEIGHT && height <= LAST_HEIGHT ? height : null
  }
  return {
    spec,
    cast,
    mouldAt,
    isConcerned,
    hashAt,
    timestampAt,
    transactionHash(height, index) {
      const { salts, hashTails } = mouldAt(height)
      return `0x${frontAt(height, salts[index] ?? 0)}${hashTails[index] ?? ''}`
    },
    fillingAt(height) {
      const { salts } = mouldAt(height)
      const filling = createFilling(salts.length)
      setSlot(filling, SLOT.number, `0x${height.toString(16)}`)
      setSlot(filling, SLOT.timestamp, digits(timestampAt(height)))
      setSlot(filling, SLOT.blockHash, frontAt(height, blockSalt))
      setSlot(filling, SLOT.parentHash, frontAt(height - 1, blockSalt))
      for (const [index, salt] of salts.entries()) setSlot(filling, SLOT.transactions + index, frontAt(height, salt))
      return filling
    },
    findBlock: hash => (hash.slice(2 + FRONT_DIGITS) === blockTail ? heightOf(hash, blockSalt) : null),
    findTransaction(hash) {
      const found = tails.get(hash.slice(2 + FRONT_DIGITS))
      if (found === undefined) return null
      const height = heightOf(hash, found.mould.salts[found.index] ?? 0)
      return height !== null && mouldAt(height) === found.mould ? { height, index: found.index } : null
    },
  }
}

type Moulds = { readonly plain: readonly Mould[]; readonly concerned: readonly Mould[] }

function pourMoulds(spec: ChainSpec, cast: Cast, seed: string, blockTail: string): Moulds {
  const dice = createDice(spec.seed)
  const isCrowd = spec.concerns === 'crowd'
  const size = spec.transactions ?? USUAL_TRANSACTIONS
  const count = Math.max(Math.floor((MOULDS * USUAL_TRANSACTIONS) / size), MIN_MOULDS)
  const pour = (kind: string, index: number) => {
    const wallets = isCrowd ? cast.wallets : cast.strangers
    const deeds = throwDeeds(dice, cast, wallets, size)
    const place = PLACES[index % PLACES.length]
    const own =
      kind === 'concerned' && !isCrowd && place !== undefined
        ? placeWallet(dice, deeds, dice.pick(cast.tracked), place)
        : deeds
    return pourMould(own, { chainId: spec.chainId, blockTail, words: [seed, kind, index] })
  }
  return {
    plain: isCrowd ? [] : Array.from({ length: count }, (_, index) => pour('plain', index)),
    concerned: Array.from({ length: count }, (_, index) => pour('concerned', index)),
  }
}

/** The eight digits that a height puts in front of a hash. */
function frontAt(height: number, salt: number): string {
  return digits(mix((height ^ salt) >>> 0))
}

function digits(value: number): string {
  return value.toString(16).padStart(FRONT_DIGITS, '0')
}
