/**
 * A row that the application inserts by plain SQL, block by block: pending until its block is deep enough, confirmed within one block
 * of that, on whatever chain it is, with and without a pooler.
 */

import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type Anvil, startAnvil } from '../../src/demo/anvil.ts'
import { createDatabase, type TestDatabase } from '../support/database.ts'
import { createIndexer, testChain } from '../support/indexer.ts'
import { findPgBouncer, HOW_TO_INSTALL, type PgBouncer, startPgBouncer } from '../support/pgbouncer.ts'

const ALICE = '0xa11ce00000000000000000000000000000000001'
const STRANGER = '0x57a0000000000000000000000000000000000005'
const CONFIRMATIONS = 4

const program = await findPgBouncer()
if (program === null) process.stderr.write(`Half of test/chain/depth.test.ts is skipped: ${HOW_TO_INSTALL}\n`)

let database: TestDatabase
let mainnet: Anvil
let sepolia: Anvil
let pooler: PgBouncer | null

beforeEach(async () => {
  database = await createDatabase()
  mainnet = await startAnvil({ chainId: 1 })
  sepolia = await startAnvil({ chainId: 11_155_111, args: ['--auto-impersonate'] })
  for (const address of [ALICE, STRANGER]) await sepolia.rpc('anvil_setBalance', [address, '0x56bc75e2d63100000'])
  pooler = null
})

afterEach(async () => {
  await pooler?.stop()
  await Promise.all([mainnet.stop(), sepolia.stop()])
  await database.drop()
})

type Row = { readonly status: string; readonly chain: string; readonly block: number | null }

const rowOf = async (hash: string): Promise<Row | undefined> =>
  (
    await database.sql<Row[]>`
      select status, chain, block_number as block from user_transactions where tx_hash = ${hash}`
  )[0]

/** Of a user who takes part, and of one whom only the application knows to be concerned. */
describe.each([
  ['of its sender', ALICE],
  ['of somebody who takes no part', STRANGER],
])('a row that says ethereum, and Sepolia has it, %s', (_whose, sender) => {
  test.for([
    ['directly', false],
    ['behind PgBouncer in transaction mode', true],
  ] as const)('is confirmed within one block of its depth, %s', async ([_how, isPooled], { skip }) => {
    if (isPooled && program === null) skip(HOW_TO_INSTALL)
    if (isPooled) pooler = await startPgBouncer(program ?? '', database.url)
    const indexer = createIndexer(pooler?.urlOf(database.url) ?? database.url, [
      { chain: testChain({ id: 1, name: 'ethereum', confirmations: CONFIRMATIONS }), url: mainnet.url },
      { chain: testChain({ id: 11_155_111, name: 'sepolia', confirmations: CONFIRMATIONS }), url: sepolia.url },
    ])
    try {
      const [user] = await database.sql<
        { id: string }[]
      >`insert into users (wallet_address) values (${ALICE}) returning id`
      indexer.start({ jobs: true })
      await indexer.untilHead(11_155_111)
      const fields = { from: sender, to: STRANGER, value: '0x1', gas: '0x186a0' }
      const hash = String(await sepolia.rpc('eth_sendTransaction', [fields]))
      await database.sql`
        insert into user_transactions (user_id, tx_hash, chain, event_type, status)
        values (${user?.id ?? ''}, ${hash}, 'ethereum', 'NFT_PURCHASE', 'pending')`
      await sepolia.mine()
      await indexer.until('its block is seen', async () => (await rowOf(hash))?.block === 1)
      expect(await rowOf(hash)).toEqual({ status: 'pending', chain: 'sepolia', block: 1 })
      for (let head = 2; head < CONFIRMATIONS; head += 1) {
        await sepolia.mine()
        await indexer.untilHead(11_155_111)
        expect((await rowOf(hash))?.status).toBe('pending')
      }
      await sepolia.mine()
      await indexer.untilHead(11_155_111)
      expect((await rowOf(hash))?.status).toBe('confirmed')
    } finally {
      await indexer.close()
    }
  })
})
