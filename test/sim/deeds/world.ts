/**
 * What the chain and the application do.
 */
import { sleep } from '../../../src/runtime/sleep.ts'
import { createStore } from '../../../src/store/store.ts'
import { recordBranch } from '../../support/branch.ts'
import { type Stage, unixNow } from '../stage.ts'
import { MAX_SEND, pause, pickChain } from './pick.ts'

/** Long enough for a sweep to see it in the pool, now and then. */
const MAX_SHOWN_MS = 1_500
/** Longer than the patience with a head that stays behind, now and then. */
const MAX_BEHIND_MS = 3_000

export async function traffic(stage: Stage): Promise<string> {
  const { chain, traffic: own } = pickChain(stage)
  const deeds = await own.step(stage.dice.integer(1, MAX_SEND))
  stage.tally.add('transactions', deeds.length)
  return `${deeds.length} transactions on ${chain.name}`
}

export async function emptyBlocks(stage: Stage): Promise<string> {
  const { chain, anvil } = pickChain(stage)
  const blocks = stage.dice.integer(1, 6)
  await anvil.mine(blocks)
  return `${blocks} empty blocks on ${chain.name}`
}

export async function reorganise(stage: Stage): Promise<string> {
  const { chain, anvil, traffic: own, worldHead, maxDepth } = pickChain(stage)
  // What waits in the pool goes into a block of its own, before and not within the reorg.
  await own.mine()
  const head = Number(await anvil.rpc('eth_blockNumber'))
  const depth = stage.dice.integer(1, Math.min(maxDepth, head - worldHead))
  const shift = stage.dice.integer(0, Math.min(2, depth - 1))
  await own.reorganise(depth, shift)
  stage.tally.add('reorgs')
  return `reorg of ${chain.name} at ${head}, depth ${depth}, shift ${shift}`
}

/** A reorg that some endpoints don't follow, until they are healed or err in another way. */
export async function leaveBehind(stage: Stage): Promise<string | null> {
  const { dice, tally } = stage
  const { chain, anvil, traffic: own, worldHead, maxDepth, endpoints, wire } = pickChain(stage)
  await own.mine()
  const head = Number(await anvil.rpc('eth_blockNumber'))
  const depth = dice.integer(1, Math.min(maxDepth, head - worldHead))
  const behind = endpoints.filter(() => dice.chance(0.5))
  // Somebody is right: an endpoint that is alone with what it says is the chain.
  if (behind.length === endpoints.length && wire === null) behind.pop()
  const branch = await recordBranch(anvil, Math.min(maxDepth + 1, head))
  await own.reorganise(depth, dice.integer(0, depth - 1))
  // Where it does not always answer, parts of what is asked are answered by the others.
  const rates = dice.chance(0.5) ? {} : { 'server-error': 0.2, reset: 0.1 }
  for (const endpoint of behind) endpoint.play({ rates, view: { kind: 'orphaned', branch } })
  tally.add('reorgs')
  tally.add('left behind', behind.length)
  const deeds = await own.step(2)
  tally.add('transactions', deeds.length)
  await sleep(dice.integer(0, MAX_BEHIND_MS))
  return `${behind.length} of ${endpoints.length} endpoints of ${chain.name} stay on the branch that a reorg of depth ${depth} left`
}

/** A row that the application inserts before the block, while the block is on its way, or soon after it. */
export async function trackFresh(stage: Stage): Promise<string> {
  const { dice, application, tally } = stage
  const { chain, traffic: own } = pickChain(stage)
  const deeds = await own.send(dice.integer(1, 3))
  tally.add('transactions', deeds.length)
  const hash = dice.pick(deeds).hash
  const moment = dice.pick(['before', 'during', 'after'])
  const track = () => application.track(hash, 'pending')
  let words = ''
  if (moment === 'before') {
    words = await track()
    await pause(stage)
  }
  const mined = own.mine()
  if (moment === 'during') words = await track()
  await mined
  if (moment === 'after') {
    await pause(stage)
    words = await track()
  }
  return `${words}, ${moment} its block on ${chain.name}`
}

export async function trackOld(stage: Stage): Promise<string | null> {
  const { dice, application } = stage
  const { traffic: own } = pickChain(stage)
  const unknown = own.log.filter(({ hash }) => !application.known.has(hash))
  if (unknown.length === 0) return null
  return application.track(dice.pick(unknown).hash, dice.pick(['pending', 'pending', 'confirmed', 'failed']))
}

export async function replace(stage: Stage): Promise<string> {
  const { dice, application, tally } = stage
  const { chain, traffic: own } = pickChain(stage)
  const waiting = await own.sendReplaceable()
  const words: string[] = []
  if (dice.chance(0.8)) words.push(await application.track(waiting.hash, 'pending'))
  if (dice.chance(0.5)) await pause(stage)
  const how = dice.pick(['speed-up', 'cancel'] as const)
  const other = await waiting.replace(how)
  if (dice.chance(0.4)) words.push(await application.track(other, 'pending'))
  await own.mine()
  tally.add('replacements')
  return `${how} of ${waiting.hash} by ${other} on ${chain.name}; ${words.join('; ')}`
}

export async function watch(stage: Stage): Promise<string> {
  const { dice, application, chains } = stage
  const { address } = dice.pick(chains[0]?.traffic.watched ?? [])
  const on = dice.chance(0.65)
  await (on ? application.watch(address) : application.unwatch(address))
  return `${address} is ${on ? 'watched' : 'watched no more'}`
}

/**
 * Somebody signs up while the daemon is between matching a block and committing it: its transactions begin late, and another instance
 * takes note of the new wallet first.
 */
export async function signUpBetween(stage: Stage): Promise<string | null> {
  const { dice, gates, application, tally, server, database } = stage
  const store = createStore(server.urlOf(database))
  const words: string[] = []
  try {
    for (let left = 2; left > 0; left -= 1) {
      const delayMs = dice.integer(100, 300)
      gates.first.setDelay(delayMs)
      for (const { traffic: own } of stage.chains) {
        const deeds = await own.step(MAX_SEND)
        tally.add('transactions', deeds.length)
      }
      await sleep(delayMs * dice.float())
      words.push((await application.signUp()) ?? (await application.deleteUser()) ?? 'nobody signs up')
      await store.syncWallets()
      await pause(stage, delayMs)
    }
  } finally {
    gates.first.setDelay(0)
    await store.close()
  }
  return `${words.join('; ')}, while transactions begin late and blocks come`
}

/** A transaction that the pool forgets, or that was never shown to it. The application notes it, or only a mempool tells. */
export async function hesitate(stage: Stage): Promise<string | null> {
  const { application, dice, forgotten, tally } = stage
  const chain = pickChain(stage)
  const held = await chain.traffic.hold()
  const isShown = dice.chance(0.6)
  const noted = dice.pick(['before', 'before', 'after', isShown ? 'never' : 'after'] as const)
  const shownMs = dice.integer(0, MAX_SHOWN_MS)
  if (held === null) return null
  const words: string[] = []
  if (noted === 'before') words.push(await application.track(held.hash, 'pending'))
  if (isShown) {
    await held.send()
    await sleep(shownMs)
    await held.drop()
    words.push(`the pool forgets ${held.hash} after ${shownMs} ms`)
  }
  if (noted === 'after') words.push(await application.track(held.hash, 'pending'))
  forgotten.push({ ...held, chain })
  tally.add('forgotten')
  return `${words.join('; ')}, on ${chain.chain.name}`
}

/** What was forgotten is sent again after all, or its nonce is used by another transaction. */
export async function comeBack(stage: Stage): Promise<string | null> {
  const { dice, forgotten, tally } = stage
  const isAgain = dice.chance(0.5)
  if (forgotten.length === 0) return null
  const [one] = forgotten.splice(dice.integer(0, forgotten.length - 1), 1)
  if (one === undefined) return null
  const { chain, hash } = one
  const other = isAgain ? null : await one.supplant()
  if (isAgain) {
    stage.sentAgain.set(hash, unixNow())
    await one.send()
  }
  await chain.traffic.mine()
  tally.add(isAgain ? 'sent again' : 'supplanted')
  return `${hash} is ${isAgain ? 'sent again' : `supplanted by ${other}`} on ${chain.chain.name}`
}
