/**
 * Everything that is known of one transaction: its rows, where it stands, and each change of its status with the evidence.
 */

import type { Hash } from '../core/types.ts'
import { read, type Sql } from './connection.ts'

export type Story = {
  readonly hash: Hash
  /** Rows of user_transactions: usually one. */
  readonly rows: readonly {
    readonly hashAsWritten: string
    readonly userId: string | null
    readonly chain: string | null
    readonly eventType: string
    readonly status: string
    readonly amount: string | null
    readonly token: string | null
    readonly blockNumber: number | null
    readonly writtenBy: 'application' | 'daemon'
  }[]
  readonly inclusions: readonly {
    readonly chainId: number
    readonly blockNumber: number
    readonly blockHash: Hash
    readonly succeeded: boolean | null
    readonly settled: boolean
    /** Blocks from it to the checkpoint, itself included. */
    readonly depth: number | null
  }[]
  readonly activities: readonly {
    readonly chainId: number
    readonly wallet: string
    readonly type: string
    readonly amount: string | null
    readonly token: string | null
  }[]
  readonly transitions: readonly {
    readonly from: string | null
    readonly to: string
    readonly reason: string
    readonly chainId: number | null
    readonly blockNumber: number | null
    readonly blockHash: Hash | null
    readonly replacingHash: Hash | null
    readonly endpoint: string | null
    /** ISO 8601, UTC. */
    readonly at: string
  }[]
  readonly sought: { readonly sender: string | null; readonly nonce: number | null; readonly malformed: boolean } | null
}

export async function loadStory(sql: Sql, hash: Hash): Promise<Story> {
  const [found] = await read(sql<{ story: Story }[]>`
    select jsonb_build_object(
      'hash', ${hash}::text,
      'rows', (
        select coalesce(jsonb_agg(jsonb_build_object(
          'hashAsWritten', u.tx_hash, 'userId', u.user_id, 'chain', u.chain, 'eventType', u.event_type, 'status', u.status,
          'amount', trim_scale(u.amount)::text, 'token', u.token, 'blockNumber', u.block_number,
          'writtenBy', case when k.application_hash is null and k.row_id = u.id then 'daemon' else 'application' end
        ) order by u.created_at), '[]')
        from user_transactions u left join indexer.transactions k on k.tx_hash = lower(u.tx_hash) where lower(u.tx_hash) = ${hash}
      ),
      'inclusions', (
        select coalesce(jsonb_agg(jsonb_build_object(
          'chainId', i.chain_id, 'blockNumber', i.block_number, 'blockHash', i.block_hash, 'succeeded', i.succeeded,
          'settled', i.settled, 'depth', c.block_number - i.block_number + 1
        ) order by i.chain_id), '[]')
        from indexer.inclusions i left join indexer.checkpoints c using (chain_id) where i.tx_hash = ${hash}
      ),
      'activities', (
        select coalesce(jsonb_agg(jsonb_build_object(
          'chainId', a.chain_id, 'wallet', a.wallet_address, 'type', a.activity_type, 'amount', trim_scale(a.amount)::text, 'token', a.token
        ) order by a.chain_id, coalesce(a.log_index, -1), a.activity_type desc), '[]')
        from wallet_activity a where a.tx_hash = ${hash} and a.block_hash is not null
      ),
      'transitions', (
        select coalesce(jsonb_agg(jsonb_build_object(
          'from', t.from_status, 'to', t.to_status, 'reason', t.reason, 'chainId', t.chain_id, 'blockNumber', t.block_number,
          'blockHash', t.block_hash, 'replacingHash', t.replacing_hash, 'endpoint', t.endpoint,
          'at', to_char(t.at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')
        ) order by t.id), '[]')
        from indexer.transitions t where t.tx_hash = ${hash}
      ),
      'sought', (
        select jsonb_build_object('sender', k.sender, 'nonce', k.nonce, 'malformed', k.malformed)
        from indexer.transactions k where k.tx_hash = ${hash} and k.chain_id is null
      )
    ) as story`)
  if (found === undefined) throw new RangeError('a select without a table has one row')
  return found.story
}
