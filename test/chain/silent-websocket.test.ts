/**
 * A websocket that stays open and says nothing any more: it is let go and another one is opened.
 */

import { afterEach, beforeEach, expect, test } from 'vitest'
import { type Anvil, startAnvil } from '../../src/demo/anvil.ts'
import { createJsonRpcSource } from '../../src/source/json-rpc.ts'
import { startWire, type Wire } from '../support/wire.ts'

const CHAIN_ID = 31337
const TIMEOUT_MS = 500

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
    requestTimeoutMs: TIMEOUT_MS,
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
