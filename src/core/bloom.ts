/**
 * The bloom filter of logs (Yellow Paper, section 4.4.1): 2048 bits, three for each address and topic.
 *
 * A header commits to it. So a list of all logs of a block from which one is missing, or to which one was added, shows a different
 * filter, but for the rare log whose bits others have set too.
 */

import { bytesToHex, keccak256 } from 'viem/utils'
import type { Hex, Log } from './types.ts'

const BLOOM_BYTES = 256

export function bloomOf(logs: readonly Pick<Log, 'address' | 'topics'>[]): Hex {
  const bloom = new Uint8Array(BLOOM_BYTES)
  const values = new Set(logs.flatMap(({ address, topics }) => [address, ...topics]))
  for (const value of values) addTo(bloom, keccak256(value, 'bytes'))
  return bytesToHex(bloom)
}

/** Three bits, each by the low 11 bits of a pair of bytes; bit 0 is the last bit of the last byte. */
function addTo(bloom: Uint8Array, hash: Uint8Array): void {
  for (const at of [0, 2, 4]) {
    const bit = (((hash[at] ?? 0) << 8) | (hash[at + 1] ?? 0)) & 2047
    const byte = BLOOM_BYTES - 1 - (bit >> 3)
    bloom[byte] = (bloom[byte] ?? 0) | (1 << (bit & 7))
  }
}
