/**
 * The program as real processes that can be killed, frozen and asked to stop, with an eye on what they say.
 *
 * Always holds: a process that ends without having been told to is a failure, and so is a line of its log that tells of a fault in
 * the program itself; every process is gone after `endAll`.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { sleep } from '../../src/runtime/sleep.ts'

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url))
/** What Node made of the sources: half of what a start costs. It knows a source by its content. */
const COMPILED = join(tmpdir(), 'linkdao-sim-compiled')
const MAX_LINES = 400
/** SIGTERM: the current step commits or rolls back, and the program ends within this time. */
const STOP_DEADLINE_MS = 10_000
const START_DEADLINE_MS = 30_000
/** Errors that no fault of a node, a network or a database explains. */
const OWN_FAULTS = new Set([
  'INTERNAL',
  'DB_REJECTED',
  'DB_SCHEMA',
  'REORG_BEYOND_FINALITY',
  'CHECKPOINT_AHEAD_OF_ROWS',
])

export type Exit = { readonly code: number | null; readonly signal: NodeJS.Signals | null }

export type Program = {
  readonly name: string
  readonly pid: number
  isRunning(): boolean
  /** Waits until it says that it has started, or ended. */
  started(): Promise<void>
  /** SIGKILL, at once. */
  kill(): void
  freeze(): void
  thaw(): void
  /** SIGTERM; a program that does not end in time, or not with 0, is a failure. */
  stop(): Promise<void>
  readonly ended: Promise<Exit>
}

export type Programs = {
  start(name: string, args: readonly string[], env: Readonly<Record<string, string>>): Program
  /** What went wrong with the programs themselves, so far. */
  failures(): readonly string[]
  /** The newest lines of all of them. */
  tail(count: number): readonly string[]
  endAll(): Promise<void>
}

type State = { readonly lines: string[]; readonly failures: string[]; readonly running: Set<Program> }

/** @param preload a module that each program runs first */
export function createPrograms(cwd: string, preload: string | null = null): Programs {
  const state: State = { lines: [], failures: [], running: new Set() }
  return {
    start: (name, args, env) => start(state, { cwd, preload }, name, args, env),
    failures: () => state.failures,
    tail: count => state.lines.slice(-count),
    async endAll() {
      const left = [...state.running]
      for (const program of left) program.kill()
      await Promise.all(left.map(({ ended }) => ended))
    },
  }
}

function start(
  state: State,
  { cwd, preload }: { readonly cwd: string; readonly preload: string | null },
  name: string,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): Program {
  const child = spawn(process.execPath, [...(preload === null ? [] : ['--import', preload]), MAIN, ...args], {
    cwd,
    env: { PATH: process.env['PATH'] ?? '', NODE_COMPILE_CACHE: COMPILED, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let isExpected = false
  const greeted = new AbortController()
  readLines(child, line => {
    state.lines.push(`${name}[${child.pid}] ${line}`)
    if (state.lines.length > MAX_LINES) state.lines.splice(0, MAX_LINES / 4)
    if (line.includes('"msg":"Started"')) greeted.abort()
    const fault = ownFault(line)
    if (fault !== null) state.failures.push(`${name}: ${fault}`)
  })
  const ended = new Promise<Exit>(resolve => {
    child.once('close', (code, signal) => {
      greeted.abort()
      state.running.delete(program)
      if (!isExpected) state.failures.push(`${name} ended by itself: code ${code}, signal ${signal}`)
      resolve({ code, signal })
    })
  })
  const isRunning = () => child.exitCode === null && child.signalCode === null
  const program: Program = {
    name,
    pid: child.pid ?? 0,
    ended,
    isRunning,
    async started() {
      await Promise.race([ended, sleep(START_DEADLINE_MS, greeted.signal)])
      if (isRunning() && !greeted.signal.aborted) throw new Error(`${name} did not start`)
    },
    kill() {
      isExpected = true
      child.kill('SIGKILL')
    },
    freeze: () => void child.kill('SIGSTOP'),
    thaw: () => void child.kill('SIGCONT'),
    async stop() {
      isExpected = true
      const hasGreeted = greeted.signal.aborted
      child.kill('SIGTERM')
      const exit = await within(ended, STOP_DEADLINE_MS)
      if (exit === null) {
        state.failures.push(`${name} did not end within ${STOP_DEADLINE_MS} ms of SIGTERM`)
        child.kill('SIGKILL')
        await ended
      } else if (exit.code !== 0 && hasGreeted) {
        state.failures.push(`${name} ended with ${exit.code ?? exit.signal} after SIGTERM`)
      }
    },
  }
  if (args[0] !== 'run') isExpected = true
  state.running.add(program)
  return program
}

/** The result, or null when it takes longer; nothing is left waiting either way. */
export async function within<T>(work: Promise<T>, ms: number): Promise<T | null> {
  const deadline = new AbortController()
  const result = await Promise.race([work, sleep(ms, deadline.signal).then(() => null)])
  deadline.abort()
  return result
}

/** What a line of the log says of a fault in the program; null for everything else. */
function ownFault(line: string): string | null {
  if (!/"level":"(?:error|fatal)"/.test(line)) return null
  const code = /"code":"([A-Z_]+)"/.exec(line)?.[1]
  if (code !== undefined && !OWN_FAULTS.has(code)) return null
  return line.slice(0, 1_500)
}

function readLines(child: ChildProcess, onLine: (line: string) => void): void {
  for (const stream of [child.stdout, child.stderr]) {
    let rest = ''
    stream?.setEncoding('utf8').on('data', (text: string) => {
      const lines = (rest + text).split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) onLine(line)
    })
    stream?.on('end', () => {
      if (rest !== '') onLine(rest)
    })
  }
}
