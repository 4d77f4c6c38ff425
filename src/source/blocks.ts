/**
 * A block as one endpoint tells it: with its receipts in the way that the endpoint offers, and checked before it is believed.
 *
 * Always holds: what leaves here belongs together (`core/validate.ts`), and where the chain asks for it is proved by its roots. What
 * does not is an error that makes the pool ask another endpoint, and counts against this one.
 */

import pMap from 'p-map'
import { numberToHex } from 'viem/utils'
import type { Verification } from '../core/chain.ts'
import type { Block, Hash, Header } from '../core/types.ts'
import { joinBlock, type RawBlock, type RawReceipt, renumberLogs, type Validated } from '../core/validate.ts'
import { AppError } from '../errors.ts'
import type { Endpoint } from './endpoint.ts'
import { EndpointFailure } from './failure.ts'
import { parseBlock, parseHeader, parsePlacedLogs, parseReceipt, parseReceipts } from './parse.ts'
import { type Asker, LackingBlock } from './pool.ts'
import { proveBlock } from './verification/prove.ts'

/** Receipts asked one by one, where a node can't give them by block. */
const RECEIPTS_AT_ONCE = 8

export type BlockVerification = {
  readonly level: Verification
  /**
   * A block is newer than the code that proves it, as far as this endpoint shows. @returns whether it is believed as `basic` would: a
   * single one could pretend, so another one has to show the same first
   */
  readonly believesUnproved: (reason: string, endpoint: Endpoint) => boolean
}

/** The block at a height and its receipts, asked side by side. */
export async function askBlock(asker: Asker, number: number, verification: BlockVerification): Promise<Block> {
  const [block, receipts] = await Promise.all([askRawBlock(asker, number), askReceipts(asker, number)])
  if (block === null) throw new LackingBlock(asker.endpoint, number, 'block')
  return joinAndProve(asker, number, block, receipts, verification)
}

/** The block at a height, or null if there is none yet: then nothing else was asked. */
export async function askNextBlock(
  asker: Asker,
  number: number,
  verification: BlockVerification,
): Promise<Block | null> {
  const block = await askRawBlock(asker, number)
  if (block === null) {
    asker.endpoint.standing.noteAbsence(number)
    return null
  }
  asker.endpoint.standing.noteHead(number)
  return joinAndProve(asker, number, block, await askReceipts(asker, number), verification)
}

/** The newest block: whole, if it is the one at this height, else its header. */
export async function askNewest(
  asker: Asker,
  next: number,
  verification: BlockVerification,
): Promise<{ readonly head: Header; readonly next: Block | null }> {
  const told = await asker.request('eth_getBlockByNumber', ['latest', true])
  const head = parseHeader(told)
  asker.endpoint.standing.noteHead(head.number)
  if (head.number !== next) return { head, next: null }
  const block = { told, parsed: await parseBlock(told) }
  return { head, next: await joinAndProve(asker, next, block, await askReceipts(asker, next), verification) }
}

/** The receipts of a block that is known from elsewhere. */
export async function completeBlock(asker: Asker, block: BlockAnswer, verification: BlockVerification): Promise<Block> {
  const { number } = block.parsed
  return joinAndProve(asker, number, block, await askReceipts(asker, number), verification)
}

/** One receipt, of a transaction that is known to be in a block. */
export async function askReceipt({ endpoint, request }: Asker, hash: Hash, blockNumber: number): Promise<RawReceipt> {
  const answer = await request('eth_getTransactionReceipt', [hash])
  if (answer === null) throw new LackingBlock(endpoint, blockNumber, `the receipt of ${hash}, of block`)
  return parseReceipt(answer)
}

/** A block as it was told, and as it was read. */
export type BlockAnswer = { readonly told: unknown; readonly parsed: RawBlock }
type ReceiptAnswer = { readonly told: readonly unknown[]; readonly parsed: readonly RawReceipt[] }

/** `eth_getBlockByNumber` with transactions; null: not there. */
export async function askRawBlock({ request }: Asker, number: number): Promise<BlockAnswer | null> {
  const told = await request('eth_getBlockByNumber', [numberToHex(number), true])
  return told === null ? null : { told, parsed: await parseBlock(told) }
}

async function joinAndProve(
  asker: Asker,
  number: number,
  block: BlockAnswer,
  byBlock: ReceiptAnswer | null,
  { level, believesUnproved }: BlockVerification,
): Promise<Block> {
  const { endpoint } = asker
  const receipts = byBlock ?? (await askReceiptsOneByOne(asker, block.parsed))
  let validated = joinBlock(number, block.parsed, receipts.parsed)
  // Some number the logs of each receipt anew: EthereumJS in the receipts of a block, Ganache in every receipt.
  if (!validated.ok && validated.isMisnumbered)
    validated = joinBlock(number, block.parsed, await renumber(asker, block.parsed.hash, receipts.parsed))
  const joined = believe(endpoint, number, validated)
  if (level === 'basic') return joined
  const proof = await proveBlock(block.told, receipts.told)
  if (proof.kind === 'wrong') throw inconsistent(endpoint, proof.problem, number)
  if (proof.kind === 'newer' && !believesUnproved(proof.reason, endpoint))
    throw inconsistent(endpoint, `${proof.reason}, and no other endpoint says so yet`, number)
  return joined
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
async function askReceipts({ endpoint, request }: Asker, number: number): Promise<ReceiptAnswer | null> {
  if (!endpoint.abilities.may('blockReceipts')) return null
  try {
    const told = await request('eth_getBlockReceipts', [numberToHex(number)])
    if (told === null) throw new LackingBlock(endpoint, number, 'the receipts of block')
    const parsed = parseReceipts(told)
    endpoint.abilities.note('blockReceipts', true)
    return { told: told as unknown[], parsed }
  } catch (error) {
    if (!(error instanceof EndpointFailure) || error.kind !== 'unsupported') throw error
    endpoint.abilities.note('blockReceipts', false)
    return null
  }
}

async function askReceiptsOneByOne(asker: Asker, { number, transactions }: RawBlock): Promise<ReceiptAnswer> {
  const told = await pMap(
    transactions,
    async ({ hash }) => {
      const answer = await asker.request('eth_getTransactionReceipt', [hash])
      if (answer === null) throw new LackingBlock(asker.endpoint, number, `the receipt of ${hash}, of block`)
      return answer
    },
    { concurrency: RECEIPTS_AT_ONCE },
  )
  return { told, parsed: told.map(parseReceipt) }
}

export function inconsistent(endpoint: Endpoint, problem: string, block?: number): AppError {
  return new AppError('RPC_INCONSISTENT', `${endpoint.name}: ${problem}.`, {
    facts: { endpoint: endpoint.name, block },
    hint: 'It is asked again, and others too; an endpoint that stays so lags behind or is broken.',
  })
}
