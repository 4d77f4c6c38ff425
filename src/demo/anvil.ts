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
  const given: readonly (readonly [string, string | number | undefined])[] = [
    ['--block-time', options.blockTime],
    ['--slots-in-an-epoch', options.slotsInAnEpoch],
    ['--number', options.number],
    ['--fork-url', options.forkUrl],
    ['--timestamp', options.timestamp],
  ]
  const network = `--host 127.0.0.1 --port ${options.port ?? 0} --chain-id ${options.chainId} --no-cors`
  // Accounts of its own would only slow its start: whoever sends has keys and sets balances.
  const behaviour = `--accounts 1 --hardfork ${HARDFORK} --order fifo --color never`
  return [
    ...network.split(' '),
    ...behaviour.split(' '),
    ...(options.blockTime === undefined ? ['--no-mining'] : []),
    ...given.flatMap(([flag, value]) => (value === undefined ? [] : [flag, String(value)])),
    ...(options.args ?? []),
  ]
}

// ── The program ──────────────────────────────────────────────────────────────────────────────────────────────────────────

/** How the packages of Foundry name what Node calls x64. */
const ARCHITECTURES: Readonly<Record<string, string>> = { x64: 'amd64', arm64: 'arm64' }

function findProgram(): string {
  const name = `@foundry-rs/anvil-${process.platform}-${ARCHITECTURES[process.arch] ?? process.arch}`
  try {
    // The platform's package is a dependency of Anvil's, not ours, so it is looked up from there.
    const anvil = createRequire(import.meta.url).resolve('@foundry-rs/anvil/package.json')
    const manifest = createRequire(anvil).resolve(`${name}/package.json`)
    return join(dirname(manifest), 'bin', process.platform === 'win32' ? 'anvil.exe' : 'anvil')
  } catch (cause) {
    throw new AppError('EMBEDDED_UNAVAILABLE', 'There is no local chain to start: Anvil is not installed.', {
      facts: { package: name },
      hint: 'Run npm ci with its development dependencies.',
      cause,
    })
  }
}

function keep(child: ChildProcess): void {
  running.add(child)
  if (isHooked) return
  isHooked = true
  process.on('exit', () => {
    for (const left of running) left.kill('SIGKILL')
  })
}

/** Waits for the line that names the port. What comes after it is read and thrown away, so that the pipe never fills. */
async function readPort(child: ChildProcess, gone: Promise<unknown>): Promise<number> {
  let output = ''
  let port: number | undefined
  const found = new Promise<void>(resolve => {
    const read = (chunk: Buffer) => {
      if (port !== undefined) return
      output = (output + chunk.toString('utf8')).slice(-MAX_OUTPUT_LENGTH)
      const match = LISTENING.exec(output)
      if (match === null) return
      port = Number(match[1])
      resolve()
    }
    child.stdout?.on('data', read)
    child.stderr?.on('data', read)
  })
  let problem: Error | undefined
  child.once('error', error => {
    problem = error
  })
  const deadline = new AbortController()
  await Promise.race([found, gone, sleep(START_DEADLINE_MS, deadline.signal)])
  deadline.abort()
  if (port !== undefined) return port
  throw new AppError('EMBEDDED_UNAVAILABLE', 'The local chain did not start.', {
    facts: { output: output.trim().slice(-300), exitCode: child.exitCode, signal: child.signalCode },
    hint: 'Run npm ci again; the program needs a 64-bit Linux, macOS or Windows.',
    ...(problem === undefined ? {} : { cause: problem }),
  })
}

async function end(child: ChildProcess, gone: Promise<unknown>): Promise<void> {
  if (!running.has(child)) return
  child.kill('SIGTERM')
  const deadline = new AbortController()
  await Promise.race([gone, sleep(STOP_DEADLINE_MS, deadline.signal)])
  deadline.abort()
  if (!running.has(child)) return
  // Nothing can be lost with it: its state lives in memory only.
  child.kill('SIGKILL')
  await gone
}

// ── Its answers ──────────────────────────────────────────────────────────────────────────────────────────────────────────

async function checkChain(rpc: Anvil['rpc'], chainId: number): Promise<void> {
  const answer = await rpc('eth_chainId')
  if (Number(answer) === chainId) return
  throw new AppError('EMBEDDED_UNAVAILABLE', 'The local chain answers with another chain id.', {
    facts: { expected: chainId, found: String(answer) },
  })
}

type Answer = { readonly result?: unknown; readonly error?: { readonly code: number; readonly message: string } }

async function request(url: string, method: string, params: readonly unknown[]): Promise<unknown> {
  const [result] = await requestAll(url, [{ method, params }])
  return result
}

/** Several requests in one: their results in the same order. Throws like `rpc` for the first that is refused. */
export async function requestAll(
  url: string,
  calls: readonly { readonly method: string; readonly params: readonly unknown[] }[],
): Promise<unknown[]> {
  if (calls.length === 0) return []
  const body = calls.map(({ method, params }, id) => ({ jsonrpc: '2.0', id, method, params }))
  let answers: (Answer & { readonly id: number })[]
  try {
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body.length === 1 ? body[0] : body),
      signal: AbortSignal.timeout(RPC_DEADLINE_MS),
    })
    const parsed: unknown = await response.json()
    answers = (Array.isArray(parsed) ? parsed : [parsed]) as typeof answers
  } catch (cause) {
    throw new AppError('RPC_UNAVAILABLE', 'The local chain does not answer.', {
      facts: { method: calls[0]?.method },
      cause,
    })
  }
  const byId = new Map(answers.map(answer => [answer.id, answer]))
  return calls.map(({ method }, id) => {
    const answer = byId.get(id)
    if (answer !== undefined && answer.error === undefined) return answer.result
    throw new AppError('RPC_REJECTED', 'The local chain refused a request.', {
      facts: { method, code: answer?.error?.code, reason: answer?.error?.message ?? 'no answer' },
    })
  })
}
