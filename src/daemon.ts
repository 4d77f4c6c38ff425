/**
 * The daemon: one loop a chain, one bounded step at a time, until aborted.
 *
 * Always holds: chains never wait for each other, and an error of one is told, waited out and tried again without touching the
 * others; a loop steps only while its lease is held; every wait ends at once when the daemon stops; a step that hangs is shown as
 * trouble while it hangs.
 */

import { backoffMs } from './core/backoff.ts'
import { AppError, describeError } from './errors.ts'
import { randomFloat, uniqueName } from './runtime/random.ts'
import { sleep } from './runtime/sleep.ts'
import type { ChainContext } from './steps/context.ts'
import { createFollower, type StepResult } from './steps/follow.ts'
import { leaseName, whileHolding } from './steps/lease.ts'
import { createLookout } from './steps/lookout.ts'
import { rewindBeyondFinality } from './steps/rewind.ts'
import type { EndpointHealth } from './source/source.ts'
import type { Lease } from './store/store.ts'

/** What comes back is taken up within the longest wait. */
const RETRY = { baseMs: 500, maxMs: 10_000 }
const STANDBY_POLL_MS = 1_000
const HALTED_POLL_MS = 5_000
/** A step that takes longer is waiting for somebody who does not answer. */
const SLOW_STEP_MS = 10_000
/** The same trouble is told once in this time. */
const REPEAT_LOG_MS = 60_000
const CATCH_UP_LOG_MS = 5_000

export type Phase = 'starting' | 'standby' | 'catching-up' | 'following' | 'failing' | 'halted' | 'stopped'

/** What a chain's loop is doing, for status and readiness. */
export type ChainState = {
  readonly chainId: number
  phase: Phase
  headNumber: number | null
  headTimestamp: number | null
  indexedNumber: number | null
  indexedTimestamp: number | null
  finalizedNumber: number | null
  /** Why it is failing or halted. */
  reason: string | null
  /** Monotonic milliseconds since when it is failing; null while steps end well. */
  failingSince: number | null
  /** Far longer without a block than this chain explains: for how long, and what the endpoints say. */
  stall: string | null
  stalledMs: number | null
  /** Rows are missing below its checkpoint. */
  lacksRows: boolean
  reorgs: number
  lastReorgDepth: number | null
}

export type Daemon = {
  /** Resolves after the abort signal, when every loop has ended and given its lease back. */
  run(signal: AbortSignal): Promise<void>
  states(): readonly ChainState[]
}

export type DaemonOptions = {
  readonly contexts: readonly ChainContext[]
  /** Chains whose reorg beyond finality a person accepted, by id. */
  readonly acceptReorgs: ReadonlySet<number>
}

export function createDaemon({ contexts, acceptReorgs }: DaemonOptions): Daemon {
  const loops = contexts.map(context => createLoop(context, acceptReorgs.has(context.chain.id)))
  return {
    states: () => loops.map(loop => loop.state),
    async run(signal) {
      await Promise.all(loops.map(loop => loop.run(signal)))
    },
  }
}

function createLoop(context: ChainContext, acceptsReorg: boolean) {
  const { chain, store, log, clock, source } = context
  const holder = uniqueName()
  const state: ChainState = {
    chainId: chain.id,
    phase: 'starting',
    headNumber: null,
    headTimestamp: null,
    indexedNumber: null,
    indexedTimestamp: null,
    finalizedNumber: null,
    reason: null,
    failingSince: null,
    stall: null,
    stalledMs: null,
    lacksRows: false,
    reorgs: 0,
    lastReorgDepth: null,
  }
  const tell = createTeller(context)
  let failures = 0

  const fail = (phase: 'halted' | 'failing', reason: string) => {
    state.phase = phase
    state.reason = reason
    state.failingSince ??= clock.monotonic()
  }

  /** Tells a trouble and waits it out. */
  const waitOut = async (error: unknown, signal: AbortSignal) => {
    if (signal.aborted) return
    const halted = isHalt(error)
    if (error instanceof AppError && error.code === 'CHECKPOINT_AHEAD_OF_ROWS') state.lacksRows = true
    fail(halted ? 'halted' : 'failing', describeError(error))
    tell.trouble(error)
    await sleep(halted ? HALTED_POLL_MS : backoffMs(failures, RETRY, randomFloat()), signal)
    failures += 1
  }

  /** The lease, as soon as nobody else has it; null when the daemon stops first. */
  const acquire = async (signal: AbortSignal): Promise<Lease | null> => {
    while (!signal.aborted) {
      try {
        const lease = await store.claimLease(leaseName(chain.id), holder)
        if (lease !== null) return lease
        if (state.phase !== 'standby')
          log.info({ chain: chain.name }, 'Another process follows this chain; standing by')
        state.phase = 'standby'
        state.reason = null
        state.failingSince = null
        state.stall = null
        state.stalledMs = null
        failures = 0
        await sleep(STANDBY_POLL_MS, signal)
      } catch (error) {
        await waitOut(error, signal)
      }
    }
    return null
  }

  const follow = async (lease: Lease, signal: AbortSignal) => {
    const follower = createFollower(context)
    const lookout = createLookout(context)
    const listening = Promise.all([
      lookout.listen(signal),
      source.watchAbilities(health => tell.endpoint(health), signal),
    ])
    let accepts = acceptsReorg
    while (!signal.aborted) {
      try {
        if (accepts) {
          await acceptReorg(context, lease, signal)
          accepts = false
        }
        const lookedMs = clock.monotonic()
        const result = await whileSlow(follower.step(lease, signal, lookout.takeTold()), () => {
          fail('failing', describeSlowness(context))
          tell.slow(state.reason ?? '')
        })
        failures = 0
        lookout.note(result, lookedMs)
        note(state, result)
        state.stalledMs = lookout.stalledMs()
        state.stall = describeStall(state.stalledMs, state.indexedNumber, source.health())
        tell.step(result)
        tell.stall(state.stall)
        await lookout.wait(result, signal)
      } catch (error) {
        if (error instanceof AppError && error.code === 'LEASE_LOST') break
        await waitOut(error, signal)
      }
    }
    await listening
  }

  return {
    state,
    async run(signal: AbortSignal) {
      while (!signal.aborted) {
        const lease = await acquire(signal)
        if (lease === null) break
        await whileHolding(context, lease, signal, both => follow(lease, both))
      }
      state.phase = 'stopped'
    },
  }
}

/** Only a person can mend it. */
function isHalt(error: unknown): boolean {
  return (
    error instanceof AppError && (error.code === 'REORG_BEYOND_FINALITY' || error.code === 'CHECKPOINT_AHEAD_OF_ROWS')
  )
}

/** Tells when the work takes long, and goes on waiting for it. */
async function whileSlow<T>(work: Promise<T>, onSlow: () => void): Promise<T> {
  const ended = new AbortController()
  const watch = async () => {
    await sleep(SLOW_STEP_MS, ended.signal)
    if (!ended.signal.aborted) onSlow()
  }
  void watch()
  try {
    return await work
  } finally {
    ended.abort()
  }
}

/** Whom it waits for shows in who was asked something and has not answered. */
function describeSlowness({ source }: ChainContext): string {
  const endpoints = source.health()
  const asked = endpoints.filter(({ underWay, waiting }) => underWay + waiting > 0)
  const troubles = endpoints.flatMap(({ name, lastError }) => (lastError === null ? [] : [`${name}: ${lastError}`]))
  const whom = asked.length === 0 ? 'Postgres' : asked.map(({ name }) => name).join(', ')
  return [`no step has ended for ${SLOW_STEP_MS / 1000} s, waiting for ${whom}`, ...troubles].join('; ')
}

function describeStall(stalledMs: number | null, block: number | null, endpoints: readonly EndpointHealth[]) {
  if (stalledMs === null) return null
  const heads = endpoints.map(({ name, state, head }) => `${name} (${state}) shows ${head ?? 'nothing'}`)
  return `no block after ${block ?? 'the start'} for ${Math.round(stalledMs / 1000)} s: ${heads.join(', ')}`
}

async function acceptReorg(context: ChainContext, lease: Lease, signal: AbortSignal): Promise<void> {
  const { chain, store, log } = context
  const checkpoint = await store.checkpoint(chain.id)
  if (checkpoint === null || checkpoint.halt === null) {
    log.warn({ chain: chain.name }, 'There is no halted reorg to accept on this chain')
    return
  }
  const { from, to, activities } = await rewindBeyondFinality(context, { checkpoint, lease }, signal)
  log.warn(
    { chain: chain.name, from, to, activities },
    'Reorg beyond finality accepted: rows above the common block were taken back',
  )
}

function note(state: ChainState, result: StepResult): void {
  const { head, checkpoint } = result
  state.reason = null
  state.failingSince = null
  state.lacksRows = false
  state.headNumber = head.number
  state.headTimestamp = head.timestamp
  state.finalizedNumber = checkpoint?.finalizedNumber ?? null
  state.indexedNumber =
    result.kind === 'advanced' || result.kind === 'rewound' ? result.to : (checkpoint?.number ?? null)
  state.indexedTimestamp = state.indexedNumber === head.number ? head.timestamp : (checkpoint?.timestamp ?? null)
  state.phase = result.kind === 'advanced' && result.to < head.number ? 'catching-up' : 'following'
  if (result.kind === 'rewound') {
    state.reorgs += 1
    state.lastReorgDepth = result.from - result.to
  }
}

/** What is said of a chain's steps: rows and reorgs always, catching up now and then, the same trouble once a minute. */
function createTeller({ chain, log, clock }: ChainContext) {
  let toldProgressAt = Number.NEGATIVE_INFINITY
  let progressFrom: { at: number; number: number } | null = null
  /** When each kind of trouble was last told. What comes and goes many times a minute is not told each time it comes. */
  const told = new Map<string, number>()
  let isTold = false
  let isStalled = false

  const isRepeated = (code: string) => {
    const now = clock.monotonic()
    if (now - (told.get(code) ?? Number.NEGATIVE_INFINITY) < REPEAT_LOG_MS) return true
    told.set(code, now)
    return false
  }

  return {
    step(result: StepResult) {
      if (isTold) log.info({ chain: chain.name }, 'Going on')
      isTold = false
      if (result.kind === 'rewound') {
        log.warn(
          {
            chain: chain.name,
            from: result.from,
            to: result.to,
            depth: result.from - result.to,
            takenBack: result.activities,
          },
          'Reorg',
        )
      }
      if (result.kind !== 'advanced') return
      const { from, to, activities, settled } = result
      const behind = result.head.number - to
      if (from === to && behind === 0) {
        progressFrom = null
        log[activities + settled > 0 ? 'info' : 'debug']({ chain: chain.name, block: to, activities, settled }, 'Block')
        return
      }
      const now = clock.monotonic()
      progressFrom ??= { at: now, number: from }
      if (now - toldProgressAt < CATCH_UP_LOG_MS && behind > 0) return
      toldProgressAt = now
      const perSecond = ((to - progressFrom.number + 1) / Math.max(now - progressFrom.at, 1)) * 1000
      log.info(
        { chain: chain.name, block: to, behind, blocksPerSecond: Math.round(perSecond), activities, settled },
        behind > 0 ? 'Catching up' : 'Caught up',
      )
    },
    trouble(error: unknown) {
      const code = error instanceof AppError ? error.code : 'INTERNAL'
      if (isRepeated(code)) return
      isTold = true
      log.error({ chain: chain.name, error }, isHalt(error) ? 'Halted' : 'The step failed; trying again')
    },
    endpoint({ name, client, abilities }: EndpointHealth) {
      const named = (has: boolean) =>
        Object.keys(abilities)
          .filter(ability => abilities[ability] === has)
          .join(', ')
      log.info(
        { chain: chain.name, endpoint: name, client, has: named(true), lacks: named(false) },
        'What an endpoint can do',
      )
    },
    stall(reason: string | null) {
      if (reason === null && isStalled) log.info({ chain: chain.name }, 'Blocks come again')
      if (reason !== null && !isRepeated('STALL')) log.warn({ chain: chain.name, reason }, 'No new block for long')
      isStalled = reason !== null
    },
    slow(reason: string) {
      if (isRepeated('SLOW')) return
      isTold = true
      log.warn({ chain: chain.name, reason }, 'The step takes long')
    },
  }
}
