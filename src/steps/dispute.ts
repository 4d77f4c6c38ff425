/**
 * Is a branch that does not fit ours believed? All endpoints are heard, and those on the branch that is not are left alone for a
 * while.
 */

import { type Verdict, weighBranches } from '../core/lineage.ts'
import type { ChainContext } from './context.ts'

const PATIENCE_BLOCK_TIMES = 3
const MIN_PATIENCE_MS = 3_000

export type Dispute = {
  /** Hears every endpoint on the block of our checkpoint. */
  judge(checkpoint: { readonly number: number; readonly hash: `0x${string}` }, signal: AbortSignal): Promise<Verdict>
}

export function createDispute({ chain, clock, source, log }: ChainContext): Dispute {
  const patienceMs = Math.max(PATIENCE_BLOCK_TIMES * chain.blockTimeSeconds * 1000, MIN_PATIENCE_MS)
  /** Since when the endpoints contradict each other about which block. */
  let open: { readonly hash: string; readonly since: number } | null = null
  return {
    async judge(checkpoint, signal) {
      if (open?.hash !== checkpoint.hash) open = { hash: checkpoint.hash, since: clock.monotonic() }
      const witnesses = await source.witnesses(checkpoint, signal)
      const verdict = weighBranches(checkpoint.number, witnesses, clock.monotonic() - open.since >= patienceMs)
      const wrong = verdict === 'stay' ? 'other' : verdict === 'leave' ? 'ours' : null
      const distrusted = witnesses.filter(({ shows }) => shows === wrong).map(({ endpoint }) => endpoint)
      source.distrust(distrusted, `shows another block ${checkpoint.number} than the other endpoints`)
      if (distrusted.length > 0) {
        log.debug(
          { chain: chain.name, block: checkpoint.number, verdict, distrusted },
          'Endpoints on different branches',
        )
      }
      if (verdict !== 'wait') open = null
      return verdict
    },
  }
}
