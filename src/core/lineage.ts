/**
 * The header window: is this block the child of that one, and where do two branches part?
 */

import type { Hash, Header } from './types.ts'

/** The first place where `headers`, lowest first, do not follow each other or `parent`; null if all do. */
export function findBreak(
  parent: { readonly number: number; readonly hash: Hash } | null,
  headers: readonly Header[],
): Header | null {
  let previous = parent
  for (const header of headers) {
    if (previous !== null && (header.number !== previous.number + 1 || header.parentHash !== previous.hash))
      return header
    previous = header
  }
  return null
}

export type Ancestry =
  | { readonly kind: 'ancestor'; readonly header: Header }
  /** Ask the node for the header at this height next. */
  | { readonly kind: 'ask'; readonly number: number }
  /** The branches part below the window: deeper than finality. */
  | { readonly kind: 'beyond' }

/**
 * Walks back through our own window, highest first, until the node's branch has the same hash.
 *
 * @param window our headers, any order
 * @param theirs what the node said so far: height → hash, or null for "no such block"
 */
export function findAncestor(window: readonly Header[], theirs: ReadonlyMap<number, Hash | null>): Ancestry {
  for (const own of window.toSorted((a, b) => b.number - a.number)) {
    const hash = theirs.get(own.number)
    if (hash === undefined) return { kind: 'ask', number: own.number }
    if (hash === own.hash) return { kind: 'ancestor', header: own }
  }
  return { kind: 'beyond' }
}
