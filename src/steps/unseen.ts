/**
 * Judging transactions that no chain has: replaced, dropped, or still to be waited for.
 */

import { settledHeight } from '../core/lifecycle.ts'
import type { Address, Block, Hash } from '../core/types.ts'
import { isDropped, isSurveyDue, searchNonce, weighTestimonies } from '../core/unseen.ts'
import type { Replacement, Unseen } from '../store/store.ts'
import type { ChainContext } from './context.ts'

/** A search halves at most this often; block numbers have 31 bits. */
const MAX_QUESTIONS = 80

export type Verdict = 'replaced' | 'dropped'

/** @returns the verdict that was written, or null: it stays pending */
export async function judgeUnseen(
  contexts: readonly ChainContext[],
  unseen: Unseen,
  signal: AbortSignal,
): Promise<Verdict | null> {
  const { hash, sent } = unseen
  const home = contexts.find(({ chain }) => chain.id === sent?.chainId)
  const store = contexts[0]?.store
  if (store === undefined) return null
  let noncePassed: boolean | null = null
  if (sent !== null && home !== undefined) {
    const deep = await deepHeight(home)
    const nonce = deep < 0 ? null : await home.source.nonceAt(sent.sender, deep, signal)
    noncePassed = nonce === null ? null : nonce > sent.nonce
    if (noncePassed === true) {
      const replacement = await findReplacement(home, hash, sent.sender, sent.nonce, deep, signal)
      return replacement !== null && (await store.commitReplaced(hash, replacement)) ? 'replaced' : null
    }
    // A sender that is known and whose nonce can't be asked for leaves it open.
    if (noncePassed === null) return null
  }
  const droppedAfterSeconds = Math.max(...contexts.map(({ chain }) => chain.droppedAfterSeconds))
  if (!isSurveyDue(unseen.sinceSurveySeconds, droppedAfterSeconds)) return null
  const testimonies = await Promise.all(
    contexts.map(async ({ chain, source }) =>
      source.survey(hash, await store.controlTransaction(chain.id, unseen.noticedAt), signal),
    ),
  )
  const result = weighTestimonies(testimonies.map(testimony => ({ says: testimony.map(({ says }) => says) })))
  const surveys = await store.noteSurvey(hash, result)
  if (!isDropped({ waitedSeconds: unseen.waitedSeconds, droppedAfterSeconds, surveys, noncePassed })) return null
  const witnesses = testimonies.flatMap(testimony => testimony.map(({ endpoint }) => endpoint))
  return (await store.commitDropped(hash, witnesses)) ? 'dropped' : null
}

async function deepHeight({ chain, store }: ChainContext): Promise<number> {
  const checkpoint = await store.checkpoint(chain.id)
  if (checkpoint === null) return -1
  return settledHeight({
    confirmations: chain.confirmations,
    checkpointNumber: checkpoint.number,
    tagNumber: null,
    finalizedNumber: checkpoint.finalizedNumber,
  })
}

/**
 * What used the nonce, in a block that is deep enough; null where that does not fit together (yet).
 *
 * The block is the evidence: it is read whole and checked, and the store accepts it only if it is ours. A node that merely claims a
 * higher nonce proves nothing.
 */
async function findReplacement(
  context: ChainContext,
  hash: Hash,
  sender: Address,
  nonce: number,
  deep: number,
  signal: AbortSignal,
): Promise<Replacement | null> {
  const number = await findNonceUse(context, sender, nonce, deep, signal)
  if (number === null) return null
  const block = await context.source.block(number, signal)
  const used = whatUsedNonce(block, sender, nonce)
  // The transaction itself: the sweep takes it up, or the follower will.
  if (used === hash) return null
  return { chainId: context.chain.id, block, hash: used }
}

/** The transaction of a block that used up a nonce: the sender's own, or one that carries an EIP-7702 authorization of theirs. */
function whatUsedNonce(block: Block, sender: Address, nonce: number): Hash | null {
  const own = block.transactions.find(transaction => transaction.from === sender && transaction.nonce === nonce)
  if (own !== undefined) return own.hash
  const carrier = block.transactions.find(({ authorizations }) =>
    authorizations.some(({ authority, nonce: used }) => authority === sender && used === BigInt(nonce)),
  )
  return carrier?.hash ?? null
}

/** The block in which the sender's nonce passed; null where the node keeps too little state to tell. */
async function findNonceUse(
  { source }: ChainContext,
  sender: Address,
  nonce: number,
  deep: number,
  signal: AbortSignal,
): Promise<number | null> {
  let below = -1
  let passed = deep
  let stride = 1
  for (let questions = 0; questions < MAX_QUESTIONS; questions += 1) {
    const search = searchNonce(below, passed, stride)
    if (search.kind === 'found') return search.block
    const at = await source.nonceAt(sender, search.block, signal)
    if (at === null) return null
    if (at > nonce) {
      passed = search.block
      stride *= 2
    } else {
      below = search.block
      stride = Number.POSITIVE_INFINITY
    }
  }
  return null
}
