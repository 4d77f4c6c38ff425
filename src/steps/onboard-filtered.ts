/**
 * The past of a wallet without reading every block: its transactions and payments are found from the state of its account
 * (`native-history.ts`), its tokens and the rules of the chain file from filtered logs, and each block in which something is, is read
 * whole and matched as any other.
 *
 * A filter that leaves something out can't be told from one that finds nothing, so what can contradict it is compared: a block that was
 * found for another reason and has a log which the filter should have told of, and a transaction in a block in which the account is
 * said to have rested. Then everything that was found in this way is taken back, and the blocks are read.
 */

import { interestOf } from '../core/interest.ts'
import pMap from 'p-map'
import { explainBlock } from '../core/native-history-explain.ts'
import { movesNative, onlyCall, type Segment, segmentsOf } from '../core/onboarding.ts'
import type { Proof } from '../core/proof.ts'
import { countBlocks, mergeRanges, type Range, type Ranges, splitRanges, subtractRanges } from '../core/range.ts'
import type { Address, Block } from '../core/types.ts'
import { type WantedLogs, wantedLogs } from '../core/wanted-logs.ts'
import { AppError } from '../errors.ts'
import type { WalletClaims, InternalValue } from '../store/store.ts'
import type { ChainContext } from './context.ts'
import { matchBlocks } from './match.ts'
import { findNativeHistory, type NativeHistory } from './native-history.ts'

/** Blocks that are asked about at a time: what is found is in memory until it is committed. */
const PART_BLOCKS = 100_000
/** Blocks that are read and committed at a time. */
const HITS_A_COMMIT = 32
const BLOCKS_AT_ONCE = 8
const WALLETS_AT_ONCE = 4
/** With a larger share of blocks in which something is, they are read as they come; and so are very few. */
const DENSE_SHARE = 0.5
const FEW_BLOCKS = 4
/** A stretch of many transactions that is not longer is read among the blocks that were found. */
const MAX_STRETCH_BLOCKS = 32
const MAX_MATCHES = 5

/** What a run over some wallets goes by. */
export type Run = {
  readonly context: ChainContext
  readonly claims: WalletClaims
  /** The highest block that is deep enough for a status. */
  readonly settledHeight: number
  readonly signal: AbortSignal
}

export type Filled = {
  readonly activities: number
  /** What has to be read whole. */
  readonly left: readonly Segment[]
  /** Of whom everything that filters found was taken back. */
  readonly refused: readonly Address[]
}

/** Fills blocks that some wallets lack, as far as it can be done without reading all of them. */
export async function fillFiltered(run: Run, { range, wallets }: Segment): Promise<Filled> {
  const { context, claims, signal } = run
  const { store, source, chain, log } = context
  if (wallets.length === 0) return { activities: 0, left: [], refused: [] }
  await store.noteWay(claims, wallets, 'filtered', null)
  const natives = new Map<Address, Known>()
  const find = async (wallet: Address) => {
    const isKey = await store.hasSent(wallet)
    natives.set(wallet, toKnown(await findNativeHistory(context, wallet, range, signal, isKey)))
  }
  await pMap(wallets, find, { concurrency: WALLETS_AT_ONCE })
  const left: Segment[] = []
  for (const [wallet, { whole }] of natives)
    for (const each of whole) left.push({ range: each.range, wallets: [wallet] })
  let activities = 0
  for (const part of splitRanges([range], PART_BLOCKS).toReversed()) {
    const rest = restOf(natives, part)
    if (rest.size === 0) continue
    const wanted = wantedLogs(chain, [...rest.keys()])
    const named = await source.inBackground().blocksNaming(part, wanted, signal)
    const found = named ?? { blocks: [], proof: 'filtered' as const }
    for (const segment of segmentsOf(rest).toReversed()) {
      const hits = hitsOf(segment, found.blocks, natives)
      if (named === null || hits.length + FEW_BLOCKS > countBlocks([segment.range]) * DENSE_SHARE) {
        left.push(segment)
        continue
      }
      const piece = { segment, hits, wanted, named: new Set(found.blocks), natives, proof: found.proof }
      try {
        activities += await commitSegment(run, piece)
      } catch (error) {
        if (!(error instanceof Contradiction)) throw error
        log.warn(
          { chain: chain.name, block: error.block, wallet: error.wallets[0], reason: error.message },
          'What filtered questions found of a wallet contradicts a block; its blocks are read instead',
        )
        for (const wallet of error.wallets) {
          await store.retractFiltered(chain.id, wallet)
          natives.delete(wallet)
        }
        await store.noteWay(claims, error.wallets, 'whole', error.reason)
        const sound = left.filter(each => !each.wallets.some(wallet => error.wallets.includes(wallet)))
        return { activities, left: sound, refused: error.wallets }
      }
    }
  }
  await noteReasons(run, natives)
  return { activities, left, refused: [] }
}

/** What the state of an account tells of a wallet. */
type Known = Pick<NativeHistory, 'hits' | 'whole' | 'changes'> & {
  /** Hits of which it tells nothing more: each of a stretch in which there is much. */
  readonly unplaced: ReadonlySet<number>
  readonly isDelegated: boolean
}

const isStretch = ({ range, reason }: NativeHistory['whole'][number]) =>
  reason === 'dense' && countBlocks([range]) <= MAX_STRETCH_BLOCKS

function toKnown({ hits, whole, changes }: NativeHistory): Known {
  const unplaced = new Set(
    whole
      .filter(isStretch)
      .flatMap(({ range }) => Array.from({ length: countBlocks([range]) }, (_, index) => range.from + index)),
  )
  return {
    hits: [...hits, ...unplaced],
    whole: whole.filter(each => !isStretch(each)),
    changes,
    unplaced,
    isDelegated: whole.some(({ reason }) => reason === 'delegated'),
  }
}

/** What was found can't be all of it. */
class Contradiction extends Error {
  readonly block: number
  readonly wallets: readonly Address[]
  readonly reason: 'filter' | 'inconsistent'

  constructor(block: number, wallets: readonly Address[], reason: 'filter' | 'inconsistent') {
    super(
      reason === 'filter'
        ? 'a block has a log that the filtered answer lacks'
        : 'a block moves value or a nonce, and the state of the account does not show it',
    )
    this.block = block
    this.wallets = wallets
    this.reason = reason
  }
}

/** What need not be read whole, by wallet. */
function restOf(natives: ReadonlyMap<Address, Known>, part: Range): Map<Address, Ranges> {
  const rest = new Map<Address, Ranges>()
  for (const [wallet, { whole }] of natives) {
    const own = subtractRanges([part], mergeRanges(whole.map(each => each.range)))
    if (own.length > 0) rest.set(wallet, own)
  }
  return rest
}

/** Blocks of a segment in which something is, ascending. */
function hitsOf({ range, wallets }: Segment, named: readonly number[], natives: ReadonlyMap<Address, Known>): number[] {
  const all = [...named, ...wallets.flatMap(wallet => natives.get(wallet)?.hits ?? [])]
  return [...new Set(all.filter(number => range.from <= number && number <= range.to))].toSorted((a, b) => a - b)
}

/** The reason why a wallet's blocks have to be read, where most of them have to. */
async function noteReasons({ context, claims }: Run, natives: ReadonlyMap<Address, Known>): Promise<void> {
  for (const [wallet, { whole }] of natives) {
    const longest = whole.toSorted((a, b) => countBlocks([b.range]) - countBlocks([a.range]))[0]
    if (longest !== undefined) await context.store.noteWay(claims, [wallet], 'whole', longest.reason)
  }
}

type Piece = {
  readonly segment: Segment
  readonly hits: readonly number[]
  readonly wanted: WantedLogs
  readonly named: ReadonlySet<number>
  readonly natives: ReadonlyMap<Address, Known>
  readonly proof: Proof
}

/** Reads the blocks that were found and commits them, with all that lies between them. @returns new activities */
async function commitSegment(run: Run, piece: Piece): Promise<number> {
  const { range, wallets } = piece.segment
  const source = run.context.source.inBackground()
  const own = new Set(wallets)
  const interest = interestOf({ wallet: address => own.has(address), transaction: () => false })
  let activities = 0
  let { from } = range
  for (let start = 0; from <= range.to; start += HITS_A_COMMIT) {
    const next = piece.hits[start + HITS_A_COMMIT]
    const to = next === undefined ? range.to : next - 1
    const blocks = await pMap(
      piece.hits.slice(start, start + HITS_A_COMMIT),
      number => source.block(number, run.signal, interest),
      { concurrency: BLOCKS_AT_ONCE },
    )
    const internal: InternalValue[] = []
    for (const block of blocks) {
      refuseLostLogs(block, piece)
      for (const wallet of wallets) internal.push(...(await explain(run, block, wallet, piece)))
    }
    activities += await commit(run, { range: { from, to }, wallets, blocks, internal, proof: piece.proof })
    from = to + 1
  }
  return activities
}

function refuseLostLogs(block: Block, { segment, wanted, named }: Piece): void {
  if (named.has(block.number)) return
  const hasWanted = block.receipts.some(({ logs }) => logs.some(log => wanted.concerns(log, block.number)))
  if (hasWanted) throw new Contradiction(block.number, segment.wallets, 'filter')
}

/** What of a wallet's balance moved inside transactions of a block; refuses a block that its account's state contradicts. */
async function explain(
  { context, signal }: Run,
  block: Block,
  wallet: Address,
  { natives }: Piece,
): Promise<InternalValue[]> {
  const native = natives.get(wallet)
  const change = native?.changes.find(each => each.block === block.number)
  if (change === undefined) {
    const isPlaced = native?.unplaced.has(block.number) !== true
    if (isPlaced && movesNative(block, wallet)) throw new Contradiction(block.number, [wallet], 'inconsistent')
    return []
  }
  const { before, after } = change
  if (before === null || after === null) return []
  const judge = (dues: Parameters<typeof explainBlock>[3]) =>
    explainBlock(block, wallet, { before, after }, dues, native?.isDelegated === true)
  const plain = judge({ feesPaid: 0n, withdrawals: 0n, reward: 0n })
  if (!plain.fits) throw new Contradiction(block.number, [wallet], 'inconsistent')
  // Paid by transactions alone: nothing is left to be explained.
  if (plain.internal === 0n && before.nonce === after.nonce) return []
  const dues = await context.source
    .inBackground()
    .dues(wallet, block, signal)
    .catch((error: unknown) => {
      if (signal.aborted) throw error
      // A node that can't tell costs a fact that is told besides, and not the history.
      return null
    })
  const internal = dues === null ? null : judge(dues).internal
  if (internal === null || internal === 0n) return []
  return [{ wallet, blockNumber: block.number, amount: internal, transactionHash: onlyCall(block) }]
}

type Commit = {
  readonly range: Range
  readonly wallets: readonly Address[]
  readonly blocks: readonly Block[]
  readonly internal: readonly InternalValue[]
  readonly proof: Proof
}

async function commit({ context, settledHeight, signal }: Run, piece: Commit): Promise<number> {
  const { chain, registry, store } = context
  for (let attempt = 1; ; attempt += 1) {
    await registry.refresh('newest', signal)
    const registryVersion = registry.version
    // Who is tracked no more has no history to fill.
    const wallets = piece.wallets.filter(registry.isTracked)
    if (wallets.length === 0) return 0
    const options = { sought: new Set<never>(), only: new Set(wallets) }
    const matched = await matchBlocks(context, piece.blocks, options, signal)
    if (signal.aborted)
      throw new AppError('ABORTED', 'Filling the history of wallets was stopped; it goes on from here.')
    try {
      const written = await store.commitBackfill({
        chain,
        registryVersion,
        range: piece.range,
        wallets,
        settledHeight,
        proof: piece.proof,
        internal: piece.internal.filter(({ wallet }) => wallets.includes(wallet)),
        ...matched,
      })
      return written.activities
    } catch (error) {
      if (!(error instanceof AppError) || error.code !== 'REGISTRY_STALE' || attempt >= MAX_MATCHES) throw error
    }
  }
}
