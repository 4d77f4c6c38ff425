/**
 * The program as a user runs it: a process of its own, with an environment and a directory of its own.
 *
 * Always holds: nothing of this machine's environment reaches it but PATH; every process that was started is gone after `end`.
 */

import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url))
const DEADLINE_MS = 60_000

export type Finished = { readonly code: number | null; readonly stdout: string; readonly stderr: string }

export type Running = {
  readonly pid: number
  output(): string
  /** Waits until the output matches. */
  until(pattern: RegExp): Promise<RegExpMatchArray>
  signal(name: NodeJS.Signals): void
  finished: Promise<Finished>
}

export type Workplace = {
  readonly directory: string
  start(args: readonly string[], env?: Record<string, string>): Running
  run(args: readonly string[], env?: Record<string, string>): Promise<Finished>
  end(): Promise<void>
}

/** A directory with chain files, and processes that run there. */
export async function openWorkplace(chainFiles: readonly object[], env: Record<string, string>): Promise<Workplace> {
  const directory = await mkdtemp(join(tmpdir(), 'linkdao-command-'))
  for (const [index, file] of chainFiles.entries())
    await writeFile(join(directory, `chain-${index}.json`), JSON.stringify(file))
  const children = new Set<ChildProcess>()
  const start = (args: readonly string[], more: Record<string, string> = {}): Running => {
    const child = spawn(process.execPath, [MAIN, ...args], {
      cwd: directory,
      env: {
        PATH: process.env['PATH'] ?? '',
        CHAINS_DIR: directory,
        HTTP_PORT: '0',
        LOG_FORMAT: 'json',
        ...env,
        ...more,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    children.add(child)
    return watch(child, () => children.delete(child))
  }
  return {
    directory,
    start,
    run: (args, more) => start(args, more).finished,
    async end() {
      for (const child of children) child.kill('SIGKILL')
      await rm(directory, { recursive: true, force: true })
    },
  }
}

function watch(child: ChildProcess, onExit: () => void): Running {
  const text = { stdout: '', stderr: '' }
  let listeners: (() => void)[] = []
  const wake = () => {
    const waiting = listeners
    listeners = []
    for (const listener of waiting) listener()
  }
  for (const name of ['stdout', 'stderr'] as const) {
    child[name]?.setEncoding('utf8').on('data', (chunk: string) => {
      text[name] += chunk
      wake()
    })
  }
  const finished = new Promise<Finished>(resolve => {
    child.once('close', code => {
      onExit()
      resolve({ code, ...text })
      wake()
    })
  })
  return {
    pid: child.pid ?? 0,
    output: () => text.stdout + text.stderr,
    finished,
    signal: name => void child.kill(name),
    async until(pattern) {
      const deadline = AbortSignal.timeout(DEADLINE_MS)
      for (;;) {
        const found = (text.stdout + text.stderr).match(pattern)
        if (found !== null) return found
        if (deadline.aborted || child.exitCode !== null)
          throw new Error(`${pattern} did not appear in:\n${text.stdout}${text.stderr}`)
        await new Promise<void>(resolve => {
          const timer = setTimeout(resolve, 1_000)
          listeners.push(() => {
            clearTimeout(timer)
            resolve()
          })
        })
      }
    },
  }
}
