/**
 * Websockets that fall silent or are cut: they are let go and others are opened; questions are answered, and heads announced, again.
 */

import { afterEach, beforeEach, expect, test } from 'vitest'
import { type Anvil, startAnvil } from '../../src/demo/anvil.ts'
import { sleep } from '../../src/runtime/sleep.ts'
import { createJsonRpcSource } from '../../src/source/json-rpc.ts'
import { startWire, type Wire } from '../support/wire.ts'

const CHAIN_ID = 31_337
const SILENCE_MS = 500
const WITHIN_MS = 20_000
const BLOCK_EVERY_MS = 100

let anvil: Anvil
let wire: Wire

beforeEach(async () => {
  anvil = await startAnvil({ chainId: CHAIN_ID })
  wire = await startWire(anvil.wsUrl)
})

afterEach(async () => {
  await wire.close()
  await anvil.stop()
})

const signal = () => AbortSignal.timeout(30_000)

test.each(['deaf', 'cut'] as const)('questions are answered again after connections went %s', async fault => {
  const urls = [wire.url]
  const source = createJsonRpcSource({
    chainId: CHAIN_ID,
    urls,
    displayUrl: () => 'node',
    requestTimeoutMs: SILENCE_MS,
  })
  try {
    expect((await source.head(signal())).number).toBe(0)
    wire.play(fault)
    wire.heal()
    await anvil.mine()
    expect((await source.head(signal())).number).toBe(1)
    await anvil.mine()
    expect((await source.head(signal())).number).toBe(2)
  } finally {
    await source.close()
  }
})

/** Mines until a head is announced, and tells its number. */
async function untilTold(heads: readonly number[]): Promise<number> {
  const known = heads.length
  const ends = performance.now() + WITHIN_MS
  while (heads.length === known && performance.now() < ends) {
    await anvil.mine()
    await sleep(BLOCK_EVERY_MS)
  }
  return heads.length > known ? Number(heads.at(-1)) : -1
}

test.each(['deaf', 'cut'] as const)('new heads are announced again after the connection went %s', async fault => {
  const source = createJsonRpcSource({
    chainId: CHAIN_ID,
    urls: [anvil.url, wire.url],
    displayUrl: () => 'node',
    requestTimeoutMs: SILENCE_MS * 2,
  })
  const heads: number[] = []
  const troubles: string[] = []
  const stop = new AbortController()
  const watching = source.watchHeads(
    {
      silenceMs: SILENCE_MS,
      onHead: ({ number }) => heads.push(number),
      onTrouble: (_facts, message) => troubles.push(message),
    },
    stop.signal,
  )
  try {
    expect(await untilTold(heads)).toBeGreaterThan(0)
    wire.play(fault)
    wire.heal()
    const before = heads.length
    expect(await untilTold(heads)).toBeGreaterThan(Number(heads[before - 1]))
    expect(troubles).toContain('The websocket fell silent or closed; it is opened anew')
  } finally {
    stop.abort()
    await watching
    await source.close()
  }
})

const nothing = () => undefined

test('without a websocket there is nothing to listen to', async () => {
  const source = createJsonRpcSource({ chainId: CHAIN_ID, urls: [anvil.url], displayUrl: () => 'node' })
  await source.watchHeads({ silenceMs: SILENCE_MS, onHead: nothing, onTrouble: nothing }, new AbortController().signal)
  await source.close()
})
