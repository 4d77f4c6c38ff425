/**
 * Whether a server runs in a data directory, told from its postmaster.pid.
 *
 * The file outlives a server that was killed, and its number may belong to another program by now, so the number alone is never
 * believed: the process must be alive, must not be a zombie (nobody may be there to collect it in a container), and must be a
 * postgres that was started for this very directory. The command line says so: unlike the working directory it can be read without
 * the right to trace, which root does not have in a container. What remains is proved by connecting (embedded.ts).
 *
 * Postgres itself believes the file of a live process of the same user whatever program it is, so such a file is put aside here.
 */
import { link, readFile, realpath, rename, rm } from 'node:fs/promises'
import { basename, isAbsolute, join } from 'node:path'
import { runCommand } from './command.ts'

/** `unclear`: alive, and either a server that somebody started by hand or a process that may not be looked at. */
export type FoundServer =
  | { readonly kind: 'none' }
  | { readonly kind: 'stale'; readonly pid: number; readonly text: string }
  | { readonly kind: 'running' | 'unclear'; readonly pid: number; readonly port: number }

const FILE_NAME = 'postmaster.pid'

/** What postmaster.pid says about `data` and what of it is true. */
export async function findServer(data: string): Promise<FoundServer> {
  const text = await readFile(join(data, FILE_NAME), 'utf8').catch(() => undefined)
  if (text === undefined) return { kind: 'none' }
  // Lines: pid, data directory, start time in seconds, port, socket directory, address, shared memory, state.
  const lines = text.split('\n')
  const pid = Number(lines[0])
  const port = Number(lines[3])
  if (!Number.isSafeInteger(pid) || pid <= 0 || !Number.isInteger(port)) return { kind: 'stale', pid: 0, text }
  const verdict = await examine(pid, data)
  return verdict === 'other' ? { kind: 'stale', pid, text } : { kind: verdict, pid, port }
}

/** False once the process has ended, even where nobody has collected it. */
export async function isAlive(pid: number): Promise<boolean> {
  try {
    process.kill(pid, 0)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return false
  }
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined)
  // "pid (name) state …", and the name may hold anything, parentheses too.
  return stat === undefined || !/^\) [ZX] /.test(stat.slice(stat.lastIndexOf(')')))
}

async function examine(pid: number, data: string): Promise<'running' | 'unclear' | 'other'> {
  if (!(await isAlive(pid))) return 'other'
  const args = await readArguments(pid)
  if (args === undefined) return 'unclear'
  if (!basename(args[0] ?? '').startsWith('postgres')) return 'other'
  const directory = args[args.indexOf('-D') + 1]
  if (!args.includes('-D') || directory === undefined || !isAbsolute(directory)) return 'unclear'
  return (await realpath(directory).catch(() => directory)) === (await realpath(data).catch(() => data))
    ? 'running'
    : 'other'
}

async function readArguments(pid: number): Promise<string[] | undefined> {
  if (process.platform === 'win32') return undefined
  if (process.platform === 'linux') {
    const line = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => undefined)
    return line === undefined || line === '' ? undefined : line.split('\0')
  }
  const { exitCode, output } = await runCommand('ps', ['-ww', '-o', 'command=', '-p', String(pid)])
  if (exitCode !== 0 || output === '') return undefined
  // Without separators a path with spaces cannot be told from several arguments: only our own form of call is understood.
  const own = /^(.*\/postgres) -D (.+) -c listen_addresses=/.exec(output)
  return own === null ? [output.split(' ')[0] ?? ''] : [own[1] ?? '', '-D', own[2] ?? '']
}

/**
 * Puts the file of a server that is no more out of the way. It is renamed and looked at again before it is removed: another
 * process may have done the same and have started a server since, whose file goes back to its place.
 */
export async function removeStaleFile(data: string, text: string, suffix: string): Promise<void> {
  const path = join(data, FILE_NAME)
  const aside = `${path}.${suffix}`
  await rename(path, aside).catch(() => undefined)
  const moved = await readFile(aside, 'utf8').catch(() => undefined)
  if (moved !== undefined && moved !== text) await link(aside, path).catch(() => undefined)
  await rm(aside, { force: true })
}
