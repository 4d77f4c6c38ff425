/**
 * `backfill --workers`: the processes that share a job on this machine. The command itself is one of them, the others are its children.
 *
 * Always holds: a child ends with its parent, however that ends: the channel between them closes, also when the parent is killed. It
 * gives its claims back then, as after an interrupt, and nothing is lost if it can't: they run out.
 */

import { type ChildProcess, fork } from 'node:child_process'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { uniqueName } from '../runtime/random.ts'
import { within } from '../runtime/sleep.ts'

/** What a child has to give its claims back and to close its connections; then it is killed. */
const STOP_DEADLINE_MS = 6_000
const NAME_LENGTH = 8

export type Workers = {
  /** Resolves when all have ended. @returns how each that did not end well ended, in words */
  readonly ended: Promise<readonly string[]>
  /** Has them end now. */
  stop(): Promise<void>
}

/** Starts the program again, some times, as children that work under this process. Ended by the signal, too. */
export function startWorkers(root: string, args: readonly string[], count: number, signal: AbortSignal): Workers {
  const children = Array.from({ length: count }, () =>
    fork(join(root, 'src', 'main.ts'), [...args], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] }),
  )
  const exits = children.map(untilExit)
  const all = Promise.all(exits)
  const stop = async () => {
    for (const child of children) if (child.connected) child.disconnect()
    if ((await within(STOP_DEADLINE_MS, all)) === null) for (const child of children) child.kill('SIGKILL')
    await all
  }
  const onAbort = () => void stop()
  signal.addEventListener('abort', onAbort, { once: true })
  return {
    stop,
    ended: all.then(problems => {
      signal.removeEventListener('abort', onAbort)
      return problems.filter(problem => problem !== null)
    }),
  }
}

function untilExit(child: ChildProcess): Promise<string | null> {
  return new Promise(resolve => {
    child.once('error', error => resolve(`could not be started: ${error.message}`))
    child.once('exit', (code, signal) => {
      if (code === 0) resolve(null)
      else resolve(signal === null ? `ended with exit code ${code}` : `was ended by ${signal}`)
    })
  })
}

/** Aborts when the process that started this one is gone. */
export function untilParentGone(): AbortSignal {
  const gone = new AbortController()
  if (!process.connected) gone.abort()
  process.once('disconnect', () => gone.abort())
  return gone.signal
}

/** Who works here, for `status`: which host, which process, and what no other has. */
export function nameHolder(): string {
  return `${hostname()} ${process.pid} ${uniqueName().slice(0, NAME_LENGTH)}`
}
