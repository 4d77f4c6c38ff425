/**
 * A user who signs transactions: a chain that mines when it is told to, a database that knows the user, and raw transactions that
 * can be sent, held back, sent again or overtaken.
 */

import { privateKeyToAccount } from 'viem/accounts'
import { type Anvil, startAnvil } from '../../src/demo/anvil.ts'
import { createDatabase, type TestDatabase } from './database.ts'

export const ETHER = 10n ** 18n
const BOB = '0xb0b0000000000000000000000000000000000002'
const CHAIN_ID = 31337
/** One of the keys that every Anvil has. */
const alice = privateKeyToAccount('0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d')
export const ALICE = alice.address.toLowerCase()

export type SendingUser = {
  readonly database: TestDatabase
  readonly anvil: Anvil
  /** The user's id. */
  readonly user: string
  /** What a test opens besides; it is closed first, the newest before the others. */
  readonly opened: { close(): Promise<unknown> }[]
  close(): Promise<void>
}

export async function openSendingUser(): Promise<SendingUser> {
  const database = await createDatabase()
  const anvil = await startAnvil({ chainId: CHAIN_ID })
  await anvil.rpc('anvil_setBalance', [ALICE, `0x${(1000n * ETHER).toString(16)}`])
  const [row] = await database.sql<{ id: string }[]>`insert into users (wallet_address) values (${ALICE}) returning id`
  const opened: SendingUser['opened'] = []
  return {
    database,
    anvil,
    user: row?.id ?? '',
    opened,
    async close() {
      for (const each of opened.splice(0).toReversed()) await each.close()
      await anvil.stop()
      await database.drop()
    },
  }
}

/** A transfer to Bob. @param gwei what is paid for gas: more overtakes */
export function signTransfer(nonce: number, value: bigint, gwei = 10n): Promise<string> {
  return alice.signTransaction({
    chainId: CHAIN_ID,
    type: 'legacy',
    to: BOB,
    value,
    nonce,
    gas: 21_000n,
    gasPrice: gwei * 10n ** 9n,
  })
}
