/**
 * The node's own process: does what its parent asks for by message, and ends with it.
 */

import { startBenchNode } from './bench-node.ts'
import type { Order, Reply } from './remote.ts'

const node = await startBenchNode()

async function obey({ id, method, args }: Order): Promise<Reply> {
  try {
    const call = node[method] as (...args: readonly unknown[]) => Promise<unknown>
    return { id, result: await call(...args) }
  } catch (error) {
    return { id, error: String(error) }
  }
}

process.on('message', (order: Order) => {
  void obey(order).then(reply => process.send?.(reply))
})
// Ctrl-C reaches every process of the terminal; this one is still needed until its parent has put things away.
process.on('SIGINT', () => undefined)
process.on('disconnect', () => process.exit(0))
process.send?.({ id: 0 } satisfies Reply)
