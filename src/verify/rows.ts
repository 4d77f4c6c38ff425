/**
 * Rows in one comparable form, from whatever side they come: plain objects, amounts as decimal text without trailing zeros, times
 * as Unix seconds, sorted by what the row itself says.
 */
import type { Json } from '../core/types.ts'

export type ExpectedActivity = {
  readonly id: string
  readonly wallet_address: string
  readonly user_id: string | null
  readonly activity_type: string
  readonly tx_hash: string
  readonly amount: string | null
  readonly raw_amount: string | null
  readonly token: string | null
  readonly token_address: string | null
  readonly chain_id: number
  readonly block_number: number
  readonly block_hash: string
  readonly log_index: number | null
  readonly timestamp: number
  readonly metadata: Json
}

export type ExpectedTransaction = {
  readonly tx_hash: string
  readonly user_id: string | null
  readonly chain: string
  readonly event_type: string
  readonly token: string | null
  readonly token_address: string | null
  readonly amount: string | null
  readonly raw_amount: string | null
  readonly status: string
  readonly block_number: number | null
  readonly timestamp: number
}

export type Rows = {
  readonly activities: readonly ExpectedActivity[]
  readonly transactions: readonly ExpectedTransaction[]
}

/** What `numeric(30,18)` holds. */
const WHOLE_DIGITS = 12
const PLACES = 18
const MAX_DIFFERENCES = 40

/** A raw amount as exact decimal text, or null where `numeric(30,18)` can't hold it or its unit is not known. */
export function exactAmount(raw: bigint, decimals: number | null): string | null {
  if (decimals === null) return null
  const digits = (raw < 0n ? -raw : raw).toString().padStart(decimals + 1, '0')
  const whole = digits.slice(0, digits.length - decimals)
  const fraction = digits.slice(digits.length - decimals).replace(/0+$/, '')
  if (whole.length > WHOLE_DIGITS || fraction.length > PLACES) return null
  return `${raw < 0n ? '-' : ''}${whole}${fraction === '' ? '' : `.${fraction}`}`
}

/** Decimal text of Postgres without trailing zeros. */
export function normalise(text: string | null): string | null {
  return text !== null && text.includes('.') ? text.replace(/0+$/, '').replace(/\.$/, '') : text
}

/** JSON with its keys in order, so that equal values have equal texts. */
export function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  )
}

type Place = readonly (string | number)[]

function compare(a: Place, b: Place): number {
  for (const [i, left] of a.entries()) {
    const right = b[i] as string | number
    if (left !== right) return left < right ? -1 : 1
  }
  return 0
}

function placeOfActivity(row: ExpectedActivity): Place {
  const { block_number, log_index, tx_hash, activity_type, wallet_address, metadata } = row
  return [block_number, log_index ?? -1, tx_hash, activity_type, wallet_address, canonical(metadata)]
}

function placeOfTransaction(row: ExpectedTransaction): Place {
  return [row.block_number ?? -1, row.tx_hash]
}

/** In the order of the chain as far as a row tells it: block, log (the transaction's own first), hash, and then what it says. */
export function sortRows(rows: Rows): Rows {
  return {
    activities: [...rows.activities].sort((a, b) => compare(placeOfActivity(a), placeOfActivity(b))),
    transactions: [...rows.transactions].sort((a, b) => compare(placeOfTransaction(a), placeOfTransaction(b))),
  }
}

function keyOfActivity(row: ExpectedActivity): string {
  return canonical([row.block_number, row.tx_hash, row.log_index, row.wallet_address, row.activity_type])
}

/** The differences, a line each, at most a few dozen; empty where there are none. */
export function diffRows(expected: Rows, actual: Rows): string[] {
  const differences = [
    ...diff('wallet_activity', expected.activities, actual.activities, keyOfActivity),
    ...diff('user_transactions', expected.transactions, actual.transactions, row => row.tx_hash.toLowerCase()),
  ]
  if (differences.length <= MAX_DIFFERENCES) return differences
  return [...differences.slice(0, MAX_DIFFERENCES), `… and ${differences.length - MAX_DIFFERENCES} more`]
}

/** Equal rows cancel out; what is left is paired by `keyOf`, so that one wrong column reads as one. */
function diff<T extends object>(
  table: string,
  expected: readonly T[],
  actual: readonly T[],
  keyOf: (row: T) => string,
): string[] {
  const surplus = new Map<string, T[]>()
  for (const row of actual) surplus.set(canonical(row), [...(surplus.get(canonical(row)) ?? []), row])
  const missing = expected.filter(row => surplus.get(canonical(row))?.pop() === undefined)
  const left = new Map<string, T[]>()
  for (const row of [...surplus.values()].flat()) left.set(keyOf(row), [...(left.get(keyOf(row)) ?? []), row])
  const lines = missing.map(row => {
    const other = left.get(keyOf(row))?.shift()
    if (other === undefined) return `${table}: missing ${canonical(row)}`
    const columns = Object.entries(row).filter(
      ([name, value]) => canonical(value) !== canonical(other[name as keyof T]),
    )
    const texts = columns.map(
      ([name, value]) => `${name} ${canonical(value)}, found ${canonical(other[name as keyof T])}`,
    )
    return `${table}: ${keyOf(row)}: ${texts.join('; ')}`
  })
  return [...lines, ...[...left.values()].flat().map(row => `${table}: not on the chain ${canonical(row)}`)]
}
