/**
 * What is to be seen: users sign up and act on two chains, the application notes a payment, a transaction is replaced, a block is
 * reorganised.
 *
 * Always holds: it can be ended after every act; everything that it does is on the chains or in the application's tables, where
 * the daemon finds it by itself.
 */

import type { Sql } from 'postgres'
import type { Chain } from '../core/chain.ts'
import { sleep } from '../runtime/sleep.ts'
import type { Anvil } from './anvil.ts'
import type { Party } from './party.ts'
import { createTraffic, type Deed, type Traffic } from './traffic.ts'

const USERS_AT_FIRST = 6
const SIGN_UP_EVERY_ACTS = 4
const ACT_EVERY_MS = 1_100
const DEEDS_PER_ACT = 3
/** Acts after which the special things happen; each once, on both chains. */
const ACT_OF_APPLICATION = 3
const ACT_OF_REPLACEMENT = 5
const ACT_OF_REORG = 8
/** Enough blocks at the end for every status to be decided. */
const LAST_BLOCKS = 14

export type Tell = (chain: string, words: string) => void

export type Theatre = {
  readonly sql: Sql
  readonly chains: readonly { readonly chain: Chain; readonly anvil: Anvil }[]
  readonly seed: number
  readonly tell: Tell
}

/** Plays until aborted; then mines what decides the last statuses. */
export async function play({ sql, chains, seed, tell }: Theatre, signal: AbortSignal): Promise<void> {
  const scenes: { chain: Chain; anvil: Anvil; traffic: Traffic }[] = []
  for (const { chain, anvil } of chains)
    scenes.push({ chain, anvil, traffic: await createTraffic({ anvil, chain, seed: seed + chain.id }) })
  const waiting = [...(scenes[0]?.traffic.users ?? [])]
  const signUp = async (user: Party | undefined) => {
    if (user === undefined) return
    await sql`insert into users (wallet_address, handle) values (${user.spelling}, ${user.name.toLowerCase()})`
    tell('', `${user.name} signs up`)
  }
  for (const user of waiting.splice(0, USERS_AT_FIRST)) await signUp(user)
  for (const { address } of scenes[0]?.traffic.watched.slice(0, 1) ?? []) {
    await sql`insert into indexer.watchlist (address, label) values (${address}, 'treasury') on conflict do nothing`
  }
  for (let act = 1; !signal.aborted; act += 1) {
    if (act % SIGN_UP_EVERY_ACTS === 0) await signUp(waiting.shift())
    for (const scene of scenes) {
      if (signal.aborted) break
      await playAct(act, scene, sql, tell)
    }
    await sleep(ACT_EVERY_MS, signal)
  }
  for (const { anvil } of scenes) await anvil.mine(LAST_BLOCKS)
}

async function playAct(
  act: number,
  { chain, traffic }: { chain: Chain; traffic: Traffic },
  sql: Sql,
  tell: Tell,
): Promise<void> {
  const say = (deeds: readonly Deed[]) => {
    for (const { words } of deeds) tell(chain.name, words)
  }
  if (act === ACT_OF_REPLACEMENT) {
    const before = traffic.log.length
    const payment = await traffic.sendReplaceable()
    await payment.replace('speed-up')
    await traffic.mine()
    say(traffic.log.slice(before))
    return
  }
  if (act === ACT_OF_APPLICATION) {
    const [deed] = await traffic.send(1)
    if (deed !== undefined) {
      // As LinkDAO does: it says `ethereum` for everything, and only knows what the user told it.
      await sql`
        insert into user_transactions (tx_hash, chain, event_type, status, timestamp)
        values (${deed.hash}, 'ethereum', 'LDAO_TRANSFER_SENT', 'pending', now() at time zone 'utc') on conflict (tx_hash) do nothing`
      say([deed])
      tell(chain.name, 'the application notes that as pending')
    }
    await traffic.mine()
    return
  }
  if (act === ACT_OF_REORG) {
    tell(chain.name, 'the newest block is reorganised')
    await traffic.reorganise()
    return
  }
  say(await traffic.step(DEEDS_PER_ACT))
}
