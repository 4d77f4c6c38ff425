/**
 * Statuses that are decided by depth, and taken back by a reorg.
 *
 * Always holds: an inclusion, its entry in the ledger, its row and its newest transition change in one statement.
 */

import type { Hash } from '../core/types.ts'
import type { Tx } from './connection.ts'

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
