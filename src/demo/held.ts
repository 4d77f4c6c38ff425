/**
 * Transactions that may never be in a block: signed, perhaps shown to the pool, and forgotten by it.
 *
 * Always holds: each has a sender of its own who does nothing else, so that its nonce is used by nobody unless `supplant` is asked
 * for, and what the others send does not wait for it.
 */
import type { Address, Hash } from '../core/types.ts'
import type { Anvil } from './anvil.ts'
import type { Party } from './party.ts'
import { type Scene, show } from './scene.ts'

export type Held = {
  readonly hash: Hash
  readonly sender: Address
  /** Hands it to the pool; it may be dropped and handed over again. */
  send(): Promise<void>
  /** The pool forgets it. */
  drop(): Promise<void>
  /** Hands another transaction with its nonce to the pool. Returns that one's hash. */
  supplant(): Promise<Hash>
}

/** Deals the hesitant out, one after the other; null when all have signed something. */
export function createHolder(anvil: Anvil, scene: Scene, hesitant: readonly Party[]): () => Promise<Held | null> {
  const left = [...hesitant]
  return async () => {
    const from = left.shift()
    return from === undefined ? null : hold(anvil, scene, from)
  }
}

async function hold(anvil: Anvil, scene: Scene, from: Party): Promise<Held> {
  const { dice, sender, users, world } = scene
  const to = dice.pick(users)
  const value = BigInt(dice.integer(1, 900)) * 10n ** 15n
  const nonce = sender.nextNonce(from)
  const hash = await sender.sign(from, { to: to.address, value, nonce })
  return {
    hash,
    sender: from.address,
    async send() {
      sender.queue(hash)
      await sender.flush()
    },
    async drop() {
      await anvil.rpc('anvil_dropTransaction', [hash])
    },
    async supplant() {
      const words = `${from.name} pays ${show(1n, 18, world.nativeSymbol)} to ${to.name} with the nonce of ${hash}`
      const other = await scene.act(from, { to: to.address, value: 1n, nonce, feeFactor: 3n }, words)
      await sender.flush()
      return other
    },
  }
}
