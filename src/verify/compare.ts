/**
 * Expected rows beside the rows that are there.
 *
 * Two things are not differences: an activity that still names the user who owned the wallet when it was indexed (unlinking leaves
 * old rows as they are), and what the application set on a row that it inserted itself.
 */
import type { FoundTransaction } from './read.ts'
import { canonical, type ExpectedActivity, type ExpectedTransaction } from './rows.ts'

export type Difference = { readonly block: number | null; readonly hash: string; readonly text: string }

export function compareActivities(
  expected: readonly ExpectedActivity[],
  found: readonly ExpectedActivity[],
): Difference[] {
  const byId = new Map(found.map(row => [row.id, row]))
  const differences: Difference[] = []
  for (const row of expected) {
    const other = byId.get(row.id)
    byId.delete(row.id)
    if (other === undefined) differences.push(describe(row, `missing: ${nameActivity(row)}`))
    else {
      const text = differing(row, { ...other, user_id: other.user_id === null ? null : row.user_id })
      if (text !== '') differences.push(describe(row, `${nameActivity(row)}: ${text}`))
    }
  }
  for (const row of byId.values()) differences.push(describe(row, `not on the chain: ${nameActivity(row)}`))
  return differences
}

/** @param chainId the chain that is verified: rows that show a lower one are that chain's affair */
export function compareTransactions(
  expected: readonly ExpectedTransaction[],
  found: readonly FoundTransaction[],
  chainId: number,
): Difference[] {
  const byHash = Map.groupBy(found, row => row.tx_hash)
  const differences: Difference[] = []
  for (const row of expected) {
    const others = byHash.get(row.tx_hash) ?? []
    byHash.delete(row.tx_hash)
    const at = { block: row.block_number, hash: row.tx_hash }
    if (others.length === 0) differences.push({ ...at, text: `missing: transaction ${row.tx_hash}` })
    for (const other of others) {
      if (other.chain_id !== null && other.chain_id < chainId) continue
      const text = differing(allow(row, other), strip(other))
      if (text !== '') differences.push({ ...at, text: `transaction ${row.tx_hash}: ${text}` })
    }
  }
  for (const [hash, rows] of byHash) {
    for (const row of rows) {
      // A row of the application in which no tracked wallet takes part is its own; its status still has to have its evidence.
      if (row.keeps_event_type || row.has_former) continue
      differences.push({ block: row.block_number, hash, text: `not on the chain: transaction ${hash}` })
    }
  }
  for (const row of found) {
    if (row.newest_status === null || row.newest_status === row.status) continue
    const text = `transaction ${row.tx_hash}: its status is ${row.status}, its newest transition says ${row.newest_status}`
    differences.push({ block: row.block_number, hash: row.tx_hash, text })
  }
  return differences
}

/** What is expected of a row, with what the application may keep. */
function allow(row: ExpectedTransaction, other: FoundTransaction): ExpectedTransaction {
  const isOfAnother = other.keeps_user && other.user_id !== row.user_id
  return {
    ...row,
    user_id: other.keeps_user ? other.user_id : row.user_id,
    event_type: other.keeps_event_type ? other.event_type : row.event_type,
    // What happened to another user than the one who was expected is not derived.
    ...(isOfAnother
      ? { amount: other.amount, raw_amount: other.raw_amount, token: other.token, token_address: other.token_address }
      : {}),
  }
}

function strip(row: FoundTransaction): ExpectedTransaction {
  const { keeps_user: _1, keeps_event_type: _2, chain_id: _3, newest_status: _4, has_former: _5, ...rest } = row
  return rest
}

function differing<T extends object>(expected: T, found: T): string {
  return Object.entries(expected)
    .map(([column, value]) => [column, canonical(value), canonical(found[column as keyof T])] as const)
    .filter(([, wanted, there]) => wanted !== there)
    .map(([column, wanted, there]) => `${column} is ${there}, should be ${wanted}`)
    .join('; ')
}

function describe(row: ExpectedActivity, text: string): Difference {
  return { block: row.block_number, hash: row.tx_hash, text: `block ${row.block_number}, ${text}` }
}

function nameActivity(row: ExpectedActivity): string {
  const place = row.log_index === null ? '' : ` log ${row.log_index}`
  return `${row.activity_type} of ${row.wallet_address} in ${row.tx_hash}${place}`
}
