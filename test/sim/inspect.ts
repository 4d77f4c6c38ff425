/**
 * What must hold in the database at any moment, whatever has just been killed: looked at in one snapshot.
 */
import type postgres from 'postgres'
import { findWronglyDropped } from './application-oracle.ts'
import type { Stage } from './stage.ts'

/** Each query tells of rows that must not be. */
const RULES: readonly {
  readonly rule: string
  readonly find: (sql: postgres.TransactionSql) => PromiseLike<object[]>
}[] = [
  {
    rule: 'every activity of ours is in a block that is covered',
    find: sql => sql`
      select a.chain_id, a.block_number, a.tx_hash, a.wallet_address from wallet_activity a
      where a.block_hash is not null
        and not exists (
          select 1 from indexer.coverage c
          where c.chain_id = a.chain_id and a.block_number between c.from_block and c.to_block)
        and not exists (
          select 1 from indexer.wallet_coverage w
          where w.covered and w.chain_id = a.chain_id and w.address = a.wallet_address
            and a.block_number between w.from_block and w.to_block)
      limit 3`,
  },
  {
    rule: 'an activity stands in the block that the header window has at its height',
    find: sql => sql`
      select a.chain_id, a.block_number, a.block_hash, h.hash from wallet_activity a
      join indexer.headers h on h.chain_id = a.chain_id and h.number = a.block_number
      where a.block_hash is not null and a.block_hash <> h.hash limit 3`,
  },
  {
    rule: 'an inclusion stands in the block that the header window has at its height',
    find: sql => sql`
      select i.tx_hash, i.chain_id, i.block_number, i.block_hash, h.hash from indexer.inclusions i
      join indexer.headers h on h.chain_id = i.chain_id and h.number = i.block_number
      where i.block_hash <> h.hash limit 3`,
  },
  {
    rule: 'the window has no gap and ends at the checkpoint',
    find: sql => sql`
      select c.chain_id, c.block_number, count(h.number)::int as headers, min(h.number)::int as lowest, max(h.number)::int as highest
      from indexer.checkpoints c left join indexer.headers h using (chain_id)
      group by c.chain_id, c.block_number
      having count(h.number) > 0
        and (max(h.number) <> c.block_number or count(*) <> max(h.number) - min(h.number) + 1)`,
  },
  {
    rule: 'what is covered from the start reaches the checkpoint',
    find: sql => sql`
      select c.chain_id, c.block_number from indexer.checkpoints c
      where c.block_number >= c.start_block and not exists (
        select 1 from indexer.coverage v
        where v.chain_id = c.chain_id and v.from_block <= c.start_block and v.to_block >= c.block_number)`,
  },
  {
    rule: 'a transition begins where the one before it ended',
    find: sql => sql`
      select * from (
        select id, tx_hash, from_status, to_status, reason, lag(to_status) over (partition by tx_hash order by id) as before
        from indexer.transitions
      ) t where before is not null and from_status is distinct from before limit 3`,
  },
  {
    rule: 'a decided status changes by a reorg only',
    find: sql => sql`
      select id, tx_hash, from_status, to_status, reason from indexer.transitions
      where from_status in ('confirmed', 'failed') and reason not in ('reorged', 'found')
        and exists (select 1 from indexer.transitions o where o.tx_hash = transitions.tx_hash and o.id < transitions.id)
      limit 3`,
  },
  {
    rule: 'what was given up comes back by being found, or by a reorg',
    find: sql => sql`
      select * from (
        select id, tx_hash, reason, lag(reason) over (partition by tx_hash order by id) as before from indexer.transitions
      ) t where before in ('dropped', 'replaced') and reason not in ('found', 'reorged') limit 3`,
  },
  {
    rule: 'what counts as dropped is in no block that we have',
    find: sql => sql`
      select k.tx_hash, i.chain_id, i.block_number from indexer.transactions k join indexer.inclusions i using (tx_hash)
      where k.verdict = 'dropped' limit 3`,
  },
  {
    rule: 'the ledger agrees with the newest transition',
    find: sql => sql`
      select k.tx_hash, k.status, k.chain_id, t.to_status, t.reason from indexer.transactions k
      join lateral (
        select to_status, reason from indexer.transitions where tx_hash = k.tx_hash order by id desc limit 1) t on true
      where k.status <> t.to_status limit 3`,
  },
]

/** The rules that are broken, with what breaks them. */
export async function findBroken({ query }: Stage): Promise<string[]> {
  return query(sql =>
    sql.begin('isolation level repeatable read read only', async tx => {
      const broken: string[] = []
      for (const { rule, find } of RULES) {
        const rows = await find(tx)
        if (rows.length > 0) broken.push(`${rule}: ${JSON.stringify(rows)}`)
      }
      return broken
    }),
  )
}

/** The deed: looks, and fails the run at once where a rule is broken. */
export async function inspect(stage: Stage): Promise<string> {
  const broken = [...(await findBroken(stage)), ...(await findWronglyDropped(stage))]
  if (broken.length > 0) throw new Error(`In the middle of the run: ${broken.join('; ')}`)
  stage.tally.add('inspections')
  return 'the database is looked at: every rule holds'
}
