/**
 * The past of wallets that were linked late: who lacks which blocks, which way to them is the cheaper one, and whether what was found
 * can be all of it.
 */

import { transactionOutcome } from './decode/outcome.ts'
import { createdContract } from './interest.ts'
import { type Range, type Ranges, splitRanges } from './range.ts'
import type { Address, Block, Hash } from './types.ts'

export type Way = 'filtered' | 'whole'

/** Blocks, and exactly the wallets that lack all of them. */
export type Segment = { readonly range: Range; readonly wallets: readonly Address[] }

/** The blocks that somebody lacks, cut wherever it is somebody else; lowest first. */
export function segmentsOf(lacking: ReadonlyMap<Address, Ranges>): Segment[] {
  const starts = new Map<number, Address[]>()
  const ends = new Map<number, Address[]>()
  for (const [wallet, ranges] of lacking) {
    for (const { from, to } of ranges) {
      starts.set(from, [...(starts.get(from) ?? []), wallet])
      ends.set(to + 1, [...(ends.get(to + 1) ?? []), wallet])
    }
  }
  const cuts = [...new Set([...starts.keys(), ...ends.keys()])].toSorted((a, b) => a - b)
  const present = new Set<Address>()
  const segments: Segment[] = []
  for (const [index, cut] of cuts.entries()) {
    for (const wallet of ends.get(cut) ?? []) present.delete(wallet)
    for (const wallet of starts.get(cut) ?? []) present.add(wallet)
    const next = cuts[index + 1]
    if (next !== undefined && present.size > 0)
      segments.push({ range: { from: cut, to: next - 1 }, wallets: [...present] })
  }
  return segments
}

/**
 * The same as few pieces of whole blocks: a piece is taken for everybody who lacks some of it, and may give a wallet blocks once more
 * that it has already.
 */
export function piecesOf(lacking: ReadonlyMap<Address, Ranges>, size: number): Segment[] {
  const pieces: { from: number; to: number; wallets: Set<Address> }[] = []
  for (const { range, wallets } of segmentsOf(lacking)) {
    for (let { from } = range; from <= range.to; ) {
      const last = pieces.at(-1)
      const isOpen = last !== undefined && last.to + 1 === from && last.to - last.from + 1 < size
      const to = Math.min(range.to, (isOpen ? last.from : from) + size - 1)
      if (isOpen) {
        last.to = to
        for (const wallet of wallets) last.wallets.add(wallet)
      } else pieces.push({ from, to, wallets: new Set(wallets) })
      from = to + 1
    }
  }
  return pieces.map(({ from, to, wallets }) => ({ range: { from, to }, wallets: [...wallets] }))
}

// ── What it costs ────────────────────────────────────────────────────────────────────────────────────────────────────────

/** A whole block and its part of a question for logs. */
const CALLS_A_BLOCK = 1.1
/** Looking at a wallet's ends, and questions for its logs, however little there is. */
const CALLS_A_WALLET = 14
/** Blocks with something in them, for each transaction that a wallet sent: what it was paid comes besides. */
const HITS_A_NONCE = 1.5
const MIN_HITS = 2
/** Reading a block that was found, and looking at both sides of it. */
const CALLS_A_HIT = 4

/** Whether so many wallets could be filled at a lower cost than by reading the blocks, if next to nothing is found for them. */
export function mayFilter(blocks: number, wallets: number): boolean {
  return (
    filteredCalls(
      blocks,
      Array.from({ length: wallets }, () => 0),
    ) <
    blocks * CALLS_A_BLOCK
  )
}

/** @param sent how many transactions each wallet sent in these blocks */
export function cheaperWay(blocks: number, sent: readonly number[]): Way {
  return filteredCalls(blocks, sent) < blocks * CALLS_A_BLOCK ? 'filtered' : 'whole'
}

/** Blocks in which something may be, by what a wallet sent. */
function hitsOf(blocks: number, sent: number): number {
  return Math.min(Math.max(sent * HITS_A_NONCE, MIN_HITS), blocks)
}

/**
 * Cuts what is to be found by filters into parts that are each searched, read and committed before the next: few wallets, and so many
 * blocks that about `mostHits` of them are found. The newest first.
 */
export function partsOf({ range, wallets }: Segment, sent: readonly number[], mostWallets: number, mostHits: number) {
  const blocks = range.to - range.from + 1
  const parts: Segment[] = []
  for (let start = 0; start < wallets.length; start += mostWallets) {
    const own = wallets.slice(start, start + mostWallets)
    const hits = sent.slice(start, start + mostWallets).reduce((sum, each) => sum + hitsOf(blocks, each), 0)
    const size = Math.max(Math.ceil(blocks / Math.max(Math.ceil(hits / mostHits), 1)), 1)
    for (const part of splitRanges([range], size).toReversed()) parts.push({ range: part, wallets: own })
  }
  return parts
}

/** Halving goes down once for each block that is found, less where many share the way. */
function filteredCalls(blocks: number, sent: readonly number[]): number {
  return sent.reduce((sum, nonces) => {
    const hits = hitsOf(blocks, nonces)
    return sum + CALLS_A_WALLET + hits * (2 * Math.log2(blocks / hits + 1) + CALLS_A_HIT)
  }, 0)
}

// ── Whether it is all ────────────────────────────────────────────────────────────────────────────────────────────────────

/** Whether a wallet sends something in a block, or is paid by a transaction itself. */
export function movesNative(block: Block, wallet: Address): boolean {
  return block.transactions.some((transaction, index) => {
    if (transaction.from === wallet) return true
    if (transaction.value === 0n || (transaction.to ?? createdContract(transaction)) !== wallet) return false
    const receipt = block.receipts[index]
    return receipt !== undefined && transactionOutcome(transaction, receipt) === true
  })
}

/** What a plain transfer costs: with no more than that, no code ran. */
const PLAIN_GAS = 21_000n

/** The only transaction of a block in which code can have run and its effects stayed; null where there are several or it is not known. */
export function onlyCall({ transactions, receipts }: Block): Hash | null {
  const candidates = transactions.filter((_, index) => {
    const receipt = receipts[index]
    if (receipt === undefined || receipt.succeeded === false) return receipt === undefined
    return receipt.gasUsed === null || receipt.gasUsed > PLAIN_GAS
  })
  return candidates.length === 1 ? (candidates[0]?.hash ?? null) : null
}
