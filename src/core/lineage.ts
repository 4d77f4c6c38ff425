/**
 * The header window: is this block the child of that one, where do two branches part, and which of them is believed?
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

/** What one endpoint shows at the height of our checkpoint. */
export type Witness = {
  /** Which endpoint: its place in the configuration. */
  readonly endpoint: number
  /** Our block, another one, none (it lags, or the chain was rolled back), or no answer. */
  readonly shows: 'ours' | 'other' | 'none' | 'nothing'
  /** The height of its head; null without an answer. */
  readonly headNumber: number | null
}

export type Verdict =
  /** We are on the chain that most endpoints show, and it goes on. */
  | 'stay'
  /** Go back to where the branches part. */
  | 'leave'
  /** The endpoints contradict each other: ask again. */
  | 'wait'

/**
 * Whether our branch is left, by what the endpoints show at the height of our checkpoint.
 *
 * A branch that one endpoint claims is not believed while as many contradict it and go on above our checkpoint: then it is a node on a
 * fork. In a reorg the endpoints on the old branch have nothing above our checkpoint and come over by themselves; those that never do
 * are broken, and after some patience the branch that goes on counts. Who does not answer might contradict, for as long.
 */
export function weighBranches(
  checkpointNumber: number,
  witnesses: readonly Witness[],
  isPatienceOver: boolean,
): Verdict {
  const [ours, others, none, silent] = (['ours', 'other', 'none', 'nothing'] as const).map(what =>
    witnesses.filter(({ shows }) => shows === what),
  ) as [Witness[], Witness[], Witness[], Witness[]]
  const goesOn = (side: readonly Witness[]) =>
    side.some(({ headNumber }) => headNumber !== null && headNumber > checkpointNumber)
  if (others.length === 0) {
    if (ours.length > 0) return 'stay'
    return none.length > 0 ? 'leave' : 'wait'
  }
  if (others.length > Math.max(ours.length, silent.length)) return 'leave'
  if (goesOn(ours)) return 'stay'
  return isPatienceOver && (ours.length === 0 || goesOn(others)) ? 'leave' : 'wait'
}
