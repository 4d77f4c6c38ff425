/**
 * ABI words, read straight from hex: the few that the token standards need, without decoding what concerns nobody.
 */

import type { Address, Hash, Hex, Log } from '../types.ts'

const CLEAN_ADDRESS_WORD = /^0{24}[0-9a-f]{40}$/

/** Number of bytes of a hex string. */
export function sizeOf(data: Hex): number {
  return (data.length - 2) / 2
}

/** The address in a 32-byte topic, null if its upper 12 bytes are not zero. */
export function addressOfTopic(topic: Hash | undefined): Address | null {
  return topic !== undefined && CLEAN_ADDRESS_WORD.test(topic.slice(2)) ? `0x${topic.slice(26)}` : null
}

/** The address in the n-th word of data, null if there is none or its upper 12 bytes are not zero. */
function addressAt(data: Hex, word: number): Address | null {
  const text = data.slice(2 + word * 64, 66 + word * 64)
  return CLEAN_ADDRESS_WORD.test(text) ? `0x${text.slice(24)}` : null
}

/** The n-th word of data as an unsigned integer. The caller has checked that it is there. */
export function uintAt(data: Hex, word: number): bigint {
  return BigInt(`0x${data.slice(2 + word * 64, 66 + word * 64)}`)
}

function uintOfTopic(topic: Hash): bigint {
  return BigInt(topic)
}

/**
 * Two addresses and a number, as Transfer and Approval have them: from the topics first, the rest from the data, since old contracts
 * index less than the standards ask. null if sizes don't fit or an address is none. `indexed` is the number of indexed ones.
 */
export function readAddressesAndNumber({
  topics,
  data,
}: Log): { first: Address; second: Address; number: bigint; indexed: number } | null {
  const indexed = topics.length - 1
  // What stands in the data must be all of it: 3 indexed ones leave nothing to read there.
  if (indexed < 3 && sizeOf(data) !== (3 - indexed) * 32) return null
  const first = indexed >= 1 ? addressOfTopic(topics[1]) : addressAt(data, 0)
  const second = indexed >= 2 ? addressOfTopic(topics[2]) : addressAt(data, 1 - indexed)
  if (first === null || second === null) return null
  const topic = topics[3]
  return { first, second, number: topic === undefined ? uintAt(data, 2 - indexed) : uintOfTopic(topic), indexed }
}
