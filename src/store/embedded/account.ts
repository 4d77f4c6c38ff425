/**
 * Who the server runs as.
 *
 * Postgres refuses to run as root. Where we are root it runs as, in this order: the owner of the data directory that is already
 * there (another choice could not open it), `postgres` (it exists wherever a distribution's Postgres was installed, and is meant
 * for this), `nobody` (there on every Linux: nothing of the host has to be changed for a development database), or a system user
 * made for the purpose. Numbers are not enough: initdb looks up the name of its user, so an account must be known to the system.
 * Everybody else runs it as themselves.
 *
 * Whether such an account can reach a file is asked of the kernel, by a shell that runs as that account: modes alone do not tell,
 * because of access lists, mount options and user namespaces.
 */
import { readdir, stat } from 'node:fs/promises'
import { AppError } from '../../errors.ts'
import { type Account, runCommand } from './command.ts'

const KNOWN_NAMES = ['postgres', 'nobody'] as const
const OWN_NAME = 'linkdao-postgres'

/** The account to run the server as, or undefined for our own. `data` is the data directory, which need not be there yet. */
export async function chooseAccount(data: string, signal?: AbortSignal): Promise<Account | undefined> {
  if (process.getuid?.() !== 0) return undefined
  const owner = await findOwner(data)
  if (owner !== undefined) return owner
  for (const name of KNOWN_NAMES) {
    const account = await findUsable(name, signal)
    if (account !== undefined) return account
  }
  await runCommand('useradd', ['--system', '--no-create-home', '--shell', '/bin/false', OWN_NAME], { signal }).catch(
    () => undefined,
  )
  const made = await findUsable(OWN_NAME, signal)
  if (made !== undefined) return made
  throw new AppError(
    'EMBEDDED_UNAVAILABLE',
    'Postgres does not run as root, and there is no other user to run it as.',
    {
      facts: { tried: [...KNOWN_NAMES, OWN_NAME].join(',') },
      hint: 'Run as a normal user, create a user named postgres, or set DATABASE_URL.',
    },
  )
}

/** True when `account` may do `test` (x: enter or execute, r: read) on `path`, every directory above included. */
export async function canReach(
  account: Account | undefined,
  test: 'x' | 'r',
  path: string,
  signal?: AbortSignal,
): Promise<boolean> {
  if (account === undefined) return true
  const result = await runCommand('/bin/sh', ['-c', `test -${test} "$1"`, 'sh', path], { account, signal })
  // A shell that was cut short has not answered, and a wrong no would move the data.
  if (result.exitCode === null) {
    throw new AppError(
      'EMBEDDED_UNAVAILABLE',
      'Whether the user of the local Postgres reaches its files is not known.',
      {
        facts: { path, uid: account.uid },
        hint: 'Try again, or set DATABASE_URL.',
        retryable: true,
      },
    )
  }
  return result.exitCode === 0
}

async function findOwner(data: string): Promise<Account | undefined> {
  const names = await readdir(data).catch(() => [])
  if (names.length === 0) return undefined
  const { uid, gid } = await stat(data)
  return uid === 0 ? undefined : { uid, gid }
}

async function findUsable(name: string, signal: AbortSignal | undefined): Promise<Account | undefined> {
  const uid = await askId('-u', name, signal)
  const gid = await askId('-g', name, signal)
  if (uid === undefined || gid === undefined || uid === 0) return undefined
  const account = { uid, gid }
  // In a user namespace an account can be listed and still not be ours to become.
  const usable = await canReach(account, 'x', '/', signal).catch(() => false)
  return usable ? account : undefined
}

async function askId(flag: '-u' | '-g', name: string, signal: AbortSignal | undefined): Promise<number | undefined> {
  const { exitCode, output } = await runCommand('id', [flag, name], { signal })
  return exitCode === 0 && /^\d+$/.test(output) ? Number(output) : undefined
}
