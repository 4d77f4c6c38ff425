/**
 * Ids of the rows that the daemon writes: UUIDv5 (RFC 9562) of what a row is about, so that the same fact has the same id whoever
 * writes it, and a row of ours is known by its id alone.
 *
 * Made with Node's own SHA-1, because a backfill makes tens of thousands a second: JavaScript's takes four times as long.
 */

import { hash as digest } from 'node:crypto'
import type { Hash } from '../core/types.ts'

/** Fixed for ever, or the same fact would get another id. */
const NAMESPACE = Buffer.from('6f0d3f4e2c525b7e9a631d0c8f1e7b25', 'hex')
const VARIANTS = '89ab'
/** A character takes at most so many bytes. */
const MAX_CHARACTER_BYTES = 3

/** The namespace, and room for the name behind it. */
let room = Buffer.alloc(NAMESPACE.length + 1_024)
NAMESPACE.copy(room)

/** Of a row of `wallet_activity`. */
export function activityId({ idName }: { readonly idName: string }): string {
  return nameBasedId(idName)
}

/** Of our row of `user_transactions`. The application's rows have ids of their own. */
export function transactionRowId(hash: Hash): string {
  return nameBasedId(`user_transactions:${hash}`)
}

function nameBasedId(name: string): string {
  const most = NAMESPACE.length + name.length * MAX_CHARACTER_BYTES
  if (most > room.length) {
    room = Buffer.alloc(most)
    NAMESPACE.copy(room)
  }
  const end = NAMESPACE.length + room.write(name, NAMESPACE.length)
  const hex = digest('sha1', room.subarray(0, end), 'hex')
  const variant = VARIANTS[Number.parseInt(hex.charAt(16), 16) % VARIANTS.length] ?? ''
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-5${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${hex.slice(20, 32)}`
}
