/**
 * Chance that can be had twice: the same seed gives the same throws, whatever machine and version they are made on.
 *
 * Always holds: a throw depends on the seed and on the throws before it, on nothing else. The generator is mulberry32: 32 bits
 * of state, which is plenty for traffic and useless for secrets.
 */

export type Dice = {
  /** In [0, 1). */
  float(): number
  /** A whole number from `min` to `max`, both included. */
  integer(min: number, max: number): number
  /** From 0 to 2^bits − 1. */
  bits(bits: number): bigint
  chance(probability: number): boolean
  /** Throws a RangeError for an empty list. */
  pick<T>(from: readonly T[]): T
  /** A new array in another order. */
  shuffle<T>(from: readonly T[]): T[]
}

const WORD_BITS = 32

export function createDice(seed: number): Dice {
  let state = seed >>> 0
  const word = (): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return (mixed ^ (mixed >>> 14)) >>> 0
  }
  const float = () => word() / 2 ** WORD_BITS
  const integer = (min: number, max: number) => min + Math.floor(float() * (max - min + 1))
  const shuffle = <T>(from: readonly T[]): T[] => {
    const cards = [...from]
    for (let i = cards.length - 1; i > 0; i -= 1) {
      const other = integer(0, i)
      const card = cards[i] as T
      cards[i] = cards[other] as T
      cards[other] = card
    }
    return cards
  }
  return {
    float,
    integer,
    bits: bits => {
      let value = 0n
      for (let got = 0; got < bits; got += WORD_BITS) value = (value << BigInt(WORD_BITS)) | BigInt(word())
      return BigInt.asUintN(bits, value)
    },
    chance: probability => float() < probability,
    pick: from => {
      if (from.length === 0) throw new RangeError('There is nothing to pick from.')
      return from[integer(0, from.length - 1)] as (typeof from)[number]
    },
    shuffle,
  }
}
