/**
 * The source on JSON-RPC nodes: each question, how its answer is checked, and what is asked instead where a method is missing.
 */

import pMap from 'p-map'
import { numberToHex } from 'viem/utils'
import type { Address, Hash, Header } from '../core/types.ts'
import { joinBlock, type RawReceipt } from '../core/validate.ts'
import { AppError } from '../errors.ts'
import { type Clock, systemClock } from '../runtime/clock.ts'
import { createEndpoint, type Endpoint } from './endpoint.ts'
import { asksForRest, EndpointFailure, gaveNoAnswer } from './failure.ts'
import { watchMempool } from './mempool.ts'
import {
  parseBlock,
  parseBytes,
  parseHeader,
  parseLocation,
  parseQuantity,
  parseReceipt,
  parseReceipts,
} from './parse.ts'
import { createPool } from './pool.ts'
import type { Source, TagAnswer } from './source.ts'
import { askTestimonies, askWitnesses } from './witness.ts'

/** Receipts asked one by one, where a node can't give them by block. */
const RECEIPTS_AT_ONCE = 8

/** An endpoint on another branch than the one that is believed is left alone until it may have come over. */
const DISTRUSTED_REST_MS = 10_000

export type SourceOptions = {
  readonly chainId: number
  readonly urls: readonly string[]
  /** What may be shown of a URL. */
  readonly displayUrl: (url: string) => string
  readonly clock?: Clock
  /** How long one answer is waited for. */
  readonly requestTimeoutMs?: number
}

/** @throws nothing: endpoints are first asked when the first question comes. */
export function createJsonRpcSource(options: SourceOptions): Source {
  const { chainId, urls, displayUrl, clock = systemClock, requestTimeoutMs } = options
  const endpoints = urls.map(url => createEndpoint(url, displayUrl(url), clock, requestTimeoutMs))
  const pool = createPool(chainId, endpoints, clock)

  return {
    chainId,
    head: signal =>
      pool.attempt(
        async endpoint => parseHeader(await endpoint.request('eth_getBlockByNumber', ['latest', false])),
        signal,
      ),
    header: (number, signal) => pool.attempt(endpoint => askHeader(endpoint, number), signal),
    tag: (tag, below, signal) => pool.attempt(endpoint => askTag(endpoint, tag, below), signal),
    block: (number, signal) => pool.attempt(endpoint => askBlock(endpoint, number), signal),
    locate: (hash, signal) =>
      pool.attempt(async endpoint => {
        const answer = await endpoint.request('eth_getTransactionByHash', [hash])
        return answer === null ? null : parseLocation(answer, hash)
      }, signal),
    survey: (hash, control, signal) => askTestimonies(pool, endpoints, hash, control, signal),
    witnesses: (block, signal) => askWitnesses(pool, endpoints, block, signal),
    distrust: (which, reason) => {
      for (const index of which) endpoints[index]?.noteFailure(reason, DISTRUSTED_REST_MS)
    },
    watchPending: (watcher, signal) => watchMempool(pool, endpoints, clock, watcher, signal),
    nonceAt: async (address, blockNumber, signal) => {
      const answer = await pool.attempt(
        endpoint => askState(endpoint, 'eth_getTransactionCount', address, blockNumber),
        signal,
      )
      return answer === null ? null : Number(parseQuantity(answer, 'nonce'))
    },
    codeAt: async (address, blockNumber, signal) => {
      const answer = await pool.attempt(endpoint => askState(endpoint, 'eth_getCode', address, blockNumber), signal)
      return answer === null ? null : parseBytes(answer, 'code')
    },
    call: (to, data, blockNumber, signal) =>
      pool.attempt(async endpoint => {
        const ask = (block: string) => endpoint.request('eth_call', [{ to, data }, block])
        try {
          return parseBytes(await ask(numberToHex(blockNumber)), 'eth_call result')
        } catch (error) {
          if (isFailure(error, 'reverted')) return null
          if (!isFailure(error, 'state-gone')) throw error
        }
        const answer = await orNull(ask('latest'), 'reverted')
        return answer === null ? null : parseBytes(answer, 'eth_call result')
      }, signal),
    health: () => endpoints.map(endpoint => endpoint.health()),
    async close() {
      await Promise.all(endpoints.map(endpoint => endpoint.close()))
    },
  }
}

/** Nodes that don't know the tag refuse it in many words, and some answer null before the first finalized block. */
async function askTag(endpoint: Endpoint, tag: string, below: number | null): Promise<TagAnswer | null> {
  let header: Header
  try {
    const answer = await endpoint.request('eth_getBlockByNumber', [tag, false])
    if (answer === null) return null
    header = parseHeader(answer)
  } catch (error) {
    if (error instanceof EndpointFailure && !asksForRest(error.kind) && !gaveNoAnswer(error.kind)) return null
    throw error
  }
  return { header, below: below !== null && header.number > below ? await askHeader(endpoint, below) : null }
}

async function askHeader(endpoint: Endpoint, number: number): Promise<Header | null> {
  const answer = await endpoint.request('eth_getBlockByNumber', [numberToHex(number), false])
  if (answer === null) return null
  const header = parseHeader(answer)
  if (header.number !== number)
    throw inconsistent(endpoint, `block ${number} was asked for and block ${header.number} was returned`)
  return header
}

async function askBlock(endpoint: Endpoint, number: number) {
  const [block, receipts] = await Promise.all([
    endpoint.request('eth_getBlockByNumber', [numberToHex(number), true]).then(async answer => {
      if (answer === null) throw inconsistent(endpoint, `block ${number} is not there yet`)
      return parseBlock(answer)
    }),
    askReceiptsOfBlock(endpoint, number),
  ])
  const joined = joinBlock(
    number,
    block,
    receipts ??
      (await askReceiptsOneByOne(
        endpoint,
        block.transactions.map(({ hash }) => hash),
      )),
  )
  if (!joined.ok) throw inconsistent(endpoint, joined.problem, number)
  return joined.block
}

/** null where the endpoint has no such method. */
async function askReceiptsOfBlock(endpoint: Endpoint, number: number): Promise<RawReceipt[] | null> {
  if (!endpoint.capabilities.blockReceipts) return null
  try {
    const answer = await endpoint.request('eth_getBlockReceipts', [numberToHex(number)])
    if (answer === null) throw inconsistent(endpoint, `the receipts of block ${number} are not there yet`)
    return parseReceipts(answer)
  } catch (error) {
    if (!isFailure(error, 'unsupported')) throw error
    endpoint.capabilities.blockReceipts = false
    return null
  }
}

async function askReceiptsOneByOne(endpoint: Endpoint, hashes: readonly Hash[]): Promise<RawReceipt[]> {
  return pMap(
    hashes,
    async hash => {
      const answer = await endpoint.request('eth_getTransactionReceipt', [hash])
      if (answer === null) throw inconsistent(endpoint, `the receipt of ${hash} is not there yet`)
      return parseReceipt(answer)
    },
    { concurrency: RECEIPTS_AT_ONCE },
  )
}

/** State of an account at a block; null where the node keeps it no more. */
function askState(endpoint: Endpoint, method: string, address: Address, blockNumber: number): Promise<unknown> {
  return orNull(endpoint.request(method, [address, numberToHex(blockNumber)]), 'state-gone')
}

function inconsistent(endpoint: Endpoint, problem: string, block?: number): AppError {
  return new AppError('RPC_INCONSISTENT', `${endpoint.name}: ${problem}.`, {
    facts: { endpoint: endpoint.name, block },
    hint: 'It is asked again, and others too; an endpoint that stays so lags behind or is broken.',
  })
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
