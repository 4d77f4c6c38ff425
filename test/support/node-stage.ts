/**
 * One chain for all tests of a file, and a daemon on bad endpoints for each: opened, searched for keys, and closed.
 *
 * Always holds: after each test, passed or not, everything that its daemons said and wrote is searched for the keys of their endpoints.
 */
import { afterAll, afterEach, beforeAll } from 'vitest'
import { openRun, type Run, type RunOptions } from './node-run.ts'
import { expectNoKeys } from './node-verdict.ts'
import { openWorld, type World } from './node-world.ts'

export type NodeStage = {
  readonly world: World
  /** A daemon that is to be started, on good endpoints so far. */
  prepare(options: RunOptions): Promise<Run>
  /** One that has started and is at the head of the chain. */
  open(options: RunOptions): Promise<Run>
}

/** For the top of a test file. @param seed of the traffic */
export function useNodeStage(seed: number, options: { readonly slotsInAnEpoch?: number } = {}): NodeStage {
  let world: World | null = null
  const runs: Run[] = []
  const current = () => {
    if (world === null) throw new Error('the chain has not begun')
    return world
  }
  beforeAll(async () => {
    world = await openWorld(seed, options)
  })
  afterEach(async () => {
    for (const run of runs.splice(0)) {
      try {
        await expectNoKeys(run)
      } finally {
        await run.close()
      }
    }
  })
  afterAll(async () => {
    await world?.close()
  })
  const prepare = async (asked: RunOptions) => {
    const run = await openRun(current(), asked)
    runs.push(run)
    return run
  }
  return {
    get world() {
      return current()
    },
    prepare,
    async open(asked) {
      const run = await prepare(asked)
      run.start()
      await run.untilHead()
      return run
    },
  }
}
