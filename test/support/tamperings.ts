/**
 * What somebody could do to the rows of the daemon, and the words by which `verify` has to name it.
 */

import type postgres from 'postgres'

/** Of nobody who is tracked. */
export const STRANGER = '0x5700000000000000000000000000000000000009'

export type Target = {
  readonly id: string
  readonly tx_hash: string
  readonly wallet_address: string
  readonly activity_type: string
  readonly block_number: number
}

/** An activity with an amount, of a user, in the middle of the chain. */
export async function pickActivity(sql: postgres.Sql): Promise<Target> {
  const [row] = await sql<Target[]>`
    select id, tx_hash, wallet_address, activity_type, block_number::int from wallet_activity
    where user_id is not null and amount > 0 order by abs(block_number - (select avg(block_number) from wallet_activity)), id limit 1`
  if (row === undefined) throw new Error('the traffic moved no money')
  return row
}

/** A transaction that was decided. */
export async function pickTransaction(sql: postgres.Sql): Promise<string> {
  const [row] = await sql<{ tx_hash: string }[]>`
    select tx_hash from user_transactions where status = 'confirmed' and amount > 0 order by block_number, tx_hash limit 1`
  if (row === undefined) throw new Error('the traffic confirmed nothing')
  return row.tx_hash
}

/** What is done to the rows, and the words that must name it. */
export const TAMPERINGS: readonly [string, (sql: postgres.Sql) => Promise<readonly string[]>][] = [
  [
    'a row is gone',
    async sql => {
      const row = await pickActivity(sql)
      await sql`delete from wallet_activity where id = ${row.id}`
      return ['missing', row.activity_type, row.wallet_address, row.tx_hash]
    },
  ],
  [
    'an amount is another',
    async sql => {
      const row = await pickActivity(sql)
      await sql`update wallet_activity set amount = 123.456 where id = ${row.id}`
      return [row.tx_hash, 'amount is "123.456"']
    },
  ],
  [
    'a raw amount is another, by a single unit',
    async sql => {
      const row = await pickActivity(sql)
      await sql`update wallet_activity set raw_amount = raw_amount + 1 where id = ${row.id}`
      return [row.tx_hash, 'raw_amount is']
    },
  ],
  [
    'a row is given to another wallet that is tracked',
    async sql => {
      const row = await pickActivity(sql)
      const [user] = await sql<{ address: string }[]>`
        select lower(wallet_address) as address from users where lower(wallet_address) <> ${row.wallet_address} limit 1`
      const other = user?.address ?? ''
      await sql`update wallet_activity set wallet_address = ${other} where id = ${row.id}`
      return [row.tx_hash, `wallet_address is "${other}", should be "${row.wallet_address}"`]
    },
  ],
  [
    'a row is given to a wallet that nobody tracks',
    async sql => {
      const row = await pickActivity(sql)
      await sql`update wallet_activity set wallet_address = ${STRANGER} where id = ${row.id}`
      return ['missing', row.tx_hash, row.wallet_address]
    },
  ],
  [
    'a row has lost its user',
    async sql => {
      const row = await pickActivity(sql)
      await sql`update wallet_activity set user_id = null where id = ${row.id}`
      return [row.tx_hash, 'user_id is null']
    },
  ],
  [
    'a row is invented',
    async sql => {
      const row = await pickActivity(sql)
      await sql`
        insert into wallet_activity (wallet_address, activity_type, tx_hash, amount, chain_id, block_number, block_hash)
        select wallet_address, 'TRANSFER_IN', ${`0x${'7'.repeat(64)}`}, 1000000, chain_id, block_number, block_hash
        from wallet_activity where id = ${row.id}`
      return ['not on the chain', `0x${'7'.repeat(64)}`]
    },
  ],
  [
    'an id is another',
    async sql => {
      const row = await pickActivity(sql)
      await sql`update wallet_activity set id = gen_random_uuid() where id = ${row.id}`
      return ['missing', 'not on the chain', row.tx_hash]
    },
  ],
  [
    'a block hash is another',
    async sql => {
      const row = await pickActivity(sql)
      await sql`update wallet_activity set block_hash = ${`0x${'b'.repeat(64)}`} where id = ${row.id}`
      return [row.tx_hash, `block_hash is "0x${'b'.repeat(64)}"`]
    },
  ],
  [
    'metadata are others',
    async sql => {
      const row = await pickActivity(sql)
      await sql`update wallet_activity set metadata = metadata || '{"counterparty": "nobody"}' where id = ${row.id}`
      return [row.tx_hash, 'metadata is']
    },
  ],
  [
    'a time is another',
    async sql => {
      const row = await pickActivity(sql)
      await sql`update wallet_activity set timestamp = timestamp + interval '1 hour' where id = ${row.id}`
      return [row.tx_hash, 'timestamp is']
    },
  ],
  [
    'a status is another',
    async sql => {
      const hash = await pickTransaction(sql)
      await sql`update user_transactions set status = 'failed' where tx_hash = ${hash}`
      return [hash, 'status is "failed", should be "confirmed"', 'its newest transition says confirmed']
    },
  ],
  [
    'a transaction is gone',
    async sql => {
      const hash = await pickTransaction(sql)
      await sql`delete from user_transactions where tx_hash = ${hash}`
      return ['missing', hash]
    },
  ],
  [
    'the type of a transaction of our own is another',
    async sql => {
      const hash = await pickTransaction(sql)
      await sql`update user_transactions set event_type = 'GIFT' where tx_hash = ${hash}`
      return [hash, 'event_type is "GIFT"']
    },
  ],
  [
    'the amount, the chain and the block of a transaction are others',
    async sql => {
      const hash = await pickTransaction(sql)
      await sql`
        update user_transactions set amount = 1e11, chain = 'ethereum', block_number = block_number + 1 where tx_hash = ${hash}`
      return [hash, 'amount is "100000000000"', 'chain is "ethereum"', 'block_number is']
    },
  ],
  [
    'a transaction is given to another user',
    async sql => {
      const hash = await pickTransaction(sql)
      await sql`
        update user_transactions u set user_id = (select id from users where id <> u.user_id limit 1) where tx_hash = ${hash}`
      return [hash, 'user_id is']
    },
  ],
]
