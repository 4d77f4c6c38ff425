/**
 * Where the native history of a wallet W is, told by the state of its account: its nonce, balance and code at the ends of blocks.
 *
 * A search, as data: a generator that yields questions which may be put at once, is given their answers, and returns which blocks are
 * hits, which have to be read whole and why, and in which nothing happened. Every block of the range is in exactly one of the three.
 *
 * Why equal ends can prove that nothing happened between them. Money leaves an account in two ways only: by a transaction that its key
 * signed, which raises the nonce (reverted or not), or by code that runs at the address. Code runs there if it is deployed, if it is
 * being deployed (a constructor), or if the account is delegated (EIP-7702).
 *
 * - At an account with a nonce of 1 or more and no code, nothing can be deployed any more (EIP-684), and a delegation takes an
 *   authorization by its key, which raises the nonce. So from such a state on, and as long as the nonce stays, code never runs there and
 *   nothing is paid out: the balance can only grow (transfers, calls, self-destructs, withdrawals, fees and rewards all add). Equal
 *   nonce and equal balance then mean that nothing was paid in either. What pays nothing gives no row. Above all, whether a key exists
 *   does not matter: a contract whose constructor left no code behind (nonce 1 and no code) is dead and can pay no more than an
 *   account whose key rests. So this is asked of the START of an interval, and its end needs no code.
 * - It is not so before the nonce was first raised. An address with nonce 0 and no code may be that of a contract that is yet to come:
 *   funded, deployed, swept and self-destructed within one block, over and over, with equal ends each time. A nonce above 0 without code
 *   LATER does not rule that out: the last of those constructors may have left no code behind, and it may have raised its nonce further
 *   by creating others. So neither nonce 1 nor any other number proves a key. A signature does: a transaction from W or an authorization
 *   by W in the block where the nonce leaves 0 (which is a hit and is read anyway), a delegation (nothing else writes such code,
 *   EIP-3541), or what the caller knows. No key has an address that is a contract's too: that would be a collision of 160 bits.
 * - While an account is delegated anybody may make it pay, with the nonce unchanged; but to end that raises the nonce. So the code is one
 *   and the same as long as the nonce is, and is asked once per nonce. The nonce of a delegated account may rise by what it creates.
 * - A deployed contract is free to pay, and (before Cancun, or within the transaction that made it) to vanish and come again.
 *
 * So the nonce, which never falls where the above holds, is located first, by halving; between two blocks that raised it, the balance,
 * which never falls there. Each question is one call. A nonce that falls, or a balance that falls where it can't, is a contract that was
 * destroyed, or a lie: then nothing is concluded. What the rules of the protocol don't cover (the DAO fork, chains whose bridge or
 * system contracts take money from accounts by decree) shows as a balance that falls, unless it is made good within the same interval.
 * EIP-3607 (nobody sends from an address with deployed code) is not needed: an address with code is never judged.
 */

import { mergeRanges, type Range, type Ranges } from './range.ts'
import type { Hex } from './types.ts'

/** EIP-7702: such code, followed by an address, says whose code runs instead. */
const DELEGATION = /^0xef0100[0-9a-f]{40}$/

export type CodeKind = 'none' | 'code' | 'delegated'

export function codeKindOf(code: Hex): CodeKind {
  if (code === '0x') return 'none'
  return DELEGATION.test(code) ? 'delegated' : 'code'
}

export type WholeReason = 'could-be-contract' | 'contract' | 'delegated' | 'no-archive' | 'inconsistent' | 'dense'

/** `signature`: whether the block holds a transaction from the wallet, or an authorization that it signed. The others: at its end. */
export type Question = { readonly of: 'nonce' | 'balance' | 'code' | 'signature'; readonly block: number }
/** To a question; null: the state is gone. */
export type Answer = number | bigint | boolean | CodeKind | null

type Balance = { readonly nonce: number; readonly balance: bigint }
/** What a hit did to the account; null where the state next to it is gone. */
export type Change = { readonly block: number; readonly before: Balance | null; readonly after: Balance | null }
export type WholeRange = { readonly range: Range; readonly reason: WholeReason }

export type Findings = {
  /** Blocks in which something happened, ascending; to be read. */
  readonly hits: readonly number[]
  /** Blocks of which nothing can be told without reading them, ascending, and why. */
  readonly whole: readonly WholeRange[]
  /** Blocks in which nothing happened to the wallet. */
  readonly empty: Ranges
  /** One for each hit, in the same order. */
  readonly changes: readonly Change[]
}

export type SearchOptions = {
  /** A signature of the wallet was seen elsewhere. */
  readonly isKey: boolean
  /** How many questions are under way at once: where fewer intervals are open, each is cut finer. */
  readonly atOnce: number
}

type Asking<T> = Generator<readonly Question[], T, readonly Answer[]>

/** Where few intervals are open each is cut into four: half the rounds for one and a half times the questions. */
const FINE_PARTS = 4
/**
 * A stretch is dense if the nonce rises by three in four blocks: to place each costs more than to read the blocks. Not for less, since
 * of a block that is read whole the state before and after is not known, and several transactions in one block are nothing rare.
 */
const DENSE_RISE = 3
const DENSE_RISE_PER_BLOCK = 3 / 4
/**
 * A dense stretch has at most 2 blocks, and one more each time that the range is 16 times as long: all of its rise may be the work of a
 * single block, and then reading the others must not cost more than placing that one.
 */
const DENSE_BLOCKS = 2
const DENSE_BLOCKS_PER_HALVING = 1 / 4

/**
 * Searches a range of final blocks. The state before it is that of its parent; the genesis block holds no transactions, and what it
 * allots is no transfer: it is empty, and its state the first.
 */
export function* searchNativeHistory(range: Range, options: SearchOptions): Asking<Findings> {
  const start = Math.max(range.from - 1, 0)
  const body = { from: start + 1, to: range.to }
  const genesis = range.from === 0 ? [{ from: 0, to: 0 }] : []
  if (body.from > body.to) return { hits: [], whole: [], empty: genesis, changes: [] }
  const found = yield* searchBody(start, body, options)
  return { ...found, empty: mergeRanges([...genesis, ...found.empty]) }
}

function* searchBody(start: number, body: Range, options: SearchOptions): Asking<Findings> {
  const end = body.to
  const [before, code, after] = yield [
    { of: 'nonce', block: start },
    { of: 'code', block: start },
    { of: 'nonce', block: end },
  ]
  if (!isNumber(before) || !isNumber(after) || !isCode(code)) return allWhole(body, 'no-archive')
  if (code === 'code') return allWhole(body, 'contract')
  // Delegated code is a signature that was seen.
  let isKey = options.isKey || code === 'delegated'
  if (after < before) return allWhole(body, 'inconsistent')
  if (before === 0 && !isKey) {
    if (after === 0) return allWhole(body, 'could-be-contract')
    const [endCode] = yield [{ of: 'code', block: end }]
    if (!isCode(endCode)) return allWhole(body, 'no-archive')
    if (endCode === 'code') return allWhole(body, 'contract')
    isKey = endCode === 'delegated'
  }
  const ends = { a: { block: start, value: before }, b: { block: end, value: after } }
  const densest = DENSE_BLOCKS + Math.log2(end - start) * DENSE_BLOCKS_PER_HALVING
  // The block where the nonce leaves 0 has to be found: it is the one that can show a signature.
  const isDense = ({ a, b }: Gap<number>) =>
    (a.value > 0 || isKey) &&
    b.value - a.value >= DENSE_RISE &&
    b.block - a.block <= densest &&
    b.value - a.value >= (b.block - a.block) * DENSE_RISE_PER_BLOCK
  const located = yield* locate('nonce', [ends], options.atOnce, isNumber, isDense)
  if (located.hasFallen) return allWhole(body, before > 0 || isKey ? 'inconsistent' : 'could-be-contract')
  const runs = runsBetween(ends, located.parts)
  const known = yield* askRuns(runs, { start, code, isKey, parts: located.parts })
  return yield* searchRuns(runs, located.parts, known, options.atOnce)
}

// ── The nonce: blocks that raised it, and what lies between them ─────────────────────────────────────────────────────────

type Point<T> = { readonly block: number; readonly value: T }
/** Two ends, of which the second is later. What is asked about is after `a`, up to and with `b`. */
type Gap<T> = { readonly a: Point<T>; readonly b: Point<T> }
/** A gap whose ends differ and that is not looked into further: one block, a dense stretch, or one whose state is gone. */
type Part<T> = Gap<T> & { readonly kind: 'hit' | 'dense' | 'gone' }
type Located<T> = { readonly parts: readonly Part<T>[]; readonly hasFallen: boolean }

/** Everywhere in some gaps where a value rises, by cutting what has unequal ends; ascending if the gaps are. */
function* locate<T extends number | bigint>(
  of: 'nonce' | 'balance',
  gaps: readonly Gap<T>[],
  atOnce: number,
  isValue: (answer: Answer | undefined) => answer is T,
  isDense: (gap: Gap<T>) => boolean,
): Asking<Located<T>> {
  const parts: Part<T>[] = []
  let hasFallen = false
  let open: readonly Gap<T>[] = gaps
  // Each round makes every gap shorter, by half at least.
  while (open.length > 0 && !hasFallen) {
    const cut: { gap: Gap<T>; blocks: readonly number[] }[] = []
    const into = open.length * (FINE_PARTS - 1) <= atOnce ? FINE_PARTS : 2
    for (const gap of open) {
      const { a, b } = gap
      if (a.value === b.value) continue
      if (a.value > b.value) hasFallen = true
      else if (b.block - a.block === 1) parts.push({ ...gap, kind: 'hit' })
      else if (isDense(gap)) parts.push({ ...gap, kind: 'dense' })
      else cut.push({ gap, blocks: blocksBetween(gap, into) })
    }
    if (hasFallen || cut.length === 0) break
    const answers = yield cut.flatMap(({ blocks }) => blocks.map((block): Question => ({ of, block })))
    let next = 0
    open = cut.flatMap(({ gap, blocks }) => {
      const pieces: Gap<T>[] = []
      let { a } = gap
      let isGone = false
      for (const block of [...blocks, gap.b.block]) {
        const value = block === gap.b.block ? gap.b.value : answers[next++]
        if (!isValue(value)) {
          isGone = true
          continue
        }
        const b = { block, value }
        if (isGone) parts.push({ a, b, kind: 'gone' })
        else pieces.push({ a, b })
        hasFallen ||= value < a.value
        isGone = false
        a = b
      }
      return pieces
    })
  }
  return { parts: parts.toSorted((one, other) => one.a.block - other.a.block), hasFallen }
}

function blocksBetween({ a, b }: Gap<unknown>, into: number): number[] {
  const length = b.block - a.block
  const cuts = Math.min(into, length)
  return Array.from({ length: cuts - 1 }, (_, index) => a.block + Math.floor((length * (index + 1)) / cuts))
}

/** Blocks with one nonce: the states at the ends of `from`, …, `to`. What happens between them is in `from` + 1, …, `to`. */
type Run = Range & { readonly nonce: number }

function runsBetween({ a, b }: Gap<number>, parts: readonly Part<number>[]): Run[] {
  const starts = [a, ...parts.map(part => part.b)]
  const ends = [...parts.map(part => part.a), b]
  return starts.map(({ block, value }, index) => ({ from: block, to: ends[index]?.block ?? block, nonce: value }))
}

type Known = {
  readonly balances: ReadonlyMap<number, bigint>
  /** By the first block of a run. */
  readonly codes: ReadonlyMap<number, CodeKind>
  readonly isKey: boolean
}

type Start = {
  readonly start: number
  readonly code: CodeKind
  readonly isKey: boolean
  readonly parts: readonly Part<number>[]
}

/** The balance at both ends of every run, the code at the start of those that have blocks, and whether there is a key. */
function* askRuns(runs: readonly Run[], { start, code, isKey, parts }: Start): Asking<Known> {
  const [first, firstHit] = [runs[0], parts[0]]
  const asksForKey = !isKey && first?.nonce === 0 && first.from < first.to && firstHit?.kind === 'hit'
  const ends = new Set(runs.flatMap(({ from, to }) => [from, to]))
  const starts = runs.filter(({ from, to }) => from < to && from !== start).map(({ from }) => from)
  const questions: Question[] = [
    ...Array.from(ends, (block): Question => ({ of: 'balance', block })),
    ...starts.map((block): Question => ({ of: 'code', block })),
    ...(asksForKey ? [{ of: 'signature', block: firstHit.b.block } as const] : []),
  ]
  const answers = yield questions
  const balances = new Map<number, bigint>()
  const codes = new Map<number, CodeKind>([[start, code]])
  let hasSigned = isKey
  for (const [index, { of, block }] of questions.entries()) {
    const answer = answers[index]
    if (of === 'balance' && isBigint(answer)) balances.set(block, answer)
    if (of === 'code' && isCode(answer)) codes.set(block, answer)
    if (answer === 'delegated' || answer === true) hasSigned = true
  }
  return { balances, codes, isKey: hasSigned }
}

// ── The balance: blocks between those that raised it ────────────────────────────────────────────────────────────────────

function* searchRuns(
  runs: readonly Run[],
  parts: readonly Part<number>[],
  known: Known,
  atOnce: number,
): Asking<Findings> {
  const { balances } = known
  const whole: WholeRange[] = []
  const open: (Gap<bigint> & { readonly run: Run })[] = []
  const empty: Range[] = []
  const changes: Change[] = []
  for (const { a, b, kind } of parts) {
    if (kind === 'hit') changes.push({ block: b.block, before: stateAt(a, balances), after: stateAt(b, balances) })
    else whole.push({ range: { from: a.block + 1, to: b.block }, reason: kind === 'dense' ? 'dense' : 'no-archive' })
  }
  for (const run of runs) {
    if (run.from === run.to) continue
    const body = { from: run.from + 1, to: run.to }
    const [a, b] = [balances.get(run.from), balances.get(run.to)]
    const reason = reasonOf(run, known)
    if (reason !== null) whole.push({ range: body, reason })
    else if (a === undefined || b === undefined) whole.push({ range: body, reason: 'no-archive' })
    else if (a > b) whole.push({ range: body, reason: 'inconsistent' })
    else open.push({ a: { block: run.from, value: a }, b: { block: run.to, value: b }, run })
  }
  const located = yield* locate('balance', open, atOnce, isBigint, () => false)
  if (located.hasFallen) {
    // Of these answers at least one is wrong, and nobody knows which.
    for (const { a, b } of open) whole.push({ range: { from: a.block + 1, to: b.block }, reason: 'inconsistent' })
    return settle(whole, empty, changes)
  }
  let next = 0
  for (const { a, b, run } of open) {
    let from = a.block + 1
    for (; (located.parts[next]?.b.block ?? Number.POSITIVE_INFINITY) <= b.block; next += 1) {
      const part = located.parts[next] as Part<bigint>
      empty.push({ from, to: part.a.block })
      from = part.b.block + 1
      if (part.kind === 'hit') {
        const [before, after] = [part.a, part.b].map(({ value }) => ({ nonce: run.nonce, balance: value }))
        changes.push({ block: part.b.block, before: before ?? null, after: after ?? null })
      } else whole.push({ range: { from: part.a.block + 1, to: part.b.block }, reason: 'no-archive' })
    }
    empty.push({ from, to: b.block })
  }
  return settle(whole, empty, changes)
}

/** Why the blocks of a run have to be read; null: equal ends prove that nothing happened. */
function reasonOf({ from, nonce }: Run, { codes, isKey }: Known): WholeReason | null {
  const code = codes.get(from)
  if (code === undefined) return 'no-archive'
  if (code === 'delegated') return 'delegated'
  if (code === 'code') return isKey ? 'inconsistent' : 'contract'
  return nonce > 0 || isKey ? null : 'could-be-contract'
}

function stateAt({ block, value }: Point<number>, balances: ReadonlyMap<number, bigint>): Balance | null {
  const balance = balances.get(block)
  return balance === undefined ? null : { nonce: value, balance }
}

function settle(whole: readonly WholeRange[], empty: readonly Range[], changes: readonly Change[]): Findings {
  const ordered = changes.toSorted((a, b) => a.block - b.block)
  return {
    hits: ordered.map(({ block }) => block),
    whole: joinWhole(whole),
    empty: mergeRanges(empty),
    changes: ordered,
  }
}

/** Neighbours with one reason are one stretch. */
function joinWhole(whole: readonly WholeRange[]): WholeRange[] {
  const joined: WholeRange[] = []
  for (const { range, reason } of whole.toSorted((a, b) => a.range.from - b.range.from)) {
    const last = joined.at(-1)
    if (last?.reason === reason && last.range.to + 1 === range.from)
      joined[joined.length - 1] = { range: { from: last.range.from, to: range.to }, reason }
    else joined.push({ range, reason })
  }
  return joined
}

function allWhole(range: Range, reason: WholeReason): Findings {
  return { hits: [], whole: [{ range, reason }], empty: [], changes: [] }
}

function isNumber(answer: Answer | undefined): answer is number {
  return typeof answer === 'number'
}

function isBigint(answer: Answer | undefined): answer is bigint {
  return typeof answer === 'bigint'
}

function isCode(answer: Answer | undefined): answer is CodeKind {
  return answer === 'none' || answer === 'code' || answer === 'delegated'
}
