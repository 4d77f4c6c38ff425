/**
 * How well blocks are known to be complete, as intervals.
 *
 * Always holds: the intervals are sorted and apart or of another proof, both ends inclusive; what was proved well is not taken for less
 * because it was looked at again by weaker means.
 */

import { mergeRanges, type Range, type Ranges, subtractRanges } from './range.ts'

/**
 * From the weakest: found by questions that name the wallet, of one endpoint, or of two that agree; whole blocks that fit together;
 * whole blocks that are proved by their hash.
 */
const PROOFS = ['filtered', 'witnessed', 'basic', 'full'] as const
export type Proof = (typeof PROOFS)[number]

export type ProvedRange = Range & { readonly proof: Proof }

/** What a column says; words of other versions are taken for the usual. */
export function toProof(text: string): Proof {
  return PROOFS.find(proof => proof === text) ?? 'basic'
}

export function weakerProof(a: Proof, b: Proof): Proof {
  return PROOFS[Math.min(PROOFS.indexOf(a), PROOFS.indexOf(b))] ?? 'filtered'
}

/** The intervals with one more: where they meet, the better proof holds. */
export function addProved(known: readonly ProvedRange[], added: ProvedRange): ProvedRange[] {
  const rank = PROOFS.indexOf(added.proof)
  const better = known.filter(({ proof }) => PROOFS.indexOf(proof) >= rank)
  const worse = known.filter(({ proof }) => PROOFS.indexOf(proof) < rank)
  const fresh = subtractRanges(
    [added],
    better.toSorted((a, b) => a.from - b.from),
  )
  return mergeProved([
    ...better,
    ...fresh.map(range => ({ ...range, proof: added.proof })),
    ...worse.flatMap(range => subtractRanges([range], [added]).map(rest => ({ ...rest, proof: range.proof }))),
  ])
}

/** In order; neighbours of one proof become one. They must not overlap. */
export function mergeProved(ranges: readonly ProvedRange[]): ProvedRange[] {
  const merged: ProvedRange[] = []
  for (const range of ranges.toSorted((a, b) => a.from - b.from)) {
    const last = merged.at(-1)
    if (last !== undefined && last.proof === range.proof && range.from <= last.to + 1)
      merged[merged.length - 1] = { ...last, to: Math.max(last.to, range.to) }
    else merged.push(range)
  }
  return merged
}

/** The part of the intervals that is in some others. */
export function withinRanges(ranges: readonly ProvedRange[], others: Ranges): ProvedRange[] {
  return ranges.flatMap(range => {
    const outside = subtractRanges([range], others)
    return subtractRanges([range], outside).map(part => ({ ...part, proof: range.proof }))
  })
}

/** The intervals without their proofs. */
export function rangesOf(ranges: readonly Range[]): Ranges {
  return mergeRanges(ranges.map(({ from, to }) => ({ from, to })))
}
