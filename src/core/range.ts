/**
 * Sets of blocks as intervals.
 *
 * Always holds: a `Ranges` is sorted, its ranges don't touch or overlap, both ends are inclusive. Every function keeps that and
 * expects it, but `mergeRanges`, which makes it.
 */

export type Range = { readonly from: number; readonly to: number }
export type Ranges = readonly Range[]

/** Brings any ranges into order; touching ones become one. Empty ones (from > to) vanish. */
export function mergeRanges(ranges: readonly Range[]): Ranges {
  const sorted = ranges.filter(range => range.from <= range.to).toSorted((a, b) => a.from - b.from)
  const merged: Range[] = []
  for (const range of sorted) {
    const last = merged.at(-1)
    if (last !== undefined && range.from <= last.to + 1) {
      merged[merged.length - 1] = { from: last.from, to: Math.max(last.to, range.to) }
    } else merged.push(range)
  }
  return merged
}

/** What of `ranges` is not in `removed`. */
export function subtractRanges(ranges: Ranges, removed: Ranges): Ranges {
  const rest: Range[] = []
  for (const range of ranges) {
    let from = range.from
    for (const hole of removed) {
      if (hole.to < from) continue
      if (hole.from > range.to) break
      if (hole.from > from) rest.push({ from, to: hole.from - 1 })
      from = hole.to + 1
    }
    if (from <= range.to) rest.push({ from, to: range.to })
  }
  return rest
}

/** What is in both. */
export function intersectRanges(a: Ranges, b: Ranges): Ranges {
  return subtractRanges(a, subtractRanges(a, b))
}

/** Cuts ranges into pieces of at most `size` blocks, lowest first. */
export function splitRanges(ranges: Ranges, size: number): Ranges {
  const pieces: Range[] = []
  for (const { from, to } of ranges) {
    for (let start = from; start <= to; start += size) pieces.push({ from: start, to: Math.min(start + size - 1, to) })
  }
  return pieces
}

export function countBlocks(ranges: Ranges): number {
  return ranges.reduce((sum, { from, to }) => sum + (to - from + 1), 0)
}
