/**
 * What becomes of a row of `user_transactions` when its transaction is seen in a block.
 *
 * A row that the application inserted is adopted: its user and its event type stay where it set them, everything else comes from
 * the chain. On our own rows both are what the present owners make of it. A transaction that stands on two chains belongs to the
 * lower chain id.
 */

import { includedStatus, type Transition, transitionsOfInclusion } from './lifecycle.ts'
import type { Address, Hash, TransactionFacts, TransactionStatus } from './types.ts'

/** A row as it stands in the table. There can be several for one hash: the application may spell it in two ways. */
export type ExistingRow = {
  readonly id: string
  readonly hashAsWritten: string
  readonly userId: string | null
  readonly eventType: string
  readonly status: TransactionStatus
}

/** What the daemon remembers of a row. */
export type Ledger = {
  /** The row that this is remembered of: it may have gone with its user, and another may have come. */
  readonly rowId: string | null
  readonly applicationHash: string | null
  readonly keepsUser: boolean
  readonly keepsEventType: boolean
  readonly status: TransactionStatus
  /** The chain whose block the row shows. */
  readonly chainId: number | null
  /** It counted as replaced or dropped. */
  readonly wasGivenUp: boolean
}

export type RowInput = {
  readonly facts: TransactionFacts
  readonly settled: boolean
  /** The block that held it on this chain when it was last recorded. */
  readonly previousBlockHash: Hash | null
  /** The lowest chain that has it, this one included. */
  readonly lowestChainId: number
  readonly existing: readonly ExistingRow[]
  readonly ledger: Ledger | null
  /** The id that a row of our own has, or will have. */
  readonly ownRowId: string
}

export type RowValues = {
  readonly userId: string | null
  readonly eventType: string
  readonly amount: string | null
  readonly rawAmount: bigint | null
  readonly token: string | null
  readonly tokenAddress: Address | null
}

export type RowDecision = {
  /** Rows to be written, over one that is there or as a new one. */
  readonly rows: readonly (RowValues & { readonly id: string; readonly isNew: boolean })[]
  readonly status: TransactionStatus
  readonly ledger: Ledger
  readonly transitions: readonly Transition[]
}

/** Decides; null where nothing is to be written to `user_transactions`. */
export function decideRow({
  facts,
  settled,
  previousBlockHash,
  lowestChainId,
  existing,
  ledger,
  ownRowId,
}: RowInput): RowDecision | null {
  const { inclusion, summaries } = facts
  if (lowestChainId !== inclusion.chainId) return null
  const memory = remember(existing, ledger, ownRowId)

  const values = (row: ExistingRow | null): RowValues | null => {
    // Another spelling is another row of the application, also where our own was there first.
    const keeps = row === null || row.id === memory.rowId ? memory : adopt(row, ownRowId)
    const userId = row !== null && keeps.keepsUser ? row.userId : (summaries[0]?.userId ?? row?.userId ?? null)
    const summary = summaries.find(({ userId: id }) => id === userId)
    if (row === null && summary === undefined) return null
    return {
      userId,
      eventType:
        row !== null && (keeps.keepsEventType || summary === undefined) ? row.eventType : (summary?.eventType ?? ''),
      amount: summary?.amount ?? null,
      rawAmount: summary?.rawAmount ?? null,
      token: summary?.token ?? null,
      tokenAddress: summary?.tokenAddress ?? null,
    }
  }
  const targets = existing.length > 0 ? existing : [null]
  const rows = targets.flatMap(row => {
    const written = values(row)
    return written === null ? [] : [{ id: row?.id ?? ownRowId, isNew: row === null, ...written }]
  })
  if (rows.length === 0) return null

  const sameBlock = previousBlockHash === inclusion.blockHash && ledger?.chainId === inclusion.chainId
  const before = ledger?.status ?? existing[0]?.status ?? null
  const status = includedStatus(inclusion.succeeded, settled)
  return {
    rows,
    status,
    ledger: { ...memory, status, chainId: inclusion.chainId, wasGivenUp: false },
    transitions: transitionsOfInclusion(before, sameBlock, inclusion.succeeded, settled, ledger?.wasGivenUp ?? false),
  }
}

type Memory = Pick<Ledger, 'rowId' | 'applicationHash' | 'keepsUser' | 'keepsEventType'>

/** What is remembered from now on: of the row that was remembered, or, where it is gone, of the one that is there instead. */
function remember(existing: readonly ExistingRow[], ledger: Ledger | null, ownRowId: string): Memory {
  const isThere = ledger !== null && existing.some(({ id }) => id === ledger.rowId)
  if (isThere) {
    const { rowId, applicationHash, keepsUser, keepsEventType } = ledger
    return { rowId, applicationHash, keepsUser, keepsEventType }
  }
  const [first] = existing
  return first === undefined ? ours(ownRowId) : adopt(first, ownRowId)
}

/** A row that nothing is remembered of is the application's, unless it has the id that only we give. */
function adopt(row: ExistingRow, ownRowId: string): Memory {
  if (row.id === ownRowId) return ours(ownRowId)
  return { rowId: row.id, applicationHash: row.hashAsWritten, keepsUser: row.userId !== null, keepsEventType: true }
}

function ours(ownRowId: string): Memory {
  return { rowId: ownRowId, applicationHash: null, keepsUser: false, keepsEventType: false }
}
