/**
 * Rows of `user_transactions`, with what the daemon remembers of them and the evidence of each change.
 *
 * Always holds: a row, its entry in `indexer.transactions` and its newest transition agree, because they change in one transaction;
 * a row that already says what it should is not written again.
 */

import type { Chain } from '../core/chain.ts'
import { type OwnerOf, summarizeUsers } from '../core/classify.ts'
import type { Transition } from '../core/lifecycle.ts'
import { decideRow, type ExistingRow, type Ledger, type RowDecision } from '../core/transaction-row.ts'
import type { Address, Hash, Inclusion, TransactionFacts, TransactionStatus } from '../core/types.ts'
import { AppError } from '../errors.ts'
import { loadActivities } from './activities.ts'
import { booleans } from './array-types.ts'
import type { Tx } from './connection.ts'
import { transactionRowId } from './ids.ts'

type InclusionRow = {
  tx_hash: Hash
  chain_id: number
  block_number: string
  block_hash: Hash
  transaction_index: number
  block_timestamp: string
  sender: Address
  nonce: string
  succeeded: boolean | null
  settled: boolean
  needs: string | null
}

type StoredInclusion = Inclusion & { readonly settled: boolean }

/** Writes what is known of transactions in blocks of one chain. @param settledHeight the highest block that is deep enough */
export async function writeTransactions(
  tx: Tx,
  chain: Chain,
  facts: readonly TransactionFacts[],
  settledHeight: number,
): Promise<void> {
  if (facts.length === 0) return
  const sorted = facts.toSorted((a, b) => (a.inclusion.transactionHash < b.inclusion.transactionHash ? -1 : 1))
  const hashes = sorted.map(({ inclusion }) => inclusion.transactionHash)
  // What needs more depth is settled below, with the checkpoint at hand.
  const isDeep = ({ inclusion }: TransactionFacts): boolean =>
    inclusion.succeeded !== null && inclusion.needs === null && inclusion.blockNumber <= settledHeight
  // Inserted before anything is read: who writes the same one at the same moment is waited for, and seen then.
  const fresh = await insertInclusions(
    tx,
    sorted.map(fact => ({ ...fact.inclusion, settled: isDeep(fact) })),
  )
  const known = await loadInclusions(tx, hashes)
  const before = ({ inclusion }: TransactionFacts): StoredInclusion | undefined =>
    fresh.has(inclusion.transactionHash)
      ? undefined
      : known.get(inclusion.transactionHash)?.find(({ chainId }) => chainId === chain.id)
  const settledOf = (fact: TransactionFacts): boolean => {
    const stays = before(fact)?.settled === true && before(fact)?.blockHash === fact.inclusion.blockHash
    return fact.inclusion.succeeded !== null && (stays || isDeep(fact))
  }
  await updateInclusions(
    tx,
    sorted
      .filter(({ inclusion }) => !fresh.has(inclusion.transactionHash))
      .map(fact => ({ ...fact.inclusion, settled: settledOf(fact) })),
  )
  await writeRows(
    tx,
    chain,
    sorted.map(fact => {
      const others = known.get(fact.inclusion.transactionHash) ?? []
      return {
        facts: fact,
        settled: settledOf(fact),
        previousBlockHash: before(fact)?.blockHash ?? null,
        lowestChainId: Math.min(chain.id, ...others.map(({ chainId }) => chainId)),
      }
    }),
  )
}

/**
 * Derives rows again from the activities in the database: after their users changed, or the chain they showed lost them.
 * Transactions that stand on no chain, or on one that is not configured here, are left alone.
 */
export async function rederiveTransactions(
  tx: Tx,
  chains: ReadonlyMap<number, Chain>,
  hashes: readonly Hash[],
  ownerOf: OwnerOf,
): Promise<void> {
  const known = await loadInclusions(tx, hashes.toSorted())
  const lowest = [...known.values()].flatMap(inclusions =>
    inclusions.toSorted((a, b) => a.chainId - b.chainId).slice(0, 1),
  )
  for (const [chainId, inclusions] of Map.groupBy(lowest, inclusion => inclusion.chainId)) {
    const chain = chains.get(chainId)
    if (chain === undefined) continue
    const activities = await loadActivities(
      tx,
      chainId,
      inclusions.map(({ transactionHash }) => transactionHash),
    )
    await writeRows(
      tx,
      chain,
      inclusions.map(({ settled, ...inclusion }) => ({
        facts: {
          inclusion,
          summaries: summarizeUsers(activities.get(inclusion.transactionHash) ?? [], inclusion.sender, chain, ownerOf),
        },
        settled,
        previousBlockHash: inclusion.blockHash,
        lowestChainId: chainId,
      })),
    )
  }
}

/** Decides the transactions of a chain whose block is deep enough by now. @returns how many changed */
export async function settleTransactions(tx: Tx, chainId: number, settledHeight: number): Promise<number> {
  const changed = await tx`
    with settled as (
      update indexer.inclusions set settled = true
      where chain_id = ${chainId} and block_number <= ${settledHeight} and not settled and succeeded is not null
        and (needs is null or block_number <= (
          select case when needs = 'finalized' then least(c.finalized_number, c.block_number) else c.block_number - needs::bigint + 1 end
          from indexer.checkpoints c where c.chain_id = ${chainId}
        ))
      returning tx_hash, succeeded, block_number, block_hash
    ), changed as (
      update indexer.transactions t set status = case when s.succeeded then 'confirmed' else 'failed' end
      from settled s
      where t.tx_hash = s.tx_hash and t.chain_id = ${chainId}
      returning t.tx_hash, t.status, s.succeeded, s.block_number, s.block_hash
    ), rows as (
      update user_transactions u set status = c.status
      from changed c
      where lower(u.tx_hash) = c.tx_hash and u.status is distinct from c.status
    )
    insert into indexer.transitions (tx_hash, chain_id, from_status, to_status, reason, block_number, block_hash)
    select tx_hash, ${chainId}, 'pending', status, case when succeeded then 'confirmed' else 'reverted' end, block_number, block_hash
    from changed order by tx_hash`
  return changed.count
}

/**
 * Takes transactions out of the orphaned blocks above a height: those that another chain has too show that one, the others are
 * pending again, without block and amount; their time, type and user stay.
 *
 * @returns the hashes that now show another chain: their rows must be derived again
 */
export async function orphanTransactions(tx: Tx, chainId: number, above: number): Promise<Hash[]> {
  const orphans = await tx<{ tx_hash: Hash; elsewhere: boolean }[]>`
    with gone as (
      delete from indexer.inclusions where chain_id = ${chainId} and block_number > ${above}
      returning tx_hash, block_number, block_hash, sender, nonce
    ), shown as (
      select t.tx_hash, t.status, g.block_number, g.block_hash, g.sender, g.nonce,
        exists (select 1 from indexer.inclusions i where i.tx_hash = t.tx_hash and i.chain_id <> ${chainId}) as elsewhere
      from gone g join indexer.transactions t on t.tx_hash = g.tx_hash and t.chain_id = ${chainId}
    ), recorded as (
      insert into indexer.transitions (tx_hash, chain_id, from_status, to_status, reason, block_number, block_hash)
      select tx_hash, ${chainId}, status, 'pending', 'reorged', block_number, block_hash from shown order by tx_hash
    ), forgotten as (
      update indexer.transactions t set
        status = 'pending', chain_id = null, sought_at = null,
        sender = s.sender, nonce = s.nonce, nonce_chain_id = ${chainId}
      from shown s where t.tx_hash = s.tx_hash
    ), rows as (
      update user_transactions u set
        status = 'pending', block_number = null, amount = null, raw_amount = null, token = null, token_address = null
      from shown s where lower(u.tx_hash) = s.tx_hash
    )
    select tx_hash, elsewhere from shown`
  return orphans.filter(({ elsewhere }) => elsewhere).map(({ tx_hash }) => tx_hash)
}

// ── Reading ──────────────────────────────────────────────────────────────────────────────────────────────────────────────

async function loadInclusions(tx: Tx, hashes: readonly Hash[]): Promise<Map<Hash, StoredInclusion[]>> {
  // Locked, before the ledger and the rows are, as settling does: whoever decides by what is read here would else overwrite a status
  // that another one settles at the same moment.
  const rows = await tx<InclusionRow[]>`
    select * from indexer.inclusions where tx_hash = any(${hashes}::text[]) order by tx_hash, chain_id for update`
  return Map.groupBy(
    rows.map(row => ({
      transactionHash: row.tx_hash,
      chainId: row.chain_id,
      blockNumber: Number(row.block_number),
      blockHash: row.block_hash,
      transactionIndex: row.transaction_index,
      timestamp: Number(row.block_timestamp),
      sender: row.sender,
      nonce: Number(row.nonce),
      succeeded: row.succeeded,
      settled: row.settled,
      needs: row.needs === null ? null : row.needs === 'finalized' ? row.needs : Number(row.needs),
    })),
    ({ transactionHash }) => transactionHash,
  )
}

async function loadExisting(tx: Tx, hashes: readonly Hash[]): Promise<Map<string, ExistingRow[]>> {
  const rows = await tx<
    {
      hash: string
      id: string
      tx_hash: string
      user_id: string | null
      event_type: string
      status: TransactionStatus
    }[]
  >`
    select lower(tx_hash) as hash, id, tx_hash, user_id, event_type, status from user_transactions
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

// ── Writing ──────────────────────────────────────────────────────────────────────────────────────────────────────────────

type Pending = {
  readonly facts: TransactionFacts
  readonly settled: boolean
  readonly previousBlockHash: Hash | null
  readonly lowestChainId: number
}

type Decided = RowDecision & { readonly inclusion: Inclusion }

async function writeRows(tx: Tx, chain: Chain, pending: readonly Pending[]): Promise<void> {
  const hashes = pending.map(({ facts }) => facts.inclusion.transactionHash)
  const ledger = await loadLedger(tx, hashes)
  const existing = await loadExisting(tx, hashes)
  const decided: Decided[] = pending.flatMap(item => {
    const hash = item.facts.inclusion.transactionHash
    const decision = decideRow({
      ...item,
      existing: existing.get(hash) ?? [],
      ledger: ledger.get(hash) ?? null,
      ownRowId: transactionRowId(hash),
    })
    return decision === null ? [] : [{ ...decision, inclusion: item.facts.inclusion }]
  })
  if (decided.length === 0) return
  await upsertLedger(tx, decided)
  await insertRows(tx, chain, decided)
  await updateRows(tx, chain, decided)
  await insertTransitions(
    tx,
    decided.flatMap(({ transitions, inclusion }) => transitions.map(transition => ({ transition, inclusion }))),
  )
}

/** @returns the hashes that were not there on this chain */
async function insertInclusions(tx: Tx, inclusions: readonly StoredInclusion[]): Promise<Set<Hash>> {
  const inserted = await tx<{ tx_hash: Hash }[]>`
    insert into indexer.inclusions
      (tx_hash, chain_id, block_number, block_hash, transaction_index, block_timestamp, sender, nonce, succeeded, settled, needs)
    select * from ${unnestInclusions(tx, inclusions)}
    on conflict (tx_hash, chain_id) do nothing
    returning tx_hash`
  return new Set(inserted.map(row => row.tx_hash))
}

async function updateInclusions(tx: Tx, inclusions: readonly StoredInclusion[]): Promise<void> {
  if (inclusions.length === 0) return
  await tx`
    update indexer.inclusions known set
      block_number = r.block_number, block_hash = r.block_hash, transaction_index = r.transaction_index,
      block_timestamp = r.block_timestamp, succeeded = r.succeeded, settled = r.settled, needs = r.needs
    from ${unnestInclusions(tx, inclusions)} as r
      (tx_hash, chain_id, block_number, block_hash, transaction_index, block_timestamp, sender, nonce, succeeded, settled, needs)
    where known.tx_hash = r.tx_hash and known.chain_id = r.chain_id
      and (known.block_hash, known.settled, known.succeeded, known.needs)
        is distinct from (r.block_hash, r.settled, r.succeeded, r.needs)`
}

const unnestInclusions = (tx: Tx, inclusions: readonly StoredInclusion[]) => tx`
  unnest(
    ${inclusions.map(row => row.transactionHash)}::text[], ${inclusions.map(row => row.chainId)}::integer[],
    ${inclusions.map(row => row.blockNumber)}::bigint[], ${inclusions.map(row => row.blockHash)}::text[],
    ${inclusions.map(row => row.transactionIndex)}::integer[], ${inclusions.map(row => row.timestamp)}::bigint[],
    ${inclusions.map(row => row.sender)}::text[], ${inclusions.map(row => row.nonce)}::bigint[],
    ${booleans(inclusions.map(row => row.succeeded))}::text[]::boolean[], ${booleans(inclusions.map(row => row.settled))}::text[]::boolean[],
    ${inclusions.map(row => row.needs?.toString() ?? null)}::text[]
  )`

async function upsertLedger(tx: Tx, decided: readonly Decided[]): Promise<void> {
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

async function updateRows(tx: Tx, chain: Chain, decided: readonly Decided[]): Promise<void> {
  const rows = decided.flatMap(({ rows: own, inclusion, status }) =>
    own.filter(({ isNew }) => !isNew).map(row => ({ ...row, inclusion, status })),
  )
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
