/**
 * What a node was asked for: by method, and for following live, by what it was asked for.
 *
 * Always holds: each question (a batch has several) is of one kind. `block`: about a block that is there, and counted with its height.
 * `idle`: for what is not there yet, or for a head that was told already. `tag`: for what is safe or final, and headers that one
 * looks back at for it. `other`: anything else, such as the chain's id.
 */

export type Kind = 'block' | 'idle' | 'tag' | 'other'

export type Question = {
  readonly method: string
  readonly kind: Kind
  /** Of `block`: its height. */
  readonly height: number | null
}

/** A copy that can be sent to another process. */
export type Counts = {
  /** HTTP requests or messages; a batch is one. */
  readonly requests: number
  /** Questions. */
  readonly items: number
  readonly bytesOut: number
  readonly maxAtOnce: number
  readonly methods: Readonly<Record<string, number>>
  readonly kinds: Readonly<Record<Kind, number>>
  /** Questions about a block, by its height: each method with how often it was used. */
  readonly blocks: readonly (readonly [height: number, methods: Readonly<Record<string, number>>])[]
  /** Idle questions by the head that there was meanwhile. */
  readonly idle: readonly (readonly [head: number, questions: number])[]
}

export type Tally = {
  /** A request begins; the result is to be called when it was answered. */
  begin(): (bytesOut: number) => void
  note(question: Question, head: number): void
  counts(): Counts
  reset(): void
}

export function createTally(): Tally {
  let requests = 0
  let items = 0
  let bytesOut = 0
  let atOnce = 0
  let maxAtOnce = 0
  const methods = new Map<string, number>()
  const kinds: Record<Kind, number> = { block: 0, idle: 0, tag: 0, other: 0 }
  const blocks = new Map<number, Record<string, number>>()
  const idle = new Map<number, number>()
  return {
    begin() {
      requests += 1
      atOnce += 1
      maxAtOnce = Math.max(maxAtOnce, atOnce)
      return sizeBytes => {
        atOnce -= 1
        bytesOut += sizeBytes
      }
    },
    note({ method, kind, height }, head) {
      items += 1
      kinds[kind] += 1
      methods.set(method, (methods.get(method) ?? 0) + 1)
      if (kind === 'idle') idle.set(head, (idle.get(head) ?? 0) + 1)
      if (kind !== 'block' || height === null) return
      const own = blocks.get(height) ?? {}
      own[method] = (own[method] ?? 0) + 1
      blocks.set(height, own)
    },
    counts: () => ({
      requests,
      items,
      bytesOut,
      maxAtOnce,
      methods: Object.fromEntries(methods),
      kinds: { ...kinds },
      blocks: [...blocks],
      idle: [...idle],
    }),
    reset() {
      requests = 0
      items = 0
      bytesOut = 0
      maxAtOnce = atOnce
      methods.clear()
      for (const kind of ['block', 'idle', 'tag', 'other'] as const) kinds[kind] = 0
      blocks.clear()
      idle.clear()
    },
  }
}
