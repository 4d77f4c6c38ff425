/**
 * What must have become of the rows that the application inserted, and of those that only a mempool told of.
 *
 * Where a chain has the transaction, its receipt decides. Where none has it, the chain still tells whether something else used its
 * nonce, and the run's settings whether enough time has passed for it to count as dropped.
 */
import { parseTransaction, recoverTransactionAddress, type TransactionSerialized } from 'viem'
import type { Hash } from '../../src/core/types.ts'
import { differing } from './oracle.ts'
import type { SimChain, Stage } from './stage.ts'

/** Timestamps of blocks are whole seconds. */
const LONG_SECONDS = 2

type Row = {
  readonly id: string
  readonly tx_hash: string
  readonly user_id: string | null
  readonly chain: string
  readonly event_type: string
  readonly status: string
  readonly block_number: number | null
}

/** Every row that the application inserted, against the chains. */
export async function compareApplication(stage: Stage): Promise<string[]> {
  const { application, query, chains } = stage
  const differences: string[] = []
  const rows = await query(
    sql => sql<Row[]>`
      select id, tx_hash, user_id, chain, event_type, status, block_number from user_transactions
      where id = any(${application.rows.map(row => row.id)}::uuid[])`,
  )
  const users = await query(sql => sql<{ id: string }[]>`select id from users`)
  const present = new Set(users.map(user => user.id))
  const byId = new Map(rows.map(row => [row.id, row]))
  for (const { id, hash, spelling, userId, eventType } of application.rows) {
    const found = byId.get(id)
    if (found === undefined) {
      // It goes with its user: the one it named, or the one it was given to.
      if (userId !== null && present.has(userId)) differences.push(`the application's row ${spelling} is gone`)
      continue
    }
    const wanted = (await statusOnChain(chains, hash)) ?? {
      ...(await statusUnseen(stage, hash)),
      block_number: null,
      chain: found.chain,
    }
    const expected = { ...wanted, event_type: eventType, tx_hash: spelling, user_id: userId ?? found.user_id }
    const text = differing(expected, { ...found, reason: await newestReason(stage, hash) })
    if (text !== '') differences.push(`the application's row ${spelling}: ${text}`)
  }
  return [...differences, ...(await compareUnseen(stage))]
}

/** Rows of the daemon's own that no chain has: a mempool told of them. */
async function compareUnseen(stage: Stage): Promise<string[]> {
  const { application, chains, query } = stage
  const differences: string[] = []
  const rows = await query(
    sql => sql<Row[]>`
      select id, tx_hash, user_id, chain, event_type, status, block_number from user_transactions
      where block_number is null and tx_hash ~ '^0x[0-9a-f]{64}$'
        and not id = any(${application.rows.map(row => row.id)}::uuid[])`,
  )
  for (const row of rows) {
    const hash = row.tx_hash as Hash
    if ((await statusOnChain(chains, hash)) !== null) {
      differences.push(`a chain has ${hash}, the row shows no block`)
      continue
    }
    const text = differing(await statusUnseen(stage, hash), { ...row, reason: await newestReason(stage, hash) })
    if (text !== '') differences.push(`the pending row ${hash}: ${text}`)
  }
  return differences
}

type Receipt = { readonly blockNumber: string; readonly status: string }

async function statusOnChain(chains: readonly SimChain[], hash: Hash) {
  for (const { chain, anvil } of chains) {
    const receipt = (await anvil.rpc('eth_getTransactionReceipt', [hash])) as Receipt | null
    // At the end everything is deep enough.
    if (receipt !== null)
      return {
        status: receipt.status === '0x1' ? 'confirmed' : 'failed',
        block_number: Number(receipt.blockNumber),
        chain: chain.label,
      }
  }
  return null
}

type Memory = {
  readonly sender: string | null
  readonly nonce: string | null
  readonly replaced_by: string | null
  readonly was_dropped: boolean
  /** Each chain has shown something at least as old as the row: so its nodes can be believed. */
  readonly controlled: boolean
}

/** Status and reason of a transaction that no chain has. */
async function statusUnseen(stage: Stage, hash: Hash): Promise<{ status: string; reason: string | null }> {
  const sent = await signedBy(stage, hash)
  const [memory] = await stage.query(
    sql => sql<Memory[]>`
      select sender, nonce, replaced_by,
        exists (select 1 from indexer.transitions t where t.tx_hash = k.tx_hash and reason = 'dropped') as was_dropped,
        (select count(distinct i.chain_id) from indexer.inclusions i where i.settled and i.block_timestamp <= floor(extract(epoch from k.created_at)))
          = ${stage.chains.length} as controlled
      from indexer.transactions k where tx_hash = ${hash}`,
  )
  if (memory === undefined) return { status: 'noted in indexer.transactions', reason: null }
  const isKnown = memory.sender !== null
  if (isKnown && (memory.sender !== sent.sender || Number(memory.nonce) !== sent.nonce))
    return { status: `noted with sender ${sent.sender} and nonce ${sent.nonce}`, reason: null }
  // Only what a node showed has a sender; what was never shown has no nonce that could have passed.
  if (isKnown && sent.usedBy !== null && !memory.was_dropped) {
    const isRight = memory.replaced_by === sent.usedBy
    return { status: 'failed', reason: isRight ? 'replaced' : `replaced by ${sent.usedBy}` }
  }
  if (memory.was_dropped || (stage.dropsSoon && memory.controlled)) return { status: 'failed', reason: 'dropped' }
  return { status: 'pending', reason: await newestReason(stage, hash) }
}

/** Who signed a transaction, and what used its nonce. */
async function signedBy({ chains }: Stage, hash: Hash) {
  for (const { anvil, traffic } of chains) {
    const raw = traffic.rawOf(hash)
    if (raw === undefined) continue
    const serialized = raw as TransactionSerialized
    const sender = (await recoverTransactionAddress({ serializedTransaction: serialized })).toLowerCase()
    const nonce = parseTransaction(serialized).nonce ?? 0
    const used = (await anvil.rpc('eth_getTransactionBySenderAndNonce', [sender, `0x${nonce.toString(16)}`])) as {
      hash: string
      blockNumber: string | null
    } | null
    return { sender, nonce, usedBy: used === null || used.blockNumber === null ? null : used.hash }
  }
  throw new Error(`Nobody signed ${hash}`)
}

async function newestReason({ query }: Stage, hash: Hash): Promise<string | null> {
  const [row] = await query(
    sql => sql<{ reason: string }[]>`
      select reason from indexer.transitions where tx_hash = ${hash} order by id desc limit 1`,
  )
  return row?.reason ?? null
}

/** Transitions that called a transaction dropped while a block had held it for long. */
export async function findWronglyDropped(stage: Stage): Promise<string[]> {
  const rows = await stage.query(
    sql => sql<{ tx_hash: Hash; at: number }[]>`
      select tx_hash, extract(epoch from at)::float8 as at from indexer.transitions where reason = 'dropped'`,
  )
  const wrong: string[] = []
  for (const { tx_hash, at } of rows) {
    for (const { chain, anvil } of stage.chains) {
      const receipt = (await anvil.rpc('eth_getTransactionReceipt', [tx_hash])) as Receipt | null
      if (receipt === null) continue
      const block = (await anvil.rpc('eth_getBlockByNumber', [receipt.blockNumber, false])) as { timestamp: string }
      // A reorg gives a block an earlier time than it was mined at.
      const age = at - (stage.sentAgain.get(tx_hash) ?? Number(block.timestamp))
      if (age > LONG_SECONDS)
        wrong.push(`${tx_hash} was called dropped when it had been on ${chain.name} for ${age.toFixed(1)} s`)
    }
  }
  return wrong
}
