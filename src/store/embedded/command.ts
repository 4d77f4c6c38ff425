/**
 * Runs a program to its end, as another account where one is given.
 *
 * Always holds: the program sees none of our environment (it may hold API keys, and PG* variables would change what Postgres
 * does), its output is kept to a bound, and an abort or a time limit ends it before the promise settles.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { AppError } from '../../errors.ts'

/** The account a program runs as; undefined is our own. */
export type Account = { readonly uid: number; readonly gid: number }

export type CommandResult = { readonly exitCode: number | null; readonly output: string }

export type CommandOptions = {
  readonly account?: Account | undefined
  readonly signal?: AbortSignal | undefined
  readonly timeoutMs?: number
}

const DEFAULT_TIMEOUT_MS = 30_000
const MAX_OUTPUT_CHARS = 4_000

/** initdb starts its helpers through the shell, which needs a path; the locale and the zone must not follow the host's. */
const CHILD_ENVIRONMENT = { PATH: '/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin', LC_ALL: 'C', TZ: 'UTC' }

/** What spawn needs for this account. Windows programs cannot start without the system's variables, so there they keep them. */
export function spawnAs(account: Account | undefined) {
  return {
    ...(process.platform === 'win32' ? {} : { env: CHILD_ENVIRONMENT }),
    ...(account === undefined ? {} : { uid: account.uid, gid: account.gid }),
  }
}

/**
 * Runs `file` and resolves when it and its output have ended, whatever its exit code (null: ended by a signal).
 * Throws EMBEDDED_UNAVAILABLE when it cannot be started at all, ABORTED when `signal` ended it.
 */
export async function runCommand(
  file: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<CommandResult> {
  if (options.signal?.aborted) throw new AppError('ABORTED', 'Stopped before the local Postgres was ready.')
  try {
    const child = spawn(file, args, {
      cwd: '/',
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: options.timeoutMs ?? DEFAULT_TIMEOUT_MS,
      ...(options.signal === undefined ? {} : { signal: options.signal }),
      ...spawnAs(options.account),
    })
    return await collect(child)
  } catch (cause) {
    if (options.signal?.aborted)
      throw new AppError('ABORTED', 'Stopped before the local Postgres was ready.', { cause })
    throw new AppError('EMBEDDED_UNAVAILABLE', 'A program that the local Postgres needs cannot be started.', {
      facts: {
        program: file,
        uid: options.account?.uid,
        problem: cause instanceof Error ? cause.message : String(cause),
      },
      hint: 'Set DATABASE_URL to a Postgres of yours, or install the development dependencies again.',
      cause,
    })
  }
}

function collect(child: ChildProcess): Promise<CommandResult> {
  return new Promise((resolve, reject) => {
    let output = ''
    let problem: Error | undefined
    const keep = (chunk: string) => {
      output = (output + chunk).slice(-MAX_OUTPUT_CHARS)
    }
    child.stdout?.setEncoding('utf8').on('data', keep)
    child.stderr?.setEncoding('utf8').on('data', keep)
    child.on('error', error => {
      problem = error
      // A program that never started has no end to wait for.
      if (child.pid === undefined) reject(error)
    })
    child.on('close', exitCode =>
      problem === undefined ? resolve({ exitCode, output: output.trim() }) : reject(problem),
    )
  })
}
