/**
 * The limit D: blocks, and their receipts or logs, downloaded and parsed and thrown away, by the fastest client at hand.
 */

import { Pool } from 'undici'

export type Download = {
  readonly url: string
  readonly range: { readonly from: number; readonly to: number }
  /** What is asked for beside each block: its receipts, or the logs of so many blocks at once. */
  readonly beside: 'receipts' | { readonly logsOfBlocks: number }
  readonly atOnce: number
}

type Call = { readonly method: string; readonly params: readonly unknown[] }

/** @returns milliseconds */
export async function download({ url, range, beside, atOnce }: Download): Promise<number> {
  const { origin, pathname } = new URL(url)
  const pool = new Pool(origin, { connections: atOnce })
  const ask = async ({ method, params }: Call): Promise<void> => {
    const { body } = await pool.request({
      path: pathname,
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }),
    })
    const { result } = JSON.parse(await body.text()) as { result?: unknown }
    if (result === undefined || result === null) throw new Error(`${method} was not answered`)
  }
  const calls = callsOf(range, beside)
  const work = async () => {
    for (let next = calls.next(); !next.done; next = calls.next()) await ask(next.value)
  }
  try {
    const started = performance.now()
    // One source for all of them, so that each takes the next call as soon as it is free.
    await Promise.all(Array.from({ length: atOnce }, work))
    return performance.now() - started
  } finally {
    await pool.close()
  }
}

function* callsOf({ from, to }: Download['range'], beside: Download['beside']): Generator<Call> {
  const every = beside === 'receipts' ? 1 : beside.logsOfBlocks
  for (let height = from; height <= to; height += 1) {
    yield { method: 'eth_getBlockByNumber', params: [hex(height), true] }
    if (beside === 'receipts') yield { method: 'eth_getBlockReceipts', params: [hex(height)] }
    else if ((height - from) % every === 0) {
      const toBlock = hex(Math.min(height + every - 1, to))
      yield { method: 'eth_getLogs', params: [{ fromBlock: hex(height), toBlock }] }
    }
  }
}

function hex(height: number): string {
  return `0x${height.toString(16)}`
}
