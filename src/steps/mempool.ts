/**
 * The mempool: transactions of users are shown as pending before a block holds them, with sender and nonce, so that what replaces
 * them is recognised.
 *
 * Where no endpoint offers it, rows begin with the block. Nothing relies on it: it is told late, twice, or not at all. What it costs
 * is for the chain file to decide: over HTTP it is requests, over and over.
 */

import { type PendingTransaction, pendingRow } from '../core/pending.ts'
import { describeError } from '../errors.ts'
import type { ChainContext } from './context.ts'

const POLLS_PER_BLOCK_TIME = 3
const MIN_POLL_MS = 1_000
/** Transactions that wait to be written; what comes beyond is left to the block. */
const MAX_WAITING = 1_000

/** Watches until aborted, or not at all where the chain file says so. Never throws. */
export async function watchMempool(context: ChainContext, signal: AbortSignal): Promise<void> {
  const { chain, source, log } = context
  if (chain.mempool === 'off') return
  const watcher = {
    polls: chain.mempool === 'poll',
    pollMs: Math.max((chain.blockTimeSeconds * 1000) / POLLS_PER_BLOCK_TIME, MIN_POLL_MS),
    onTransaction: createWriter(context),
    onWay: (facts: object) => log.info({ chain: chain.name, ...facts }, 'The mempool is watched'),
    onTrouble: (facts: object, message: string) => log.debug({ chain: chain.name, ...facts }, message),
  }
  try {
    await source.watchPending(watcher, signal)
  } catch (error) {
    log.error({ chain: chain.name, reason: describeError(error) }, 'The mempool is watched no more until a restart')
  }
}

/** Writes one after the other, whatever the pace at which they come. */
function createWriter({ chain, registry, store, log }: ChainContext): (transaction: PendingTransaction) => void {
  let waiting = 0
  let last: Promise<void> = Promise.resolve()
  return transaction => {
    const row = pendingRow(transaction, registry.ownerOf)
    if (row === null || waiting >= MAX_WAITING) return
    waiting += 1
    const write = async () => {
      try {
        await store.notePending(chain, row)
      } catch (error) {
        log.debug(
          { chain: chain.name, tx: row.hash, reason: describeError(error) },
          'A pending transaction was not noted',
        )
      } finally {
        waiting -= 1
      }
    }
    last = last.then(write)
  }
}
