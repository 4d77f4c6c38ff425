/**
 * What happened in a run, by kind: for the line that is printed of it.
 */
export type Tally = {
  add(kind: string, by?: number): void
  get(kind: string): number
  all(): Readonly<Record<string, number>>
}

export function createTally(): Tally {
  const counts = new Map<string, number>()
  return {
    add: (kind, by = 1) => void counts.set(kind, (counts.get(kind) ?? 0) + by),
    get: kind => counts.get(kind) ?? 0,
    all: () => Object.fromEntries([...counts].toSorted(([a], [b]) => (a < b ? -1 : 1))),
  }
}
