/**
 * The node that benchmarks are made against: generated chains behind one port, each under a path of its own.
 *
 * It has the same methods in this process and in another (`remote.ts`): what a benchmark measures must not share its core with it.
 */

import { observe, type Observer, type Sighting } from './observer.ts'
import { beat, type Rhythm } from './rhythm.ts'
import { advanceHead, createServed, type ServedSpec } from './served.ts'
import { type Site, startServer } from './server.ts'
import type { Counts } from './tally.ts'

export type BenchNode = {
  /** Serves one more chain. */
  open(spec: ServedSpec): Promise<{ readonly url: string; readonly wsUrl: string }>
  /** So many blocks more, at once. @returns the head */
  mine(chainId: number, blocks: number): Promise<number>
  /** From now on blocks come by themselves, until `halt`. */
  run(chainId: number, rhythm: Rhythm): Promise<void>
  /** @returns the head */
  halt(chainId: number): Promise<number>
  counts(chainId: number): Promise<Counts>
  /** Counts from here. @returns the head at this moment */
  resetCounts(chainId: number): Promise<number>
  /** Looks for rows of each new block that concerns a tracked wallet, from now on. */
  observe(chainId: number, databaseUrl: string, pollMs: number): Promise<void>
  sightings(chainId: number): Promise<readonly Sighting[]>
  /** Serves this chain no more. */
  end(chainId: number): Promise<void>
  close(): Promise<void>
}

type Opened = Site & { stop: () => void; observer: Observer | null }

export async function startBenchNode(): Promise<BenchNode> {
  const opened = new Map<number, Opened>()
  const server = await startServer(chainId => opened.get(chainId))
  const of = (chainId: number): Opened => {
    const found = opened.get(chainId)
    if (found === undefined) throw new RangeError(`there is no chain ${chainId} here`)
    return found
  }
  return {
    async open(spec) {
      const served = createServed(spec)
      const { chainId } = spec.chain
      opened.set(chainId, {
        served,
        told: { head: -1 },
        enter: createGate(spec),
        stop: () => undefined,
        observer: null,
      })
      return { url: `http://127.0.0.1:${server.port}/${chainId}`, wsUrl: `ws://127.0.0.1:${server.port}/${chainId}` }
    },
    async mine(chainId, blocks) {
      const { served } = of(chainId)
      for (let count = 0; count < blocks; count += 1) advanceHead(served)
      return served.head
    },
    async run(chainId, rhythm) {
      const site = of(chainId)
      site.stop()
      site.stop = beat(site.served, rhythm)
    },
    async halt(chainId) {
      const { stop, served } = of(chainId)
      stop()
      return served.head
    },
    counts: async chainId => of(chainId).served.tally.counts(),
    async resetCounts(chainId) {
      const { served } = of(chainId)
      served.tally.reset()
      return served.head
    },
    async observe(chainId, databaseUrl, pollMs) {
      const site = of(chainId)
      await site.observer?.close()
      site.observer = await observe(site.served, databaseUrl, pollMs)
    },
    sightings: async chainId => (await of(chainId).observer?.sightings()) ?? [],
    async end(chainId) {
      const { stop, observer } = of(chainId)
      opened.delete(chainId)
      stop()
      await observer?.close()
    },
    async close() {
      for (const { stop, observer } of opened.values()) {
        stop()
        await observer?.close()
      }
      await server.close()
    },
  }
}

/** Lets so many requests in at once, each for its time; the others wait in line. */
function createGate({ delayMs = 0, maxAtOnce = Number.POSITIVE_INFINITY }: ServedSpec): Site['enter'] {
  const waiting: (() => void)[] = []
  let inside = 0
  const leave = () => {
    inside -= 1
    waiting.shift()?.()
  }
  return async () => {
    if (inside >= maxAtOnce) await new Promise<void>(resolve => waiting.push(resolve))
    inside += 1
    if (delayMs > 0) await new Promise(resolve => setTimeout(resolve, delayMs))
    return leave
  }
}
