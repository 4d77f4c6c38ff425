/**
 * A node as the tests of interoperability drive it, whatever program it is; and the process behind it.
 *
 * Always holds: a node that was started answers to `eth_chainId` with the chain that was asked for; it is ended by its own process id;
 * a worker that exits without ending it takes it along. What it prints is kept, a little of it, for the reason of a failure.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'

export type TestNode = {
  readonly url: string
  /** The same node over a websocket. */
  readonly socketUrl: string
  /** One JSON-RPC request over HTTP. Throws RefusedError where the node answers with an error. */
  rpc(method: string, params?: readonly unknown[]): Promise<unknown>
  /** Mines blocks; what waits goes into the first of them. */
  mine(count?: number): Promise<void>
  /** Mines as many empty blocks as make final what is there. */
  finalise(): Promise<void>
  /** Names the present head, so that the chain can go on from there another way. */
  mark(): Promise<string>
  /** Blocks after the mark are gone, now or with the next block. */
  returnTo(mark: string): Promise<void>
  stop(): Promise<void>
}

/** The chain that every node here serves. */
export const CHAIN_ID = 31337

const REQUEST_DEADLINE_MS = 30_000
const ATTEMPTS = 300
const ATTEMPT_EVERY_MS = 100
const MAX_OUTPUT_LENGTH = 8_000

export type NodeProcess = {
  readonly pid: number
  /** The end of what it printed. */
  output(): string
  hasEnded(): boolean
  /** Ends it and waits until it is gone. Calling it again does nothing. */
  end(): Promise<void>
}

const running = new Set<ChildProcess>()
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

/** A program of Node's, on the Node that runs the tests. */
export function startProcess(
  args: readonly string[],
  options: { readonly cwd: string; readonly env?: Record<string, string> },
): NodeProcess {
  const child = spawn(process.execPath, args, {
    cwd: options.cwd,
    env: { PATH: process.env['PATH'] ?? '', HOME: options.cwd, ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  running.add(child)
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (chunk: string) => {
      output = (output + chunk).slice(-MAX_OUTPUT_LENGTH)
    })
  }
  const gone = new Promise<void>(resolve => {
    child.once('exit', () => resolve())
    child.once('error', error => {
      output += `\n${error.message}`
      resolve()
    })
  }).then(() => running.delete(child))
  return {
    pid: child.pid ?? 0,
    output: () => output,
    hasEnded: () => !running.has(child),
    async end() {
      // Nothing can be lost with it; asked politely, some wait for connections that nobody closes.
      child.kill('SIGKILL')
      await gone
    },
  }
}

/**
 * Waits until the process serves our chain, asking again and again for half a minute at most.
 *
 * @param find the node's URL, which may be known only after it printed it
 * @throws Error with what the process printed; the process is ended then
 */
export async function untilServing(process: NodeProcess, find: () => string | null): Promise<string> {
  for (let attempt = 0; attempt < ATTEMPTS && !process.hasEnded(); attempt += 1) {
    const url = find()
    const answer = url === null ? null : await ask(url, 'eth_chainId').catch(() => null)
    if (url !== null && Number(answer) === CHAIN_ID && !process.hasEnded()) return url
    await sleep(ATTEMPT_EVERY_MS)
  }
  await process.end()
  throw new Error(`a node did not start:\n${process.output()}`)
}

/** One request over HTTP. @throws RefusedError where the node answers with an error */
export async function ask(url: string, method: string, params: readonly unknown[] = []): Promise<unknown> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }),
    signal: AbortSignal.timeout(REQUEST_DEADLINE_MS),
  })
  const { result, error } = (await response.json()) as {
    readonly result?: unknown
    readonly error?: { readonly code: number; readonly message: string }
  }
  if (error !== undefined && error !== null) throw new RefusedError(`${method}: ${error.code} ${error.message}`)
  return result
}

export class RefusedError extends Error {}
