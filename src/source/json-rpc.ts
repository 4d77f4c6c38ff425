/**
 * The source on JSON-RPC nodes: each question, how its answer is checked, and what is asked instead where a method is missing.
 */

import { numberToHex } from 'viem/utils'
import { EntryBits } from '../core/bloom.ts'
import type { Priority } from '../core/budget.ts'
import type { Verification } from '../core/chain.ts'
import type { Address, Header, Hex } from '../core/types.ts'
import { type Clock, systemClock } from '../runtime/clock.ts'
import { createStates, type States } from './account.ts'
import { askDues } from './account-dues.ts'
import { askBlock, askNewest, askNextBlock, type BlockTerms, inconsistent } from './blocks.ts'
import { createBudget, type RequestLedger } from './budget.ts'
import { createEndpoint, type Endpoint } from './endpoint.ts'
import { EndpointFailure } from './failure.ts'
import { askNamedBlocks } from './filtered-logs.ts'
import { watchHeads } from './heads.ts'
import { askHistory } from './history.ts'
import { watchMempool } from './mempool.ts'
import { parseBytes, parseHeader, parseLocation } from './parse.ts'
import { type Asker, askLatest, createPool, newestHead, type Pool } from './pool.ts'
import { watchAbilities } from './probe.ts'
import type { Source, TagAnswer } from './source.ts'
import { askTestimonies, askWitnesses } from './witness.ts'

/** Requests under way at one endpoint at once, where the chain file says nothing. */
const AT_ONCE = 16
/** An endpoint on another branch than the one that is believed is left alone until it may have come over. */
const DISTRUSTED_REST_MS = 10_000
/** Endpoints that have to show what can't be proved, before it is believed; and how often one may, if nobody else answers. */
const CLAIMANTS = 2
const MAX_DOUBTS = 10
const MAX_CLAIMS = 1_000

type RpcLimits = {
  readonly requestsPerSecond?: number | undefined
  readonly concurrency?: number | undefined
  readonly requestsPerDay?: number | undefined
}

export type SourceOptions = {
  readonly chainId: number
  readonly urls: readonly string[]
  /** What may be shown of a URL. */
  readonly displayUrl: (url: string) => string
  /** Of each endpoint. */
  readonly limits?: RpcLimits
  readonly verification?: Verification
  /** For how much live following needs of a day's requests. */
  readonly blockTimeSeconds?: number
  /** Where requests of all processes are added up; without it each process counts alone. */
  readonly ledger?: RequestLedger
  /** What an operator should know. */
  readonly onTrouble?: (facts: object, message: string) => void
  readonly clock?: Clock
  /** How long one answer is waited for. */
  readonly requestTimeoutMs?: number
}

/** @throws nothing: endpoints are first asked when the first question comes. */
export function createJsonRpcSource(options: SourceOptions): Source {
  const { chainId, clock = systemClock } = options
  const endpoints = openEndpoints(options, clock)
  const pool = createPool(chainId, endpoints, clock)
  const states = createStates(pool)
  return sourceOf({ pool, states, terms: termsOf(options), clock, options, bits: new EntryBits() }, 'live')
}

function openEndpoints(options: SourceOptions, clock: Clock): Endpoint[] {
  const { chainId, urls, displayUrl, limits = {}, blockTimeSeconds = 12, ledger = null, requestTimeoutMs } = options
  const names = urls.map(displayUrl)
  return urls.map((url, index) => {
    const shown = names[index] ?? ''
    // Two keys at one provider are two endpoints.
    const earlier = names.slice(0, index).filter(other => other === shown).length
    const name = earlier === 0 ? shown : `${shown} (${earlier + 1})`
    const perDay = limits.requestsPerDay ?? null
    return createEndpoint(
      {
        url,
        name,
        budget: createBudget({ chainId, endpoint: name, perDay, blockTimeSeconds, ledger }, clock),
        perSecond: limits.requestsPerSecond ?? null,
        atOnce: limits.concurrency ?? AT_ONCE,
        timeoutMs: requestTimeoutMs,
      },
      clock,
    )
  })
}

/** What could not be proved is told once for each reason: it is news for an operator, not for each block. */
function termsOf({ verification = 'basic', urls, onTrouble }: SourceOptions): BlockTerms {
  const claims = new Map<string, { readonly endpoints: Set<string>; times: number; isTold: boolean }>()
  return {
    level: verification,
    interest: null,
    believesUnproved(reason, { name }) {
      const claim = claims.get(reason) ?? { endpoints: new Set(), times: 0, isTold: false }
      if (claims.size < MAX_CLAIMS) claims.set(reason, claim)
      claim.endpoints.add(name)
      claim.times += 1
      // Where the others don't answer at all, the chain must not stand still at a fork of the protocol.
      const isShared = claim.endpoints.size >= Math.min(CLAIMANTS, urls.length) || claim.times >= MAX_DOUBTS
      if (!isShared) return false
      if (!claim.isTold)
        onTrouble?.({ endpoint: name, reason }, 'Blocks can not be proved by their roots and are verified as `basic`')
      claim.isTold = true
      return true
    },
  }
}

type Parts = {
  readonly pool: Pool
  readonly states: States
  readonly terms: BlockTerms
  readonly clock: Clock
  readonly options: SourceOptions
  readonly bits: EntryBits
}

function sourceOf(parts: Parts, priority: Priority): Source {
  const { pool, states, terms, clock, options, bits } = parts
  const { endpoints } = pool
  const ask = <T>(work: (asker: Asker) => Promise<T>, signal: AbortSignal, more: object = {}) =>
    pool.attempt(work, { signal, priority, ...more })
  return {
    chainId: options.chainId,
    head: signal => askHead(pool, priority, signal),
    async next(number, turn, signal, interest) {
      const asked = { height: number, turn }
      const block = await ask(
        asker => askNextBlock(asker, number, { ...terms, interest: interest ?? null }),
        signal,
        asked,
      )
      if (block !== null) for (const { standing } of endpoints) standing.notePresence(number)
      return block
    },
    newest: (next, signal, interest) =>
      ask(asker => askNewest(asker, next, { ...terms, interest: interest ?? null }), signal, { height: next }),
    header: (number, signal) => ask(asker => askHeader(asker, number), signal),
    tag: (tag, below, signal) => ask(asker => askTag(asker, tag, below), signal, { needs: 'tags' }),
    block: (number, signal, interest) =>
      ask(asker => askBlock(asker, number, { ...terms, interest: interest ?? null }), signal, { height: number }),
    history: (range, interest, way, signal) =>
      askHistory(range, interest, way, { pool, clock, terms, bits, question: { signal, priority } }),
    blocksNaming: (range, wanted, signal) =>
      askNamedBlocks(range, wanted, { pool, clock, terms, question: { signal, priority } }),
    locate: (hash, signal) =>
      ask(async ({ request }) => {
        const answer = await request('eth_getTransactionByHash', [hash])
        return answer === null ? null : parseLocation(answer, hash)
      }, signal),
    survey: (hash, control, signal) => askTestimonies(pool, hash, control, signal),
    witnesses: (block, signal) => askWitnesses(pool, block, signal),
    distrust(which, reason) {
      for (const index of which) endpoints[index]?.standing.rest(reason, DISTRUSTED_REST_MS)
    },
    watchHeads: (watcher, signal) => watchHeads(pool, clock, watcher, signal),
    watchPending: (watcher, signal) => watchMempool(pool, clock, watcher, signal),
    nonceAt: (address, blockNumber, signal) => states.nonce({ address, blockNumber, priority, signal }),
    balanceAt: (address, blockNumber, signal) => states.balance({ address, blockNumber, priority, signal }),
    codeAt: (address, blockNumber, signal) => states.code({ address, blockNumber, priority, signal }),
    accountAt: (address, blockNumber, signal, witnesses = 1) =>
      states.account({ address, blockNumber, priority, signal }, witnesses),
    dues: (address, block, signal) => ask(asker => askDues(asker, address, block), signal, { height: block.number }),
    call: (to, data, blockNumber, signal) =>
      ask(asker => askCall(asker, to, data, blockNumber), signal, { needs: 'archive' }),
    watchAbilities: (onKnown, signal) => watchAbilities(pool, onKnown, signal),
    inBackground: () => sourceOf(parts, 'backfill'),
    health: () => endpoints.map(endpoint => endpoint.health(newestHead(endpoints))),
    async close() {
      await Promise.all(endpoints.map(endpoint => endpoint.close()))
    },
  }
}

/** The head of the endpoint that is asked, unless another one showed a newer one lately: then that one is asked too. */
async function askHead(pool: Pool, priority: Priority, signal: AbortSignal): Promise<Header> {
  const newest = newestHead(pool.endpoints)
  const header = await pool.attempt(askLatest, { signal, priority, height: newest < 0 ? null : newest })
  if (header.number >= newest) return header
  const other = pool.endpoints.find(({ standing }) => (standing.recentHead() ?? -1) > header.number)
  if (other === undefined) return header
  try {
    const second = await pool.once(other, askLatest, signal)
    return second.number > header.number ? second : header
  } catch {
    return header
  }
}

/** Nodes that don't know the tag refuse it in many words, and some answer null before the first finalized block. */
async function askTag(asker: Asker, tag: string, below: number | null): Promise<TagAnswer | null> {
  const { endpoint, request } = asker
  let header: Header
  try {
    const answer = await request('eth_getBlockByNumber', [tag, false])
    if (answer === null) return null
    header = parseHeader(answer)
  } catch (error) {
    const kind = error instanceof EndpointFailure ? error.kind : null
    if (kind !== 'unsupported' && kind !== 'block-missing' && kind !== 'reverted' && kind !== 'state-gone') throw error
    return null
  }
  endpoint.abilities.note('tags', true)
  return { header, below: below !== null && header.number > below ? await askHeader(asker, below) : null }
}

async function askHeader({ endpoint, request }: Asker, number: number): Promise<Header | null> {
  const answer = await request('eth_getBlockByNumber', [numberToHex(number), false])
  if (answer === null) return null
  const header = parseHeader(answer)
  if (header.number !== number)
    throw inconsistent(endpoint, `block ${number} was asked for and block ${header.number} was returned`)
  return header
}

/** With the state at a block; where that is gone, or never was there, with that of the head. */
async function askCall({ request }: Asker, to: Address, data: Hex, blockNumber: number): Promise<Hex | null> {
  const ask = (block: string) => request('eth_call', [{ to, data }, block])
  try {
    return parseBytes(await ask(numberToHex(blockNumber)), 'eth_call result')
  } catch (error) {
    if (isFailure(error, 'reverted')) return null
    if (!isFailure(error, 'state-gone')) throw error
  }
  const answer = await orNull(ask('latest'), 'reverted')
  return answer === null ? null : parseBytes(answer, 'eth_call result')
}

function isFailure(error: unknown, kind: EndpointFailure['kind']): error is EndpointFailure {
  return error instanceof EndpointFailure && error.kind === kind
}

async function orNull(answer: Promise<unknown>, kind: EndpointFailure['kind']): Promise<unknown> {
  try {
    return await answer
  } catch (error) {
    if (isFailure(error, kind)) return null
    throw error
  }
}
