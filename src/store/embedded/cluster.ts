/**
 * The data directory: made by initdb once, with its password.
 *
 * Always holds: the directory is either absent or complete. initdb works beside it, the password is put inside, and the whole is
 * renamed into place, so that a process that is killed on the way leaves a draft that the next start removes, and of two first
 * starts at the same time one wins the rename and the other uses what it made. A directory that is not ours is never deleted: one
 * without a control file is a half-finished initdb and is moved aside, anything else is refused.
 *
 * The password is in the directory and nowhere else: mode 0600, gone with the data, never in a log or on a command line.
 */
import { randomBytes } from 'node:crypto'
import { chmod, chown, lstat, mkdir, open, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { AppError } from '../../errors.ts'
import type { Binaries } from './binaries.ts'
import { type Account, runCommand } from './command.ts'
import { isAlive } from './postmaster.ts'
import { randomSuffix } from './shelter.ts'

export const SUPERUSER = 'postgres'
const PASSWORD_FILE = 'linkdao.password'
const INIT_TIMEOUT_MS = 180_000

export type ClusterOptions = {
  readonly data: string
  readonly binaries: Binaries
  readonly major: number
  readonly account: Account | undefined
  /** False where the data need not outlive a power failure. */
  readonly durable: boolean
  readonly log: (message: string, facts?: Record<string, unknown>) => void
  readonly signal: AbortSignal | undefined
}

/** Makes the data directory where there is none; returns the password of its superuser. */
export async function ensureCluster(options: ClusterOptions): Promise<string> {
  const { data, log } = options
  await removeDrafts(data)
  const state = await inspect(data)
  if (state === 'half') {
    const aside = `${data}.incomplete-${randomSuffix()}`
    await rename(data, aside)
    log('Moved an unfinished Postgres data directory aside', { directory: data, to: aside })
  }
  if (state !== 'complete') await initialise(options)
  await requireMajor(data, options.major)
  return readPassword(data)
}

async function inspect(data: string): Promise<'absent' | 'half' | 'complete'> {
  const names = await readdir(data).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === 'ENOENT') return [] as string[]
    throw unusable(data, `The data directory of the local Postgres cannot be read: ${cause.code}.`, cause)
  })
  if (names.length === 0) return 'absent'
  const control = await lstat(join(data, 'global', 'pg_control')).catch(() => undefined)
  if (names.includes('PG_VERSION') && control !== undefined && names.includes(PASSWORD_FILE)) return 'complete'
  if (names.includes('PG_VERSION') && control === undefined) return 'half'
  throw unusable(data, 'The data directory of the local Postgres holds something else.')
}

async function initialise(options: ClusterOptions): Promise<void> {
  const { data, binaries, account, durable, log, signal } = options
  log('Making a data directory for the local Postgres', { directory: data })
  const draft = `${data}.draft-${process.pid}-${randomSuffix()}`
  const cluster = join(draft, 'data')
  const passwordFile = join(draft, 'password')
  const password = randomBytes(24).toString('hex')
  try {
    await makeFor(account, draft)
    await makeFor(account, cluster)
    await writeSecret(account, passwordFile, password)
    const args = ['-D', cluster, '-U', SUPERUSER, `--pwfile=${passwordFile}`, '--auth=scram-sha-256']
    args.push('--encoding=UTF8', '--no-locale', '--text-search-config=english', '--no-instructions')
    if (!durable) args.push('--no-sync')
    const result = await runCommand(binaries.initdb, args, { account, signal, timeoutMs: INIT_TIMEOUT_MS })
    if (result.exitCode !== 0) {
      throw unusable(data, 'initdb failed.', undefined, {
        exitCode: result.exitCode,
        output: result.output.slice(-400),
      })
    }
    await writeSecret(account, join(cluster, PASSWORD_FILE), password)
    await putInPlace(cluster, data, durable)
  } finally {
    await rm(draft, { recursive: true, force: true })
  }
}

async function putInPlace(cluster: string, data: string, durable: boolean): Promise<void> {
  try {
    await rename(cluster, data)
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code
    // Another process was first. EPERM is what Windows calls it.
    if (code !== 'ENOTEMPTY' && code !== 'EEXIST' && code !== 'EPERM') throw cause
    return
  }
  if (!durable || process.platform === 'win32') return
  const parent = await open(dirname(data), 'r')
  try {
    await parent.sync()
  } finally {
    await parent.close()
  }
}

/** Removes what first starts that were killed have left. The name holds the process, so that one at work is let be. */
async function removeDrafts(data: string): Promise<void> {
  const prefix = `${basename(data)}.draft-`
  for (const name of await readdir(dirname(data))) {
    const pid = Number(name.startsWith(prefix) ? name.slice(prefix.length).split('-')[0] : Number.NaN)
    if (!Number.isSafeInteger(pid) || pid <= 0 || (await isAlive(pid))) continue
    await rm(join(dirname(data), name), { recursive: true, force: true })
  }
}

async function makeFor(account: Account | undefined, directory: string): Promise<void> {
  await mkdir(directory, { mode: 0o700 })
  await chmod(directory, 0o700)
  if (account !== undefined) await chown(directory, account.uid, account.gid)
}

async function writeSecret(account: Account | undefined, path: string, secret: string): Promise<void> {
  await writeFile(path, secret, { mode: 0o600, flag: 'wx' })
  if (account !== undefined) await chown(path, account.uid, account.gid)
}

async function readPassword(data: string): Promise<string> {
  const password = await readFile(join(data, PASSWORD_FILE), 'utf8').catch((cause: NodeJS.ErrnoException) => {
    throw unusable(data, `The password of the local Postgres cannot be read: ${cause.code}.`, cause)
  })
  return password.trim()
}

async function requireMajor(data: string, major: number): Promise<void> {
  const version = await readFile(join(data, 'PG_VERSION'), 'utf8').catch(() => '')
  if (Number(version.trim()) === major) return
  throw new AppError('EMBEDDED_UNAVAILABLE', 'The local data was written by another major version of Postgres.', {
    facts: { directory: data, dataMajor: version.trim(), serverMajor: major },
    hint: 'Move the directory away to start with an empty database, or install the package of that version.',
  })
}

function unusable(data: string, message: string, cause?: unknown, facts: Record<string, string | number | null> = {}) {
  return new AppError('EMBEDDED_UNAVAILABLE', message, {
    facts: { directory: data, ...facts },
    hint: 'Move the directory away to start with an empty database, run as its owner, or set DATABASE_URL.',
    cause,
  })
}
