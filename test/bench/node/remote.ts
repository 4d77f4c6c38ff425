/**
 * The node in a process of its own, with the methods that it has in this one.
 *
 * Always holds: the process is gone after `close`, and by itself when this one ends.
 */

import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { BenchNode } from './bench-node.ts'

export type Order = { readonly id: number; readonly method: keyof BenchNode; readonly args: readonly unknown[] }
export type Reply = { readonly id: number; readonly result?: unknown; readonly error?: string }

const CHILD = fileURLToPath(new URL('child.ts', import.meta.url))

export async function startRemoteNode(): Promise<BenchNode> {
  const child = fork(CHILD, { serialization: 'advanced' })
  const waiting = new Map<number, (reply: Reply) => void>()
  const started = new Promise<Reply>(resolve => waiting.set(0, resolve))
  child.on('message', (reply: Reply) => {
    waiting.get(reply.id)?.(reply)
    waiting.delete(reply.id)
  })
  child.once('exit', code => {
    for (const [id, resolve] of waiting) resolve({ id, error: `the node's process ended with ${code}` })
  })
  let next = 0
  const ask = async <T>(method: keyof BenchNode, ...args: readonly unknown[]): Promise<T> => {
    const id = (next += 1)
    const replied = new Promise<Reply>(resolve => waiting.set(id, resolve))
    // A process that is gone shows as an answer like any other.
    child.send({ id, method, args } satisfies Order, error => {
      if (error !== null) waiting.get(id)?.({ id, error: String(error) })
    })
    const { result, error } = await replied
    if (error !== undefined) throw new Error(`${method}: ${error}`)
    return result as T
  }
  const { error } = await started
  if (error !== undefined) throw new Error(error)
  return {
    open: spec => ask('open', spec),
    mine: (chainId, blocks) => ask('mine', chainId, blocks),
    run: (chainId, rhythm) => ask('run', chainId, rhythm),
    halt: chainId => ask('halt', chainId),
    counts: chainId => ask('counts', chainId),
    resetCounts: chainId => ask('resetCounts', chainId),
    observe: (chainId, databaseUrl, pollMs) => ask('observe', chainId, databaseUrl, pollMs),
    sightings: chainId => ask('sightings', chainId),
    end: chainId => ask('end', chainId),
    async close() {
      await ask('close')
      await end(child)
    },
  }
}

async function end(child: ChildProcess): Promise<void> {
  const ended = once(child, 'exit')
  child.disconnect()
  await ended
}
