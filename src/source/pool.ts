/**
 * The endpoints of a chain: which one is asked, and what happens when it fails.
 *
 * Always holds: no answer is taken from an endpoint whose chain id was not verified since it last failed; every question ends, by an
 * answer, by an error after a bounded number of attempts, or by the abort signal; an endpoint that fails rests, longer each time, and
 * one that said how long to leave it alone is left alone for as long. With one endpoint everything still works: it is asked again
 * after its rest. With several, a question that takes much longer than usual is put to another one as well, and the first answer
 * counts: a node that falls silent costs a second or two, not the deadline of a request.
 */

import type { Priority } from '../core/budget.ts'
import { hedgeAfterMs, rankEndpoints } from '../core/rank.ts'
import type { Header } from '../core/types.ts'
import { AppError, describeError, isRetryable } from '../errors.ts'
import type { Clock } from '../runtime/clock.ts'
import { sleep, within } from '../runtime/sleep.ts'
import type { Ability } from './abilities.ts'
import type { Endpoint, Turn } from './endpoint.ts'
import { EndpointFailure, gaveNoAnswer } from './failure.ts'
import { parseHeader, parseQuantity } from './parse.ts'

const ATTEMPTS_PER_ENDPOINT = 3
const MIN_ATTEMPTS = 6
/** Longer than this nobody waits for an endpoint: one that rests is tried all the same, one that is barred is given up. */
const MAX_WAIT_MS = 5_000
/** Work that can wait waits for what an endpoint asks for, within reason, and tries more often. */
const MAX_BACKFILL_WAIT_MS = 120_000
const BACKFILL_PATIENCE = 3
/** Its questions are large and its answers slow: what is asked twice is paid twice. */
const BACKFILL_HEDGE_MS = 8_000
/** A block that no endpoint has yet is asked for again after this, longer each time. */
const LACK_PAUSE_MS = 100
const MAX_LACK_PAUSE_MS = 2_000

/** An endpoint, for the time of one question. */
export type Asker = {
  readonly endpoint: Endpoint
  readonly request: (method: string, params: readonly unknown[]) => Promise<unknown>
}

export type Question = {
  readonly signal: AbortSignal
  readonly priority: Priority
  /** The height that an answer is about: endpoints that are known to lack it are asked last. */
  readonly height?: number | null
  /** Endpoints that are known to lack it are asked last. */
  readonly needs?: Ability
  /** Among those that can be asked at once, how many are passed over at first: to look around. */
  readonly turn?: number
}

type Work<T> = (asker: Asker) => Promise<T>

export type Pool = {
  readonly endpoints: readonly Endpoint[]
  /** Runs `work` on the best endpoint; on a fault that another one may not have, on the next. */
  attempt<T>(work: Work<T>, question: Question): Promise<T>
  /** Runs `work` on another endpoint than one, once; null where there is none that is ready, or it fails. */
  second<T>(besides: Endpoint, work: Work<T>, question: Question): Promise<T | null>
  /** Runs `work` on one endpoint and no other, once; not while it is barred. */
  once<T>(endpoint: Endpoint, work: Work<T>, signal: AbortSignal, priority?: Priority): Promise<T>
}

/** What an endpoint said of a block: that it has none (yet). No fault of it, but another one may have it. */
export class LackingBlock extends AppError {
  readonly blockNumber: number

  constructor(endpoint: Endpoint, blockNumber: number, what: string) {
    super('RPC_INCONSISTENT', `${endpoint.name}: ${what} ${blockNumber} is not there yet.`, {
      facts: { endpoint: endpoint.name, block: blockNumber },
      hint: 'It is asked again, and others too; an endpoint that stays so lags behind or is broken.',
    })
    this.blockNumber = blockNumber
  }
}

export function createPool(chainId: number, endpoints: readonly Endpoint[], clock: Clock): Pool {
  const maxAttempts = Math.max(MIN_ATTEMPTS, endpoints.length * ATTEMPTS_PER_ENDPOINT)
  const ask = async <T>(endpoint: Endpoint, work: Work<T>, turn: Turn): Promise<T> => {
    const asker: Asker = { endpoint, request: (method, params) => endpoint.request(method, params, turn) }
    if (!endpoint.chainVerified) await verifyChain(asker, chainId)
    return work(asker)
  }

  return {
    endpoints,
    async second(besides, work, question) {
      const { height = null, needs, priority, signal } = question
      const newest = newestHead(endpoints)
      const other = choose(endpoints, question).find(one => {
        const { abilities, standing } = one
        if (one === besides || standing.restMs(priority) > 0) return false
        return (needs === undefined || abilities.may(needs)) && (height === null || !standing.lacks(height, newest))
      })
      if (other === undefined) return null
      const outcome = await judge(other, abortable(ask(other, work, { priority, signal }), signal))
      if (outcome.ok) return outcome.answer
      if (!isRetryable(outcome.error)) throw outcome.error
      return null
    },
    async once(endpoint, work, signal, priority = 'live') {
      const barredMs = endpoint.standing.barredMs(priority)
      if (barredMs > 0) throw barred(chainId, [endpoint], barredMs)
      return abortable(ask(endpoint, work, { priority, signal }), signal)
    },
    async attempt(work, question) {
      const { signal, priority } = question
      let last: unknown
      let lacking = 0
      const tried = new Set<Endpoint>()
      const isPatient = priority === 'backfill'
      const attempts = isPatient ? maxAttempts * BACKFILL_PATIENCE : maxAttempts
      for (let attempt = 0; attempt < attempts; attempt += 1) {
        const ranked = choose(endpoints, attempt === 0 ? question : { ...question, turn: 0 })
        // Whoever has not been asked yet comes before who has failed, however good that one is otherwise.
        const endpoint = ranked.find(one => !tried.has(one) && one.standing.restMs(priority) === 0) ?? ranked[0]
        if (endpoint === undefined) throw new AppError('CONFIG_INVALID', `Chain ${chainId} has no RPC endpoint.`)
        const barredMs = endpoint.standing.barredMs(priority)
        if (barredMs > (isPatient ? MAX_BACKFILL_WAIT_MS : MAX_WAIT_MS)) throw barred(chainId, endpoints, barredMs)
        await sleep(Math.max(Math.min(endpoint.standing.restMs(priority), MAX_WAIT_MS), barredMs), signal)
        if (signal.aborted) throw aborted()
        try {
          const run = (one: Endpoint) => judge(one, abortable(ask(one, work, { priority, signal }), signal))
          return await race(endpoints, endpoint, run, question, clock)
        } catch (error) {
          if (!isRetryable(error)) throw error
          last = error
          tried.add(endpoint)
          if (!(error instanceof LackingBlock)) continue
          lacking += 1
          const pauses = lacking - endpoints.length
          if (pauses >= 0) await sleep(Math.min(LACK_PAUSE_MS * 2 ** pauses, MAX_LACK_PAUSE_MS), signal)
        }
      }
      throw last instanceof AppError && last.code === 'RPC_INCONSISTENT'
        ? last
        : new AppError('RPC_UNAVAILABLE', `No endpoint of chain ${chainId} answered after ${attempts} attempts.`, {
            facts: { chain: chainId, endpoints: endpoints.length, last: describeError(last) },
            hint: 'The daemon goes on trying; check the endpoints with `doctor`.',
            cause: last,
          })
    },
  }
}

/** One endpoint; if it takes long, another one besides, and another. The first answer counts, or the last error. */
async function race<T>(
  endpoints: readonly Endpoint[],
  first: Endpoint,
  run: (endpoint: Endpoint) => Promise<Outcome<T>>,
  question: Question,
  clock: Clock,
): Promise<T> {
  const { priority } = question
  const patienceMs = (latencyMs: number | null) =>
    priority === 'backfill' ? BACKFILL_HEDGE_MS : hedgeAfterMs(latencyMs)
  const began = clock.monotonic()
  const running = new Map([[first, run(first)]])
  const tried = new Set([first])
  let hedgeMs = endpoints.length > 1 ? patienceMs(first.standing.latencyMs) : null
  for (;;) {
    const settled = Promise.race(running.values())
    const outcome = await (hedgeMs === null ? settled : within(hedgeMs, settled))
    if (outcome === null) {
      // Who rests may be well again, and nobody else answers.
      const another = choose(endpoints, question).find(one => !tried.has(one) && one.standing.barredMs(priority) === 0)
      // Who is asked because others are slow is not waited for as long as if it were usual.
      hedgeMs = another === undefined ? null : patienceMs(null)
      if (another === undefined) continue
      tried.add(another)
      running.set(another, run(another))
      continue
    }
    running.delete(outcome.endpoint)
    if (outcome.ok) {
      // Who is still busy with it is slow, or will never answer.
      for (const slower of running.keys()) slower.standing.noteOvertaken(clock.monotonic() - began)
      return outcome.answer
    }
    if (running.size === 0 || !isRetryable(outcome.error)) throw outcome.error
  }
}

/** The newest block that any of them showed lately; −1: none. */
export function newestHead(endpoints: readonly Endpoint[]): number {
  return Math.max(-1, ...endpoints.map(({ standing }) => standing.recentHead() ?? -1))
}

/** The endpoints, best first. */
function choose(endpoints: readonly Endpoint[], question: Question): Endpoint[] {
  const { height = null, needs, priority, turn = 0 } = question
  const newest = newestHead(endpoints)
  const standings = endpoints.map(({ standing, limiter, abilities }) => {
    const rank = standing.rank({ number: height, newest, priority }, limiter.underWay >= limiter.pace.atOnce)
    return needs === undefined || abilities.may(needs) ? rank : { ...rank, lacks: true }
  })
  const ranked = rankEndpoints(standings).flatMap(index => endpoints[index] ?? [])
  const ready = ranked.filter(({ standing }) => standing.restMs(priority) === 0)
  const passed = ready.length > 1 ? turn % ready.length : 0
  return [...ready.slice(passed), ...ready.slice(0, passed), ...ranked.filter(one => !ready.includes(one))]
}

type Outcome<T> =
  | { readonly endpoint: Endpoint; readonly ok: true; readonly answer: T }
  | { readonly endpoint: Endpoint; readonly ok: false; readonly error: unknown }

/** Notes how it went, also for an answer that comes too late to count. Never rejects. */
async function judge<T>(endpoint: Endpoint, work: Promise<T>): Promise<Outcome<T>> {
  try {
    const answer = await work
    endpoint.standing.noteSuccess()
    return { endpoint, ok: true, answer }
  } catch (error) {
    if (isRetryable(error)) noteFailure(endpoint, error)
    return { endpoint, ok: false, error }
  }
}

function noteFailure(endpoint: Endpoint, error: unknown): void {
  const { standing } = endpoint
  if (error instanceof LackingBlock) {
    standing.noteLack(error.blockNumber)
    return
  }
  const failure = error instanceof EndpointFailure ? error : null
  // What it can't do is known from here on, and says nothing of how well it does the rest.
  if (failure?.kind === 'unsupported') return
  if (failure === null && error instanceof AppError) endpoint.lies += 1
  // Behind the same address there may be another node by now.
  if (failure !== null && gaveNoAnswer(failure.kind)) endpoint.chainVerified = false
  const what = failure?.kind === 'throttled' || failure?.kind === 'exhausted' ? failure.kind : 'failed'
  standing.noteFailure(describeError(error), what, failure?.retryAfterMs ?? null)
}

/** The newest block that an endpoint has. */
export async function askLatest({ endpoint, request }: Asker): Promise<Header> {
  const header = parseHeader(await request('eth_getBlockByNumber', ['latest', false]))
  endpoint.standing.noteHead(header.number)
  return header
}

async function verifyChain({ endpoint, request }: Asker, chainId: number): Promise<void> {
  const answered = Number(parseQuantity(await request('eth_chainId', []), 'chain id'))
  if (answered !== chainId) {
    throw new AppError('RPC_WRONG_CHAIN', `${endpoint.name} serves chain ${answered}, not ${chainId}.`, {
      facts: { endpoint: endpoint.name, expected: chainId, answered },
      hint: 'Correct the RPC URL of this chain.',
    })
  }
  endpoint.chainVerified = true
}

function barred(chainId: number, endpoints: readonly Endpoint[], ms: number): AppError {
  const reasons = endpoints.map(({ name, standing }) => `${name}: ${standing.barredBy ?? 'budget'}`).join(', ')
  return new AppError('RPC_UNAVAILABLE', `Chain ${chainId} has no endpoint that may be asked now (${reasons}).`, {
    facts: { chain: chainId, forSeconds: Math.ceil(ms / 1000), last: endpoints[0]?.standing.lastError ?? null },
    hint: 'They asked to be left alone, or their daily budget is spent; the daemon goes on by itself. More endpoints help, or a larger plan.',
  })
}

/** Settles with the work, or rejects as soon as the signal aborts; what the work then still does is nobody's business. */
async function abortable<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>()
  const onAbort = () => reject(aborted())
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    return await Promise.race([work, promise])
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}

function aborted(): AppError {
  return new AppError('ABORTED', 'The question was given up because the daemon stops.')
}
