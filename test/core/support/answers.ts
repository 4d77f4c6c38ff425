/**
 * Real blocks and their receipts as JSON, and every way to change one thing in them.
 *
 * Always holds: a change leaves an answer that looks like one (hex stays hex, an address keeps its length) and says something else
 * than before.
 */

import { listMainnetBlocks, readFixtureLines, readMainnetBlock, readRecordedAnswer } from '../../support/fixtures.ts'
import { fc } from './property.ts'

export type Fields = { readonly [key: string]: unknown }

export type Answer = {
  readonly name: string
  readonly block: Fields & { readonly transactions: readonly Fields[] }
  readonly receipts: readonly Fields[] | null
}

/** Without v, r, s, access lists and mixHash: nobody kept them. */
export const UNPROVABLE_BLOCKS: readonly number[] = [17_173_049, 17_173_050]

export function readMainnet(number: number): Answer {
  const { block, receipts } = readMainnetBlock(number)
  return { name: `Mainnet's ${number}`, block, receipts }
}

export function readAllOfMainnet(): Answer[] {
  return listMainnetBlocks('blocks')
    .filter(number => !UNPROVABLE_BLOCKS.includes(number))
    .map(readMainnet)
}

/** The 54 blocks of the execution API's test chain, with every type of transaction, and its genesis. */
export function readTestChain(): Answer[] {
  const genesis = readRecordedAnswer('execution-apis/tests/eth_getBlockByNumber/get-genesis.io') as Answer['block']
  const blocks = readFixtureLines('execution-apis/chain.ndjson') as Omit<Answer, 'name'>[]
  return [{ block: genesis, receipts: [] }, ...blocks].map(each => ({
    ...each,
    name: `the test chain's ${Number(each.block['number'])}`,
  }))
}

// ── Places ───────────────────────────────────────────────────────────────────────────────────────────────────────────────

export type Path = readonly (string | number)[]

/** Each field and each list of an answer. */
export function pathsOf(answer: Answer): Path[] {
  return ['block', 'receipts'].flatMap(root => walk(answer[root as 'block' | 'receipts'], [root]))
}

function walk(value: unknown, path: Path): Path[] {
  if (Array.isArray(value)) return [path, ...value.flatMap((entry, index) => walk(entry, [...path, index]))]
  if (typeof value !== 'object' || value === null) return [path]
  return Object.entries(value).flatMap(([key, entry]) => walk(entry, [...path, key]))
}

/** `receipts.*.logs.*.data`: the same for all entries of a list. */
export function patternOf(path: Path): string {
  return path.map(step => (typeof step === 'number' ? '*' : step)).join('.')
}

export function valueAt(answer: Answer, path: Path): unknown {
  return path.reduce<unknown>((value, step) => (value as Fields)[step], answer)
}

export type Change = {
  readonly path: Path
  readonly how: string
  readonly before: unknown
  /** undefined where the field is left out. */
  readonly after: unknown
}

/** The answer with one thing changed; what is not on the way to it is shared. */
export function apply(answer: Answer, { path, after }: Change): Answer {
  return replace(answer, path, after) as Answer
}

function replace(value: unknown, [step, ...rest]: Path, after: unknown): unknown {
  if (step === undefined) return after
  const inside = replace((value as Fields)[step], rest, after)
  if (Array.isArray(value)) return value.with(Number(step), inside)
  const { [step]: _before, ...others } = value as Fields
  return inside === undefined ? others : { ...others, [step]: inside }
}

// ── Changes ──────────────────────────────────────────────────────────────────────────────────────────────────────────────

const ADDRESS_FIELDS: ReadonlySet<string> = new Set(['to', 'contractAddress'])
const BYTES_FIELDS: ReadonlySet<string> = new Set(['input', 'data', 'extraData'])
/** Characters of an address, a hash and a bloom. */
const FIXED_LENGTHS: ReadonlySet<number> = new Set([42, 66, 514])
/** One hex digit. */
export const digit: fc.Arbitrary<string> = fc.nat(15).map(number => number.toString(16))

/** All that can become of what is at a place. */
export function changesAt(answer: Answer, path: Path): fc.Arbitrary<Change> {
  const before = valueAt(answer, path)
  const isOfObject = typeof path.at(-1) === 'string' && path.length > 1
  const all = Array.isArray(before) ? changesOfList(before) : changesOfValue(before, String(path.at(-1)))
  if (isOfObject) all.push(fc.constant(['left out', undefined] as const))
  return fc
    .oneof(...all)
    .map(([how, after]): Change => ({ path, how, before, after }))
    .filter(change => JSON.stringify(change.after) !== JSON.stringify(before))
}

type Outcome = fc.Arbitrary<readonly [how: string, after: unknown]>

function changesOfValue(before: unknown, field: string): Outcome[] {
  const all: Outcome[] = []
  if (typeof before === 'boolean') all.push(fc.constant(['turned', !before]))
  if (typeof before === 'string') all.push(...changesOfHex(before, field))
  if (ADDRESS_FIELDS.has(field)) {
    const address = fc.string({ unit: digit, minLength: 40, maxLength: 40 })
    all.push(
      address.map(digits => ['another address', `0x${digits}`]),
      fc.constant(['null', null]),
    )
  }
  return all
}

function changesOfHex(before: string, field: string): Outcome[] {
  const all: Outcome[] = []
  if (before.length > 2) {
    const place = fc.tuple(fc.integer({ min: 2, max: before.length - 1 }), digit)
    all.push(place.map(([at, other]) => ['a digit', `${before.slice(0, at)}${other}${before.slice(at + 1)}`]))
  }
  if (BYTES_FIELDS.has(field)) {
    all.push(fc.constant(['a byte more', `${before}00`]), fc.constant(['a byte less', before.slice(0, -2) || '0x']))
  } else if (!FIXED_LENGTHS.has(before.length)) {
    const number = BigInt(before)
    const numbers = [number + 1n, number === 0n ? 2n : number - 1n, 0n]
    all.push(fc.constantFrom(...numbers).map(other => ['another number', `0x${other.toString(16)}`]))
  }
  return all
}

function changesOfList(before: readonly unknown[]): Outcome[] {
  if (before.length === 0) return []
  const place = fc.nat(before.length - 1)
  return [
    place.map(at => ['an entry dropped', before.toSpliced(at, 1)]),
    place.map(at => ['an entry doubled', before.toSpliced(at, 0, before[at])]),
    fc.tuple(place, place).map(([a, b]) => ['two entries swapped', before.with(a, before[b]).with(b, before[a])]),
  ]
}
