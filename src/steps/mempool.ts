/**
 * The mempool: transactions of users are shown as pending before a block holds them, with sender and nonce, so that what replaces
 * them is recognised.
 *
 * Where no endpoint offers it, rows begin with the block. Nothing relies on it: it is told late, twice, or not at all.
 */

import { type PendingTransaction, pendingRow } from '../core/pending.ts'
import { describeError } from '../errors.ts'
import { sleep } from '../runtime/sleep.ts'
import type { ChainContext } from './context.ts'

const RETRY_MS = 5_000
const NOT_OFFERED_RETRY_MS = 600_000
/** Transactions that wait to be written; what comes beyond is left to the block. */
const MAX_WAITING = 1_000

/** Listens until aborted. Never throws. */
export async function watchMempool(context: ChainContext, signal: AbortSignal): Promise<void> {
  const { chain, source, log } = context
  while (!signal.aborted) {
    try {
      const writer = createWriter(context)
      const isOffered = await source.watchPending(writer, signal)
      await sleep(isOffered ? RETRY_MS : NOT_OFFERED_RETRY_MS, signal)
    } catch (error) {
      if (!signal.aborted)
        log.debug({ chain: chain.name, reason: describeError(error) }, 'The mempool can not be watched')
      await sleep(RETRY_MS, signal)
    }
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
