/**
 * A block as one endpoint tells it: with its receipts in the way that the endpoint offers, and checked before it is believed.
 *
 * Always holds: what leaves here belongs together (`core/validate.ts`), and where the chain asks for it is proved by its roots. What
 * does not is an error that makes the pool ask another endpoint, and counts against this one.
 */

import pMap from 'p-map'
import { numberToHex } from 'viem/utils'
import type { Verification } from '../core/chain.ts'
import { type Interest, openOutcomes } from '../core/interest.ts'
import type { Block, Hash, Header } from '../core/types.ts'
import {
  addReceipt,
  joinBlock,
  joinLogs,
  type RawBlock,
  type RawReceipt,
  renumberLogs,
  type Validated,
} from '../core/validate.ts'
import { AppError } from '../errors.ts'
import type { Endpoint } from './endpoint.ts'
import { EndpointFailure } from './failure.ts'
import { parseBlock, parseHeader, parsePlacedLogs, parseReceipt, parseReceipts, readList } from './parse.ts'
import { type Asker, LackingBlock } from './pool.ts'
import { proveBlock } from './verification/prove.ts'

/** Receipts asked one by one, where a node can't give them by block. */
const RECEIPTS_AT_ONCE = 8

/** What is believed of a block, and what has to be known of it. */
export type BlockTerms = {
  readonly level: Verification
  /** Where receipts have to be asked one by one: of which transactions. null: of all. */
  readonly interest: Interest | null
  /**
   * A block is newer than the code that proves it, as far as this endpoint shows. @returns whether it is believed as `basic` would: a
   * single one could pretend, so another one has to show the same first
   */
  readonly believesUnproved: (reason: string, endpoint: Endpoint) => boolean
}

/** The block at a height and its receipts, asked side by side. */
export async function askBlock(asker: Asker, number: number, terms: BlockTerms): Promise<Block> {
  const [block, receipts] = await Promise.all([askRawBlock(asker, number), askReceipts(asker, number)])
  if (block === null) throw new LackingBlock(asker.endpoint, number, 'block')
  return joinAndProve(asker, number, block, receipts, terms)
}

/** The block at a height, or null if there is none yet: then nothing else was asked. */
export async function askNextBlock(asker: Asker, number: number, terms: BlockTerms): Promise<Block | null> {
  const block = await askRawBlock(asker, number)
  if (block === null) {
    asker.endpoint.standing.noteAbsence(number)
    return null
  }
  asker.endpoint.standing.noteHead(number)
  return joinAndProve(asker, number, block, await askReceipts(asker, number), terms)
}

/** The newest block: whole, if it is the one at this height, else its header. */
export async function askNewest(
  asker: Asker,
  next: number,
  terms: BlockTerms,
): Promise<{ readonly head: Header; readonly next: Block | null }> {
  const told = await asker.request('eth_getBlockByNumber', ['latest', true])
  const head = parseHeader(told)
  asker.endpoint.standing.noteHead(head.number)
  if (head.number !== next) return { head, next: null }
  const block = { told, parsed: await parseBlock(told) }
  return { head, next: await joinAndProve(asker, next, block, await askReceipts(asker, next), terms) }
}

/** One receipt, of a transaction that is known to be in a block. */
export async function askReceipt({ endpoint, request }: Asker, hash: Hash, blockNumber: number): Promise<RawReceipt> {
  const answer = await request('eth_getTransactionReceipt', [hash])
  if (answer === null) throw new LackingBlock(endpoint, blockNumber, `the receipt of ${hash}, of block`)
  return parseReceipt(answer)
}

/** A block as it was told, and as it was read. */
export type BlockAnswer = { readonly told: unknown; readonly parsed: RawBlock }

/** `eth_getBlockByNumber` with transactions, as it was told. @throws LackingBlock */
export async function askToldBlock({ endpoint, request }: Asker, number: number): Promise<unknown> {
  const told = await request('eth_getBlockByNumber', [numberToHex(number), true])
  if (told === null) throw new LackingBlock(endpoint, number, 'block')
  return told
}

/** The same, read; null: not there. */
export async function askRawBlock({ request }: Asker, number: number): Promise<BlockAnswer | null> {
  const told = await request('eth_getBlockByNumber', [numberToHex(number), true])
  return told === null ? null : { told, parsed: await parseBlock(told) }
}

export async function joinAndProve(
  asker: Asker,
  number: number,
  block: BlockAnswer,
  byBlock: readonly unknown[] | null,
  { level, believesUnproved, interest }: BlockTerms,
): Promise<Block> {
  const { endpoint } = asker
  if (byBlock === null && level === 'basic' && interest !== null) {
    const joined = await joinByLogs(asker, number, block.parsed, interest)
    if (joined !== null) return joined
  }
  const receipts = byBlock ?? (await askReceiptsOneByOne(asker, block.parsed))
  const parsed = parseReceipts(receipts)
  let validated = joinBlock(number, block.parsed, parsed)
  // Some number the logs of each receipt anew: EthereumJS in the receipts of a block, Ganache in every receipt.
  if (!validated.ok && validated.isMisnumbered)
    validated = joinBlock(number, block.parsed, await renumber(asker, block.parsed.hash, parsed))
  const joined = believe(endpoint, number, validated)
  if (level === 'basic') return joined
  const proof = await proveBlock(block.told, receipts)
  if (proof.kind === 'wrong') throw inconsistent(endpoint, proof.problem, number)
  if (proof.kind === 'newer' && !believesUnproved(proof.reason, endpoint))
    throw inconsistent(endpoint, `${proof.reason}, and no other endpoint says so yet`, number)
  return joined
}

/**
 * Without receipts by block, the logs of a block tell who has succeeded: only the rest of what interests is asked for one by one.
 *
 * @returns null where the logs can't be had, or don't fit: then all receipts have to be asked for
 */
async function joinByLogs(asker: Asker, number: number, block: RawBlock, interest: Interest): Promise<Block | null> {
  const { endpoint, request } = asker
  if (!endpoint.abilities.may('logs')) return null
  try {
    const joined = joinLogs(number, block, parsePlacedLogs(await request('eth_getLogs', [{ blockHash: block.hash }])))
    if (!joined.ok) return null
    const open = openOutcomes(joined.block, interest)
    const receipts = await pMap(
      open,
      async index => ({ index, receipt: await askReceipt(asker, block.transactions[index]?.hash ?? '0x', number) }),
      { concurrency: RECEIPTS_AT_ONCE },
    )
    return receipts.reduce(
      (known, { index, receipt }) => believe(endpoint, number, addReceipt(known, receipt, index)),
      joined.block,
    )
  } catch (error) {
    if (!(error instanceof EndpointFailure) || error.kind !== 'unsupported') throw error
    endpoint.abilities.note('logs', false)
    return null
  }
}

/** The receipts with the numbers that `eth_getLogs` gives to their logs. */
async function renumber({ request }: Asker, blockHash: Hash, receipts: readonly RawReceipt[]) {
  return renumberLogs(receipts, parsePlacedLogs(await request('eth_getLogs', [{ blockHash }])))
}

/** @throws AppError RPC_INCONSISTENT with the problem */
export function believe(endpoint: Endpoint, number: number, validated: Validated): Block {
  if (!validated.ok) throw inconsistent(endpoint, validated.problem, number)
  return validated.block
}

/** null where the endpoint has no such method. */
export async function askReceipts({ endpoint, request }: Asker, number: number): Promise<readonly unknown[] | null> {
  if (!endpoint.abilities.may('blockReceipts')) return null
  try {
    const told = await request('eth_getBlockReceipts', [numberToHex(number)])
    if (told === null) throw new LackingBlock(endpoint, number, 'the receipts of block')
    const receipts = readList(told, 'receipts')
    endpoint.abilities.note('blockReceipts', true)
    return receipts
  } catch (error) {
    if (!(error instanceof EndpointFailure) || error.kind !== 'unsupported') throw error
    endpoint.abilities.note('blockReceipts', false)
    return null
  }
}

function askReceiptsOneByOne(asker: Asker, { number, transactions }: RawBlock): Promise<unknown[]> {
  return pMap(
    transactions,
    async ({ hash }) => {
      const answer = await asker.request('eth_getTransactionReceipt', [hash])
      if (answer === null) throw new LackingBlock(asker.endpoint, number, `the receipt of ${hash}, of block`)
      return answer
    },
    { concurrency: RECEIPTS_AT_ONCE },
  )
}

export function inconsistent(endpoint: Endpoint, problem: string, block?: number): AppError {
  return new AppError('RPC_INCONSISTENT', `${endpoint.name}: ${problem}.`, {
    facts: { endpoint: endpoint.name, block },
    hint: 'It is asked again, and others too; an endpoint that stays so lags behind or is broken.',
  })
}
