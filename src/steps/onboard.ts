/**
 * Onboarding: the past of wallets that were linked late, down to the chain's start.
 *
 * From the moment that a wallet is linked it is tracked in every new block, and the database notes which blocks it lacks. Here some of
 * those wallets are claimed and filled: where few questions find everything that concerns them (`onboard-filtered.ts`), and otherwise
 * by reading the blocks once for all of them.
 *
 * Always holds: only final blocks are taken; rows and coverage are committed together in small pieces, so that whoever is killed leaves
 * nothing half done and the next one goes on; a wallet is worked on by one process at a time; everything is asked as work that can wait.
 */

import pMap from 'p-map'
import { settledHeight } from '../core/lifecycle.ts'
import { cheaperWay, mayFilter, partsOf, piecesOf, type Segment, segmentsOf } from '../core/onboarding.ts'
import { mergeRanges, type Range, type Ranges } from '../core/range.ts'
import type { Address } from '../core/types.ts'
import { AppError, describeError } from '../errors.ts'
import { sleep } from '../runtime/sleep.ts'
import { WALLET_CLAIM_TTL_MS, type WalletClaim, type WalletClaims } from '../store/store.ts'
import type { ChainContext } from './context.ts'
import { fillFiltered, type Run } from './onboard-filtered.ts'
import { takePieces } from './pieces.ts'

/** Wallets that are filled together at most. */
const MAX_WALLETS = 500
/** Blocks of one piece that is read whole: one transaction, and what a crash may cost. */
const PIECE_BLOCKS = 50
/** With so many failures in a row, what is found by filters is given up for reading the blocks. */
const MAX_FILTERED_FAILURES = 2
const PROBES_AT_ONCE = 8
/** What is searched by filters before it is committed: about so many blocks with something in them, of so many wallets. */
const FILTERED_WALLETS = 50
const FILTERED_HITS = 10_000
const RENEW_EVERY_MS = WALLET_CLAIM_TTL_MS / 4

export type Onboarded = { readonly wallets: number; readonly failed: number; readonly activities: number }

/**
 * Fills the past of some wallets.
 *
 * @param holder who claims them: a name of its own for each process
 * @returns null where nobody lacks anything that is final and free
 * @throws AppError of the database, or when aborted; what concerns single wallets is noted with them
 */
export async function onboard(context: ChainContext, holder: string, signal: AbortSignal): Promise<Onboarded | null> {
  const { chain, store } = context
  const checkpoint = await store.checkpoint(chain.id)
  if (checkpoint === null || checkpoint.halt !== null) return null
  const from = chain.startBlock === 'latest' ? checkpoint.startBlock : chain.startBlock
  const to = Math.min(checkpoint.finalizedNumber, checkpoint.number)
  if (from > to) return null
  const claims = { chainId: chain.id, holder }
  const claimed = await store.claimWallets(claims, { from, to }, MAX_WALLETS)
  if (claimed.length === 0) return null
  const height = settledHeight({
    confirmations: chain.confirmations,
    checkpointNumber: checkpoint.number,
    tagNumber: null,
    finalizedNumber: checkpoint.finalizedNumber,
  })
  return whileClaimed(context, claims, claimed.length, signal, async both => {
    const run: Run = { context, claims, settledHeight: height, signal: both }
    const sum = { wallets: claimed.length, failed: 0, activities: 0 }
    for (const group of groupsOf(claimed)) {
      const { failed, activities } = await fillGroup(run, group)
      sum.failed += failed
      sum.activities += activities
    }
    return sum
  })
}

/** Those that failed before are taken one by one: only one of them may be to blame. */
function groupsOf(claimed: readonly WalletClaim[]): WalletClaim[][] {
  const sound = claimed.filter(({ failures }) => failures === 0)
  const failing = claimed.filter(({ failures }) => failures > 0).map(claim => [claim])
  return [...(sound.length > 0 ? [sound] : []), ...failing]
}

async function fillGroup(run: Run, group: readonly WalletClaim[]): Promise<{ failed: number; activities: number }> {
  const { context, claims, signal } = run
  const { store, chain, log } = context
  const addresses = group.map(({ address }) => address)
  try {
    const activities = await fill(run, group)
    await store.noteOutcome(claims, addresses, null)
    return { failed: 0, activities }
  } catch (error) {
    if (signal.aborted || (error instanceof AppError && /^(?:DB_|ABORTED)/.test(error.code))) throw error
    const reason = describeError(error)
    await store.noteOutcome(claims, addresses, reason)
    log.warn(
      { chain: chain.name, wallets: addresses.length, first: addresses[0], reason },
      'The history of wallets could not be filled yet; it is tried again',
    )
    return { failed: addresses.length, activities: 0 }
  }
}

/** @returns how many activities are new */
async function fill(run: Run, group: readonly WalletClaim[]): Promise<number> {
  const whole = new Map<Address, Ranges>()
  const lacking = new Map<Address, Ranges>()
  for (const { address, way, failures, lacking: lacks } of group) {
    const isWhole = way === 'whole' || failures >= MAX_FILTERED_FAILURES
    ;(isWhole ? whole : lacking).set(address, lacks)
  }
  const addWhole = (range: Range, wallets: readonly Address[]) => {
    for (const wallet of wallets) whole.set(wallet, mergeRanges([...(whole.get(wallet) ?? []), range]))
  }
  let activities = 0
  /** What was found of them is taken back: they are claimed again. */
  const refused = new Set<Address>()
  // The newest first: that is what a user looks for.
  for (const segment of segmentsOf(lacking).toReversed()) {
    const sent = await sentIn(run, segment)
    const filtered = { range: segment.range, wallets: [...sent.keys()] }
    addWhole(
      segment.range,
      segment.wallets.filter(wallet => !sent.has(wallet)),
    )
    for (const part of partsOf(filtered, [...sent.values()], FILTERED_WALLETS, FILTERED_HITS)) {
      const wallets = part.wallets.filter(wallet => !refused.has(wallet))
      const filled = await fillFiltered(run, { ...part, wallets })
      activities += filled.activities
      for (const { range, wallets: own } of filled.left) addWhole(range, own)
      for (const wallet of filled.refused) refused.add(wallet)
    }
  }
  for (const wallet of refused) whole.delete(wallet)
  return activities + (await fillWhole(run, whole))
}

/** The wallets that are better found by filters than by reading these blocks, and how many transactions each of them sent there. */
async function sentIn({ context, signal }: Run, { range, wallets }: Segment): Promise<Map<Address, number>> {
  const blocks = range.to - range.from + 1
  const sent = new Map<Address, number>()
  if (!mayFilter(blocks, wallets.length)) return sent
  const source = context.source.inBackground()
  const probe = async (wallet: Address) => {
    const nonces = await Promise.all(
      [0, Math.max(range.from - 1, 0), range.to].map(block => source.nonceAt(wallet, block, signal)),
    )
    const [first, before, after] = nonces
    // Whoever says that an account had sent something before there was a chain tells the state of another block.
    if (first === 0 && typeof before === 'number' && typeof after === 'number')
      sent.set(wallet, Math.max(after - before, 0))
  }
  await pMap(wallets, probe, { concurrency: PROBES_AT_ONCE })
  return cheaperWay(blocks, [...sent.values()]) === 'filtered' ? sent : new Map()
}

/** Reads blocks once for everybody who lacks them, the newest first. */
async function fillWhole({ context, settledHeight: height, signal }: Run, lacking: ReadonlyMap<Address, Ranges>) {
  const { registry } = context
  const pieces = piecesOf(lacking, PIECE_BLOCKS).toReversed()
  let activities = 0
  for (let index = 0; index < pieces.length; ) {
    await registry.refresh()
    // Who is tracked no more has no history to fill.
    const tracked = ({ wallets }: Segment) => wallets.filter(registry.isTracked).toSorted()
    const wallets = tracked(pieces[index] as Segment)
    const key = wallets.join()
    const isSame = (piece: Segment | undefined) => piece !== undefined && tracked(piece).join() === key
    if (wallets.length === 0) {
      index += 1
      continue
    }
    const taken = await takePieces(
      context,
      {
        wallets,
        settledHeight: height,
        async next() {
          const piece = pieces[index]
          if (signal.aborted || !isSame(piece)) return null
          index += 1
          return piece?.range ?? null
        },
        onPiece: async () => undefined,
      },
      signal,
    )
    activities += taken.activities
  }
  if (signal.aborted) throw new AppError('ABORTED', 'Filling the history of wallets was stopped; it goes on from here.')
  return activities
}

/** Renews the claims while the work goes on; it is aborted when somebody else took over, and they are given back at the end. */
async function whileClaimed<T>(
  { store, log, chain, clock }: ChainContext,
  claims: WalletClaims,
  count: number,
  signal: AbortSignal,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const ended = new AbortController()
  const both = AbortSignal.any([signal, ended.signal])
  const renew = async () => {
    let renewedAt = clock.monotonic()
    while (!both.aborted) {
      await sleep(RENEW_EVERY_MS, both)
      if (both.aborted) return
      try {
        if ((await store.renewWalletClaims(claims)) < count) ended.abort()
        renewedAt = clock.monotonic()
      } catch (error) {
        log.debug({ chain: chain.name, reason: describeError(error) }, 'Claims could not be renewed yet')
        if (clock.monotonic() - renewedAt > WALLET_CLAIM_TTL_MS) ended.abort()
      }
    }
  }
  const renewing = renew()
  try {
    return await work(both)
  } finally {
    ended.abort()
    await renewing
    await store.releaseWalletClaims(claims).catch((error: unknown) => {
      log.debug({ chain: chain.name, reason: describeError(error) }, 'Claims could not be given back; they expire')
    })
  }
}
