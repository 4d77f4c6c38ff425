/**
 * 32 bits to 32 other bits and back: how a height becomes the front of a hash, and a hash tells its height.
 *
 * Always holds: it is one to one, so that two heights never get the same hash. Mixing is needed because hashes in a database's
 * indexes must not come in order, as real ones do not. The mixing is the finalizer of MurmurHash3.
 */

const FIRST = 0x85ebca6b
const SECOND = 0xc2b2ae35
/** Their inverses modulo 2^32. */
const UNDO_FIRST = 0xa5cb9243
const UNDO_SECOND = 0x7ed1b41d

export function mix(value: number): number {
  let bits = value >>> 0
  bits = Math.imul(bits ^ (bits >>> 16), FIRST)
  bits = Math.imul(bits ^ (bits >>> 13), SECOND)
  return (bits ^ (bits >>> 16)) >>> 0
}

export function unmix(mixed: number): number {
  let bits = mixed >>> 0
  bits = Math.imul(bits ^ (bits >>> 16), UNDO_SECOND)
  bits ^= (bits >>> 13) ^ (bits >>> 26)
  bits = Math.imul(bits, UNDO_FIRST)
  return (bits ^ (bits >>> 16)) >>> 0
}
