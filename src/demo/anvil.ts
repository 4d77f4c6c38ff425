/**
 * A local chain: one Anvil process, started when it is needed and gone when it is not.
 *
 * Always holds: the process answers before `startAnvil` returns; it listens on a port that the system chose (unless one was
 * asked for), so any number of them run side by side; nothing is mined unless `mine` is called or a `blockTime` was given; it
 * is in a process group of its own, so that Ctrl-C in a terminal reaches its owner alone, which ends it in its own order; an
 * owner that exits without ending it takes it along.
 *
 * Why the platform's program is started and not the package's bin: the bin is a Node process around it, and a wrapper that is
 * killed leaves its child behind. Why the port is read from what it prints: a port that is looked up first can be taken by
 * somebody else in between, and then the answers would be another chain's.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { AppError } from '../errors.ts'
import { sleep } from '../runtime/sleep.ts'

export type AnvilOptions = {
  readonly chainId: number
  /** Seconds between blocks that are mined by themselves. Absent: blocks come from `mine` only. */
  readonly blockTime?: number
  /** `finalized` is two epochs behind the head, `safe` one. */
  readonly slotsInAnEpoch?: number
  /** Number of the genesis block. */
  readonly number?: number
  readonly forkUrl?: string
  /** Unix seconds of the genesis block. */
  readonly timestamp?: number
  /** Absent or 0: a free one. */
  readonly port?: number
  readonly args?: readonly string[]
}

export type Anvil = {
  readonly url: string
  readonly wsUrl: string
  readonly pid: number
  readonly chainId: number
  /** One JSON-RPC request. Throws RPC_REJECTED where the node answers with an error, RPC_UNAVAILABLE where it does not answer. */
  rpc(method: string, params?: readonly unknown[]): Promise<unknown>
  /** Mines `count` blocks; what is in the pool goes into the first of them. */
  mine(count?: number): Promise<void>
  /** Ends the process and waits until it is gone. Calling it again does nothing. */
  stop(): Promise<void>
}

/** EIP-7702 is part of it, and both chains have it behind them. */
const HARDFORK = 'prague'
const START_DEADLINE_MS = 30_000
const RPC_DEADLINE_MS = 30_000
const STOP_DEADLINE_MS = 3000
/** Of what a process printed: enough for the reason of its end. */
const MAX_OUTPUT_LENGTH = 4000
const LISTENING = /Listening on (?:127\.0\.0\.1|0\.0\.0\.0|\[::1?\]):(\d+)/

const running = new Set<ChildProcess>()
let isHooked = false

/** Starts a chain. Throws EMBEDDED_UNAVAILABLE where Anvil is not installed or does not start. */
export async function startAnvil(options: AnvilOptions): Promise<Anvil> {
  const child = spawn(findProgram(), argumentsOf(options), { stdio: ['ignore', 'pipe', 'pipe'], detached: true })
  keep(child)
  const gone = new Promise<void>(resolve => {
    child.once('exit', () => resolve())
    child.once('error', () => resolve())
  }).then(() => running.delete(child))
  try {
    const port = await readPort(child, gone)
    const url = `http://127.0.0.1:${port}`
    const rpc = (method: string, params: readonly unknown[] = []) => request(url, method, params)
    await checkChain(rpc, options.chainId)
    // Anvil would print a paragraph for every request from here on.
    await rpc('anvil_setLoggingEnabled', [false])
    return {
      url,
      wsUrl: `ws://127.0.0.1:${port}`,
      pid: child.pid ?? 0,
      chainId: options.chainId,
      rpc,
      mine: async (count = 1) => {
        if (count === 1) await rpc('evm_mine')
        else if (count > 1) await rpc('anvil_mine', [`0x${count.toString(16)}`])
      },
      stop: () => end(child, gone),
    }
  } catch (error) {
    await end(child, gone)
    throw error
  }
}

function argumentsOf(options: AnvilOptions): string[] {
  const mining =
    options.blockTime === undefined ? ['--no-mining'] : ['--block-time', String(options.blockTime), '--mixed-mining']
  const given: readonly (readonly [string, string | number | undefined])[] = [
    ['--slots-in-an-epoch', options.slotsInAnEpoch],
    ['--number', options.number],
    ['--fork-url', options.forkUrl],
    ['--timestamp', options.timestamp],
  ]
  return [
    ...['--host', '127.0.0.1', '--port', String(options.port ?? 0), '--chain-id', String(options.chainId)],
    // Accounts of its own would only slow its start: the traffic has its own keys.
    ...['--accounts', '1', '--hardfork', HARDFORK, '--order', 'fifo', '--color', 'never', '--no-cors'],
    ...(options.blockTime !== undefined && Number.isInteger(options.blockTime)
      ? mining.slice(0, 2)
      : mining.slice(0, 2)),
    ...given.flatMap(([flag, value]) => (value === undefined ? [] : [flag, String(value)])),
    ...(options.args ?? []),
  ]
}
