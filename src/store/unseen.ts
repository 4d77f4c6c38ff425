/**
 * Transactions that no chain has: what is known of them, and the two verdicts that make them failed.
 *
 * Always holds: a verdict, the status of the row and its transition are written together; a verdict rests on a block that is ours
 * (`replaced`) or on every endpoint's word (`dropped`); a rewind below the replacing block takes the verdict back; a block that
 * holds the transaction after all overrules it.
 */

import type { Chain } from '../core/chain.ts'
import type { PendingRow } from '../core/pending.ts'
import type { Address, Hash, TransactionStatus } from '../core/types.ts'
import type { SurveyResult } from '../core/unseen.ts'
import { inTransaction, read, type Sql, type Tx } from './connection.ts'
import { transactionRowId } from './ids.ts'

export type Unseen = {
  readonly hash: Hash
  /** What the application calls it, or we did. */
  readonly status: TransactionStatus
  /** Since the row was first noticed, by the database's clock and by the newest block: a clock that was set forward proves nothing. */
  readonly waitedSeconds: number
  /** Since all endpoints were last asked for it, or since it was noticed. */
  readonly sinceSurveySeconds: number
  readonly wasSurveyed: boolean
  /** Unix seconds: when that was. */
  readonly noticedAt: number
  /** Who sent it with which nonce on which chain, once something has shown it. */
  readonly sent: { readonly sender: Address; readonly nonce: number; readonly chainId: number } | null
}

/** What is known of some sought transactions. */
export async function loadUnseen(sql: Sql, hashes: readonly Hash[]): Promise<Unseen[]> {
  const rows = await read(sql<
    {
      tx_hash: Hash
      status: TransactionStatus
      waited: number
      since_survey: number
      was_surveyed: boolean
      noticed: number
      sender: Address | null
      nonce: string | null
      nonce_chain_id: number | null
    }[]
  >`
    select tx_hash, status, least(extract(epoch from now()), (select max(block_timestamp) from indexer.checkpoints))::float8
        - extract(epoch from created_at)::float8 as waited, extract(epoch from created_at)::float8 as noticed,
      extract(epoch from now() - coalesce(surveyed_at, created_at))::float8 as since_survey,
      surveyed_at is not null as was_surveyed, sender, nonce, nonce_chain_id
    from indexer.transactions where tx_hash = any(${hashes}::text[]) and chain_id is null and verdict is null and not malformed`)
  return rows.map(row => ({
    hash: row.tx_hash,
    status: row.status,
    waitedSeconds: row.waited,
    sinceSurveySeconds: row.since_survey,
    wasSurveyed: row.was_surveyed,
    noticedAt: row.noticed,
    sent:
      row.sender === null || row.nonce === null || row.nonce_chain_id === null
        ? null
        : { sender: row.sender, nonce: Number(row.nonce), chainId: row.nonce_chain_id },
  }))
}

/** Notes what a mempool showed of a transaction; one that counted as dropped is found. */
export async function noteSender(sql: Sql, hash: Hash, chainId: number, sender: Address, nonce: number): Promise<void> {
  await read(sql`
    with noted as (
      update indexer.transactions t set
        sender = ${sender}, nonce = ${nonce}, nonce_chain_id = ${chainId}, surveys = 0,
        status = case when t.verdict = 'dropped' then 'pending' else t.status end, verdict = nullif(t.verdict, 'dropped')
      from indexer.transactions before
      where t.tx_hash = ${hash} and before.tx_hash = t.tx_hash and t.chain_id is null and (
        t.verdict = 'dropped' or t.surveys > 0
        or (t.sender, t.nonce, t.nonce_chain_id) is distinct from (${sender}, ${nonce}, ${chainId})
      )
      returning t.tx_hash, before.status as before, before.verdict
    ), found as (
      select tx_hash, before from noted where verdict = 'dropped'
    ), rows as (
      update user_transactions u set status = 'pending' from found f where lower(u.tx_hash) = f.tx_hash
    )
    insert into indexer.transitions (tx_hash, chain_id, from_status, to_status, reason)
    select tx_hash, ${chainId}, before, 'pending', 'found' from found`)
}

/**
 * A row for a transaction that a mempool shows, unless there is one; of what the application noted already, sender and nonce are
 * noted.
 */
export async function notePending(sql: Sql, chain: Chain, row: PendingRow): Promise<void> {
  await noteSender(sql, row.hash, chain.id, row.sender, row.nonce)
  const id = transactionRowId(row.hash)
  await read(sql`
    with noted as (
      insert into indexer.transactions (tx_hash, row_id, status, sender, nonce, nonce_chain_id)
      select ${row.hash}, ${id}, 'pending', ${row.sender}, ${row.nonce}, ${chain.id}
      where not exists (select 1 from user_transactions u where lower(u.tx_hash) = ${row.hash})
      on conflict (tx_hash) do nothing
      returning tx_hash
    )
    insert into user_transactions (id, user_id, tx_hash, chain, event_type, status, "timestamp")
    select ${id}, ${row.userId}, tx_hash, ${chain.label}, ${row.eventType}, 'pending', now() at time zone 'UTC' from noted
    on conflict (tx_hash) do nothing`)
}

/** A transaction that the chain surely has and that is at least as old as a moment: an endpoint that forgot it proves nothing. */
export async function controlTransaction(sql: Sql, chainId: number, notAfter: number): Promise<Hash | null> {
  const rows = await read(sql<{ tx_hash: Hash }[]>`
    select tx_hash from indexer.inclusions where chain_id = ${chainId} and settled and block_timestamp <= ${Math.floor(notAfter)}
    order by block_number desc limit 1`)
  return rows[0]?.tx_hash ?? null
}

export type Replacement = {
  readonly chainId: number
  /** The block that used the nonce: it is deep enough. */
  readonly block: { readonly number: number; readonly hash: Hash }
  /** What used it; null where that could not be found out. */
  readonly hash: Hash | null
}

/** Marks a transaction as replaced, if the block is still ours. @returns false if it is not, or the transaction was found meanwhile */
export function commitReplaced(
  sql: Sql,
  hash: Hash,
  { chainId, block, hash: replacing }: Replacement,
): Promise<boolean> {
  return inTransaction(sql, async tx => {
    const [own] = await tx`
      select 1 from indexer.checkpoints c
      left join indexer.headers h on h.chain_id = c.chain_id and h.number = ${block.number}
      where c.chain_id = ${chainId} and ${block.number} <= c.block_number
        and (h.hash = ${block.hash} or (h.hash is null and ${block.number} <= c.finalized_number))
      for share of c`
    if (own === undefined) return false
    const decided = await tx`
      with decided as (
        update indexer.transactions t set
          status = 'failed', verdict = 'replaced', replaced_by = ${replacing}, replaced_chain_id = ${chainId},
          replaced_block = ${block.number}
        from indexer.transactions before
        where t.tx_hash = ${hash} and before.tx_hash = t.tx_hash and t.chain_id is null and t.verdict is null
        returning t.tx_hash, before.status as before
      ), rows as (
        update user_transactions u set status = 'failed' from decided d where lower(u.tx_hash) = d.tx_hash
      )
      insert into indexer.transitions (tx_hash, chain_id, from_status, to_status, reason, block_number, block_hash, replacing_hash)
      select tx_hash, ${chainId}, before, 'failed', 'replaced', ${block.number}, ${block.hash}, ${replacing} from decided`
    return decided.count > 0
  })
}

/** Notes what all endpoints said of a transaction. @returns how often in a row nobody had it */
export async function noteSurvey(sql: Sql, hash: Hash, result: SurveyResult): Promise<number> {
  const rows = await read(sql<{ surveys: number }[]>`
    update indexer.transactions set
      surveyed_at = now(),
      surveys = case ${result} when 'none' then surveys + 1 when 'found' then 0 else surveys end
    where tx_hash = ${hash} and chain_id is null
    returning surveys`)
  return rows[0]?.surveys ?? 0
}

/** Marks a transaction as dropped. @param witnesses the endpoints that said so, for the evidence */
export function commitDropped(sql: Sql, hash: Hash, witnesses: readonly string[]): Promise<boolean> {
  return inTransaction(sql, async tx => {
    const decided = await tx`
      with decided as (
        update indexer.transactions t set status = 'failed', verdict = 'dropped'
        from indexer.transactions before
        where t.tx_hash = ${hash} and before.tx_hash = t.tx_hash and t.chain_id is null and t.verdict is null
        returning t.tx_hash, before.status as before
      ), rows as (
        update user_transactions u set status = 'failed' from decided d where lower(u.tx_hash) = d.tx_hash
      )
      insert into indexer.transitions (tx_hash, from_status, to_status, reason, endpoint)
      select tx_hash, before, 'failed', 'dropped', ${witnesses.join(', ')} from decided`
    return decided.count > 0
  })
}

/**
 * What the application called decided is pending: no chain has it. Such a row shows no block; one of ours, which nothing was
 * remembered of, no amount either.
 *
 * @returns false if it was found meanwhile
 */
export async function commitUnseen(sql: Sql, hash: Hash): Promise<boolean> {
  const decided = await read(sql`
    with decided as (
      update indexer.transactions t set status = 'pending'
      from indexer.transactions before
      where t.tx_hash = ${hash} and before.tx_hash = t.tx_hash and t.chain_id is null and t.verdict is null
        and t.status <> 'pending'
      returning t.tx_hash, before.status as before, t.application_hash is null as ours
    ), rows as (
      update user_transactions u set
        status = 'pending', block_number = null, amount = case when not ours then u.amount end,
        raw_amount = case when not ours then u.raw_amount end, token = case when not ours then u.token end,
        token_address = case when not ours then u.token_address end
      from decided d where lower(u.tx_hash) = d.tx_hash
    )
    insert into indexer.transitions (tx_hash, from_status, to_status, reason)
    select tx_hash, before, 'pending', 'unseen' from decided returning 1`)
  return decided.length > 0
}

/** After a rewind: what was replaced by a block above it is open again. */
export async function reopenReplaced(tx: Tx, chainId: number, above: number): Promise<void> {
  await tx`
    with reopened as (
      update indexer.transactions set
        status = 'pending', verdict = null, replaced_by = null, replaced_chain_id = null, replaced_block = null, sought_at = null
      where verdict = 'replaced' and replaced_chain_id = ${chainId} and replaced_block > ${above}
      returning tx_hash
    ), rows as (
      update user_transactions u set status = 'pending' from reopened r where lower(u.tx_hash) = r.tx_hash
    )
    insert into indexer.transitions (tx_hash, chain_id, from_status, to_status, reason)
    select tx_hash, ${chainId}, 'failed', 'pending', 'reorged' from reopened`
}
