/**
 * Rows of `user_transactions`, with what the daemon remembers of them and the evidence of each change.
 *
 * Always holds: a row, its entry in `indexer.transactions` and its newest transition agree, because they change in one transaction;
 * a row that already says what it should is not written again.
 */

import type { Chain } from '../core/chain.ts'
import type { Transition } from '../core/lifecycle.ts'
import { decideRow, type ExistingRow, type Ledger, type RowDecision, type RowValues } from '../core/transaction-row.ts'
import type { Address, Hash, Inclusion, TransactionFacts, TransactionStatus } from '../core/types.ts'
import { AppError } from '../errors.ts'
import { booleans } from './array-types.ts'
import type { Tx } from './connection.ts'
import { transactionRowId } from './ids.ts'

export type Pending = {
  readonly facts: TransactionFacts
  readonly settled: boolean
  readonly previousBlockHash: Hash | null
  readonly lowestChainId: number
}

type Decided = RowDecision & { readonly inclusion: Inclusion }

export async function writeRows(tx: Tx, chain: Chain, pending: readonly Pending[]): Promise<void> {
  const hashes = pending.map(({ facts }) => facts.inclusion.transactionHash)
  const ledger = await loadLedger(tx, hashes)
  const existing = await loadExisting(tx, hashes)
  const changed: Decided[] = []
  const decided: Decided[] = pending.flatMap(item => {
    const hash = item.facts.inclusion.transactionHash
    const decision = decideRow({
      ...item,
      existing: existing.get(hash) ?? [],
      ledger: ledger.get(hash) ?? null,
      ownRowId: transactionRowId(hash),
    })
    if (decision === null) return []
    const whole = { ...decision, inclusion: item.facts.inclusion }
    if (!remembersTheSame(ledger.get(hash), decision.ledger)) changed.push(whole)
    return [whole]
  })
  if (decided.length === 0) return
  await upsertLedger(tx, changed)
  await insertRows(tx, chain, decided)
  await updateRows(tx, chain, decided, existing)
  await insertTransitions(
    tx,
    decided.flatMap(({ transitions, inclusion }) => transitions.map(transition => ({ transition, inclusion }))),
  )
}

/** A row as it stands, with the rest of what we would write to it. */
type StoredRow = ExistingRow &
  Pick<RowValues, 'amount' | 'token' | 'tokenAddress'> & {
    readonly rawAmount: string | null
    readonly chain: string | null
    readonly blockNumber: number | null
    readonly timestamp: number
  }

async function loadExisting(tx: Tx, hashes: readonly Hash[]): Promise<Map<string, StoredRow[]>> {
  const rows = await tx<
    {
      hash: string
      id: string
      tx_hash: string
      user_id: string | null
      event_type: string
      status: TransactionStatus
      chain: string | null
      amount: string | null
      raw_amount: string | null
      token: string | null
      token_address: Address | null
      block_number: number | null
      at: number
    }[]
  >`
    select lower(tx_hash) as hash, id, tx_hash, user_id, event_type, status, chain, trim_scale(amount)::text as amount,
      raw_amount::text as raw_amount, token, token_address, block_number, extract(epoch from "timestamp")::float8 as at
    from user_transactions
    where lower(tx_hash) = any(${hashes}::text[])
    order by lower(tx_hash), created_at, id
    for update`
  return Map.groupBy(
    rows.map(row => ({
      hash: row.hash,
      id: row.id,
      hashAsWritten: row.tx_hash,
      userId: row.user_id,
      eventType: row.event_type,
      status: row.status,
      chain: row.chain,
      amount: row.amount,
      rawAmount: row.raw_amount,
      token: row.token,
      tokenAddress: row.token_address,
      blockNumber: row.block_number,
      timestamp: row.at,
    })),
    ({ hash }) => hash,
  )
}

async function loadLedger(tx: Tx, hashes: readonly Hash[]): Promise<Map<string, Ledger>> {
  const rows = await tx<
    {
      tx_hash: string
      row_id: string | null
      application_hash: string | null
      keeps_user: boolean
      keeps_event_type: boolean
      status: TransactionStatus
      chain_id: number | null
      verdict: string | null
    }[]
  >`select * from indexer.transactions where tx_hash = any(${hashes}::text[]) order by tx_hash for update`
  return new Map(
    rows.map(row => [
      row.tx_hash,
      {
        rowId: row.row_id,
        applicationHash: row.application_hash,
        keepsUser: row.keeps_user,
        keepsEventType: row.keeps_event_type,
        status: row.status,
        chainId: row.chain_id,
        wasGivenUp: row.verdict !== null,
      },
    ]),
  )
}

function remembersTheSame(known: Ledger | undefined, now: Ledger): boolean {
  return (
    known !== undefined &&
    known.rowId === now.rowId &&
    known.applicationHash === now.applicationHash &&
    known.keepsUser === now.keepsUser &&
    known.keepsEventType === now.keepsEventType &&
    known.status === now.status &&
    known.chainId === now.chainId
  )
}

async function upsertLedger(tx: Tx, decided: readonly Decided[]): Promise<void> {
  if (decided.length === 0) return
  await tx`
    insert into indexer.transactions as known (tx_hash, row_id, application_hash, keeps_user, keeps_event_type, status, chain_id)
    select * from unnest(
      ${decided.map(({ inclusion }) => inclusion.transactionHash)}::text[],
      ${decided.map(({ ledger }) => ledger.rowId)}::uuid[], ${decided.map(({ ledger }) => ledger.applicationHash)}::text[],
      ${booleans(decided.map(({ ledger }) => ledger.keepsUser))}::text[]::boolean[],
      ${booleans(decided.map(({ ledger }) => ledger.keepsEventType))}::text[]::boolean[],
      ${decided.map(({ ledger }) => ledger.status)}::text[],
      ${decided.map(({ ledger }) => ledger.chainId)}::integer[]
    )
    on conflict (tx_hash) do update set
      row_id = excluded.row_id, application_hash = excluded.application_hash, keeps_user = excluded.keeps_user,
      keeps_event_type = excluded.keeps_event_type, status = excluded.status, chain_id = excluded.chain_id,
      surveys = 0, surveyed_at = null, verdict = null, replaced_by = null, replaced_chain_id = null, replaced_block = null
    where (known.row_id, known.application_hash, known.keeps_user, known.keeps_event_type, known.status, known.chain_id)
      is distinct from
      (excluded.row_id, excluded.application_hash, excluded.keeps_user, excluded.keeps_event_type, excluded.status, excluded.chain_id)`
}

async function insertRows(tx: Tx, chain: Chain, decided: readonly Decided[]): Promise<void> {
  const rows = decided.flatMap(({ rows: own, inclusion, status }) =>
    own.filter(({ isNew }) => isNew).map(row => ({ ...row, inclusion, status })),
  )
  if (rows.length === 0) return
  const inserted = await tx`
    insert into user_transactions
      (id, user_id, tx_hash, chain, event_type, token, token_address, amount, raw_amount, status, block_number, "timestamp")
    select id, user_id, tx_hash, ${chain.label}, event_type, token, token_address, amount, raw_amount, status, block_number,
      to_timestamp(block_time) at time zone 'UTC'
    from unnest(
      ${rows.map(row => row.id)}::uuid[], ${rows.map(row => row.userId)}::uuid[],
      ${rows.map(row => row.inclusion.transactionHash)}::text[],
      ${rows.map(row => row.eventType)}::text[], ${rows.map(row => row.token)}::text[],
      ${rows.map(row => row.tokenAddress)}::text[], ${rows.map(row => row.amount)}::numeric[],
      ${rows.map(row => row.rawAmount?.toString() ?? null)}::numeric[], ${rows.map(row => row.status)}::text[],
      ${rows.map(row => row.inclusion.blockNumber)}::integer[], ${rows.map(row => row.inclusion.timestamp)}::double precision[]
    ) as r (id, user_id, tx_hash, event_type, token, token_address, amount, raw_amount, status, block_number, block_time)
    on conflict (tx_hash) do nothing`
  if (inserted.count < rows.length) {
    throw new AppError('DB_CONFLICT', 'The application inserted a row for the same transaction at the same moment.')
  }
}

type DecidedRow = RowDecision['rows'][number] & Pick<Decided, 'inclusion' | 'status'>

/** Whether a row stands as it was decided: then it need not be sent. Where this can't tell, Postgres compares. */
function standsSo(stored: StoredRow | undefined, row: DecidedRow, chain: Chain): boolean {
  return (
    stored !== undefined &&
    stored.userId === row.userId &&
    stored.chain === chain.label &&
    stored.eventType === row.eventType &&
    stored.token === row.token &&
    stored.tokenAddress === row.tokenAddress &&
    stored.amount === row.amount &&
    stored.rawAmount === (row.rawAmount?.toString() ?? null) &&
    stored.status === row.status &&
    stored.blockNumber === row.inclusion.blockNumber &&
    stored.timestamp === row.inclusion.timestamp
  )
}

async function updateRows(
  tx: Tx,
  chain: Chain,
  decided: readonly Decided[],
  existing: ReadonlyMap<string, readonly StoredRow[]>,
): Promise<void> {
  const rows = decided.flatMap(({ rows: own, inclusion, status }) => {
    const stored = existing.get(inclusion.transactionHash)
    return own
      .filter(({ isNew }) => !isNew)
      .map(row => ({ ...row, inclusion, status }))
      .filter(
        row =>
          !standsSo(
            stored?.find(({ id }) => id === row.id),
            row,
            chain,
          ),
      )
  })
  if (rows.length === 0) return
  await tx`
    update user_transactions u set
      user_id = r.user_id, chain = ${chain.label}, event_type = r.event_type, token = r.token, token_address = r.token_address,
      amount = r.amount, raw_amount = r.raw_amount, status = r.status, block_number = r.block_number, "timestamp" = r.at
    from (
      select id, user_id, event_type, token, token_address, amount, raw_amount, status, block_number,
        to_timestamp(block_time) at time zone 'UTC' as at
      from unnest(
        ${rows.map(row => row.id)}::uuid[], ${rows.map(row => row.userId)}::uuid[], ${rows.map(row => row.eventType)}::text[],
        ${rows.map(row => row.token)}::text[], ${rows.map(row => row.tokenAddress)}::text[],
        ${rows.map(row => row.amount)}::numeric[], ${rows.map(row => row.rawAmount?.toString() ?? null)}::numeric[],
        ${rows.map(row => row.status)}::text[], ${rows.map(row => row.inclusion.blockNumber)}::integer[],
        ${rows.map(row => row.inclusion.timestamp)}::double precision[]
      ) as x (id, user_id, event_type, token, token_address, amount, raw_amount, status, block_number, block_time)
    ) r
    where u.id = r.id and (
      u.user_id, u.chain, u.event_type, u.token, u.token_address, u.amount, u.raw_amount, u.status, u.block_number, u."timestamp"
    ) is distinct from (
      r.user_id, ${chain.label}::text, r.event_type, r.token, r.token_address, r.amount, r.raw_amount, r.status, r.block_number, r.at
    )`
}

async function insertTransitions(
  tx: Tx,
  rows: readonly { transition: Transition; inclusion: Inclusion }[],
): Promise<void> {
  if (rows.length === 0) return
  await tx`
    insert into indexer.transitions (tx_hash, chain_id, from_status, to_status, reason, block_number, block_hash)
    select * from unnest(
      ${rows.map(({ inclusion }) => inclusion.transactionHash)}::text[], ${rows.map(({ inclusion }) => inclusion.chainId)}::integer[],
      ${rows.map(({ transition }) => transition.from)}::text[], ${rows.map(({ transition }) => transition.to)}::text[],
      ${rows.map(({ transition }) => transition.reason)}::text[], ${rows.map(({ inclusion }) => inclusion.blockNumber)}::bigint[],
      ${rows.map(({ inclusion }) => inclusion.blockHash)}::text[]
    )`
}
