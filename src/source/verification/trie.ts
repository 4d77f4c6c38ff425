/**
 * The root of a list: of a block's transactions, receipts or withdrawals.
 *
 * Each entry stands in a Merkle Patricia trie under the RLP of its index (Yellow Paper, appendix D). The trie is a library's; it
 * lives in memory for one root and is forgotten.
 */

import { createMPT } from '@ethereumjs/mpt'
import { toHex, toRlp } from 'viem/utils'
import type { Hex } from '../../core/types.ts'
import { toQuantityBytes } from './fields.ts'

/** The root of a trie without entries: keccak256(rlp('')). */
const EMPTY_ROOT = '0x56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421'

export async function rootOf(entries: readonly Uint8Array[]): Promise<Hex> {
  if (entries.length === 0) return EMPTY_ROOT
  const trie = await createMPT()
  for (const [index, entry] of entries.entries()) {
    await trie.put(toRlp(toQuantityBytes(BigInt(index)), 'bytes'), entry)
  }
  return toHex(trie.root())
}
