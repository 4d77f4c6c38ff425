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
  /** Rows to be written: an id for one that is there, null for a new one. */
  readonly rows: readonly (RowValues & { readonly id: string | null })[]
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
}: RowInput): RowDecision | null {
  const { inclusion, summaries } = facts
  if (lowestChainId !== inclusion.chainId) return null
  const [adopted] = existing
  // A row that is there without a ledger entry was inserted by the application; one that vanished, went with its user.
  const memory = adopted === undefined ? OURS : (ledger ?? adopt(adopted))

  const values = (row: ExistingRow | null): RowValues | null => {
    const keeps = row === null ? OURS : keptOf(row, inclusion.transactionHash, memory)
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
    return written === null ? [] : [{ id: row?.id ?? null, ...written }]
  })
  if (rows.length === 0) return null

  const sameBlock = previousBlockHash === inclusion.blockHash && ledger?.chainId === inclusion.chainId
  const before = ledger?.status ?? adopted?.status ?? null
  const status = includedStatus(inclusion.succeeded, settled)
  return {
    rows,
    status,
    ledger: {
      applicationHash: memory.applicationHash,
      keepsUser: memory.keepsUser,
      keepsEventType: memory.keepsEventType,
      status,
      chainId: inclusion.chainId,
      wasGivenUp: false,
    },
    transitions: transitionsOfInclusion(before, sameBlock, inclusion.succeeded, settled, ledger?.wasGivenUp ?? false),
  }
}

type Kept = Pick<Ledger, 'applicationHash' | 'keepsUser' | 'keepsEventType'>

const OURS: Kept = { applicationHash: null, keepsUser: false, keepsEventType: false }

function adopt(row: ExistingRow): Kept {
  return { applicationHash: row.hashAsWritten, keepsUser: row.userId !== null, keepsEventType: true }
}

/** What stays in one of the rows: another spelling than ours is the application's, also where our own row was there first. */
function keptOf(row: ExistingRow, hash: Hash, memory: Kept): Kept {
  const isRemembered = row.hashAsWritten === (memory.applicationHash ?? hash)
  return isRemembered ? memory : adopt(row)
}
