/**
 * Which branch is believed, where one does not fit ours, and before a status is decided: all endpoints are heard, and those on the
 * branch that is not believed are left alone for a while.
 *
 * Why also without suspicion: an endpoint on a fork from a block that we share leads us along, and nothing there ever contradicts it.
 */

import { type Verdict, type Witness, weighBranches } from '../core/lineage.ts'
import type { ChainContext } from './context.ts'

const PATIENCE_BLOCK_TIMES = 3
const MIN_PATIENCE_MS = 3_000

type Place = { readonly number: number; readonly hash: `0x${string}` }

export type Dispute = {
  /** Hears every endpoint on the block of our checkpoint. */
  judge(checkpoint: Place, signal: AbortSignal): Promise<Verdict>
  /**
   * Hears them, with several endpoints, before blocks up to a height are decided; what was compared with them once is not again.
   *
   * @param decidedUpTo the highest block that a status is decided by
   * @param top the newest block that is known
   * @param placeAt our block at a height between the two
   * @returns the block where most endpoints have another one; null: nobody objects
   */
  objection(
    decidedUpTo: number,
    top: number,
    placeAt: (number: number) => Promise<Place | null>,
    signal: AbortSignal,
  ): Promise<Place | null>
}

export function createDispute({ chain, clock, source, log }: ChainContext): Dispute {
  const patienceMs = Math.max(PATIENCE_BLOCK_TIMES * chain.blockTimeSeconds * 1000, MIN_PATIENCE_MS)
  /** Since when the endpoints contradict each other about which block. */
  let open: { readonly hash: string; readonly since: number } | null = null
  let comparedUpTo = Number.NEGATIVE_INFINITY

  const hear = async (checkpoint: Place, signal: AbortSignal) => {
    if (open?.hash !== checkpoint.hash) open = { hash: checkpoint.hash, since: clock.monotonic() }
    const witnesses = await source.witnesses(checkpoint, signal)
    const verdict = weighBranches(checkpoint.number, witnesses, clock.monotonic() - open.since >= patienceMs)
    if (verdict !== 'wait') open = null
    if (verdict === 'leave') comparedUpTo = Number.NEGATIVE_INFINITY
    return { witnesses, verdict }
  }

  const distrust = (checkpoint: Place, witnesses: readonly Witness[], wrong: Witness['shows']) => {
    const endpoints = witnesses.filter(({ shows }) => shows === wrong).map(({ endpoint }) => endpoint)
    if (endpoints.length === 0) return
    source.distrust(endpoints, `shows another block ${checkpoint.number} than the other endpoints`)
    log.debug({ chain: chain.name, block: checkpoint.number, distrusted: endpoints }, 'Endpoints on different branches')
  }

  return {
    async judge(checkpoint, signal) {
      const { witnesses, verdict } = await hear(checkpoint, signal)
      if (verdict !== 'wait') distrust(checkpoint, witnesses, verdict === 'stay' ? 'other' : 'ours')
      return verdict
    },
    async objection(decidedUpTo, top, placeAt, signal) {
      if (source.health().length < 2 || decidedUpTo <= comparedUpTo) return null
      // Half way to the top: high enough to serve for some blocks to come, and low enough that the others have it.
      const place = await placeAt(decidedUpTo + Math.floor((top - decidedUpTo) / 2))
      if (place === null) return null
      const { witnesses, verdict } = await hear(place, signal)
      const isContradicted = witnesses.some(({ shows }) => shows === 'other')
      // Who has no such block lags. While it is undecided, the next step asks again.
      if (!isContradicted || verdict === 'stay') comparedUpTo = place.number
      if (!isContradicted || verdict === 'wait') return null
      distrust(place, witnesses, verdict === 'stay' ? 'other' : 'ours')
      return verdict === 'leave' ? place : null
    },
  }
}
