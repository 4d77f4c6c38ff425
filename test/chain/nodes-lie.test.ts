/**
 * Nodes that lie about a block: it is not there though it was announced, its parts are of another block, come twice or are missing.
 * Nothing of it is believed, by a daemon with one endpoint, which waits, and by one with three of which two lie, which does not.
 */
import { describe, expect, test } from 'vitest'
import { LIES } from '../support/misbehaviours.ts'
import { playAlone, playOnTwo } from '../support/node-play.ts'
import { useNodeStage } from '../support/node-stage.ts'

const stage = useNodeStage(41)

describe('one endpoint', () => {
  for (const [seed, fault] of LIES.entries())
    test(fault.what, async () => {
      await playAlone(stage, fault, { seed })
    })
})

describe('two of three endpoints', () => {
  for (const [seed, fault] of LIES.entries())
    test(fault.what, async () => {
      await playOnTwo(stage, [fault, fault], { seed })
    })
})

const SWEPT_WITHIN_MS = 30_000

test('1 and 3: null, or another transaction, for one that the application asks about decides nothing', async () => {
  const { world } = stage
  const run = await stage.open({ ways: ['http'], seed: 1, jobs: true })
  const { sql } = run.database
  // Between strangers: nothing of it is looked at before the application has a row for it.
  const [stranger] = (await world.anvil.rpc('eth_accounts')) as readonly string[]
  const hash = String(await world.anvil.rpc('eth_sendTransaction', [{ from: stranger, to: stranger, value: '0x1' }]))
  const [mined] = await world.mine(1)
  await world.pass(2)
  await run.untilHead()
  run.play({ rates: { 'null-transaction': 1 }, view: null }, [0])
  await sql`
    insert into user_transactions (user_id, tx_hash, chain, event_type, token, amount, status, timestamp)
    select id, ${hash}, 'sepolia', 'LDAO_TRANSFER_SENT', 'LDAO', 1, 'pending', now() from users limit 1`
  for (const fault of ['null-transaction', 'foreign-transaction'] as const) {
    run.play({ rates: { [fault]: 1 }, view: null }, [0])
    await run.proxies[0]?.until(fault, 1, AbortSignal.timeout(SWEPT_WITHIN_MS))
  }
  run.heal()
  const read = () => sql`select status, block_number from user_transactions where tx_hash = ${hash}`
  await run.indexer.until(
    'the row is decided',
    async () => (await read())[0]?.['status'] !== 'pending',
    SWEPT_WITHIN_MS,
  )
  expect([...(await read())]).toEqual([{ status: 'confirmed', block_number: mined?.number }])
  expect((await run.watch.statuses()).filter(version => version.tx_hash === hash)).toEqual([
    { tx_hash: hash, status: 'confirmed' },
    { tx_hash: hash, status: 'pending' },
  ])
})
