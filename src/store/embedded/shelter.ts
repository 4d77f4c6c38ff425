/**
 * Where the data lives, and the place outside of the clone for what the server's account cannot reach inside of it.
 *
 * A clone under /root is usual in containers and on rented machines, and /root has mode 0700: an unprivileged server can enter
 * neither `.data/postgres` nor node_modules. We do not open what the operator has closed. The data goes to a directory of its own
 * under the shelter, and `.data/postgres` becomes a symbolic link to it, so that there is still one place to look at, and removing
 * the link is still how one starts again. The shelter is /var/lib/linkdao-indexer: /var/tmp is second choice, because
 * systemd-tmpfiles removes what is older than 30 days from there, file by file.
 *
 * Always holds: the link decides. A home has a random name and counts only once a link points to it, so that two first starts at
 * the same time cannot meet in one. A home is removed by `removePlace` through its link and in no other way: a home whose link is
 * not where it was may belong to a clone that was moved.
 */
import { createHash, randomBytes } from 'node:crypto'
import { chmod, lstat, mkdir, mkdtemp, readlink, realpath, rm, rmdir, symlink } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { AppError } from '../../errors.ts'
import { canReach } from './account.ts'
import type { Account } from './command.ts'
import { findServer } from './postmaster.ts'

const SHELTERS = ['/var/lib/linkdao-indexer', '/var/tmp/linkdao-indexer'] as const
const DATA_NAME = 'data'

export function randomSuffix(): string {
  return randomBytes(6).toString('hex')
}

/** The absolute path, real but for a last part that need not be there yet, of what `directory` is or links to. */
export async function resolvePlace(directory: string): Promise<string> {
  const parent = dirname(resolve(directory))
  await mkdir(parent, { recursive: true })
  const place = join(await realpath(parent), basename(resolve(directory)))
  const link = await readlink(place).catch(() => undefined)
  if (link === undefined) return place
  const target = resolve(dirname(place), link)
  const home = await realpath(dirname(target)).catch(() => dirname(target))
  return join(home, basename(target))
}

/** Makes sure that `account` can reach the data directory, moving it to the shelter if need be; returns where it is. */
export async function choosePlace(
  directory: string,
  account: Account | undefined,
  shelter: string | undefined,
  signal?: AbortSignal,
): Promise<string> {
  const place = await resolvePlace(directory)
  const parent = dirname(place)
  // A link whose home is gone: somebody cleaned up, and what is made now is a new home in the old place.
  if ((await lstat(parent).catch(() => undefined)) === undefined) {
    await mkdir(parent, { recursive: true })
    await chmod(parent, 0o711)
  }
  if (await canReach(account, 'x', parent, signal)) return place
  await rmdir(place).catch(() => undefined)
  if ((await lstat(place).catch(() => undefined)) !== undefined) {
    throw new AppError('EMBEDDED_UNAVAILABLE', 'The data of the local Postgres is where its user cannot reach it.', {
      facts: { directory: place, uid: account?.uid },
      hint: 'Move the clone to a directory that other users can enter, move the data away to start again, or set DATABASE_URL.',
    })
  }
  return moveOut(place, await openShelter(account, shelter, signal))
}

async function moveOut(place: string, shelter: string): Promise<string> {
  const key = createHash('sha256').update(place).digest('hex').slice(0, 12)
  const home = await mkdtemp(join(shelter, `${DATA_NAME}-${key}-`))
  await chmod(home, 0o711)
  try {
    await symlink(join(home, DATA_NAME), place)
  } catch (cause) {
    await rm(home, { recursive: true, force: true })
    if ((cause as NodeJS.ErrnoException).code !== 'EEXIST') throw cause
    return resolvePlace(place)
  }
  return join(home, DATA_NAME)
}

/** The first shelter that is root's alone and that `account` can enter. */
export async function openShelter(
  account: Account | undefined,
  preferred: string | undefined,
  signal?: AbortSignal,
): Promise<string> {
  const candidates = preferred === undefined ? SHELTERS : [resolve(preferred)]
  for (const path of candidates) {
    await mkdir(path, { recursive: true, mode: 0o755 }).catch(() => undefined)
    const state = await lstat(path).catch(() => undefined)
    // /var/tmp is everybody's: a directory that somebody else put there first is a trap, not a shelter.
    if (state === undefined || !state.isDirectory() || state.uid !== process.getuid?.()) continue
    await chmod(path, 0o755)
    if (await canReach(account, 'x', path, signal)) return path
  }
  throw new AppError('EMBEDDED_UNAVAILABLE', 'There is no directory that the user of the local Postgres can reach.', {
    facts: { tried: candidates.join(','), uid: account?.uid },
    hint: 'Move the clone to a directory that other users can enter, or set DATABASE_URL.',
  })
}

/** Removes the data for good: the directory or the link, and what the link points to. Refuses while a server runs in it. */
export async function removePlace(directory: string): Promise<void> {
  const data = await resolvePlace(directory)
  const server = await findServer(data)
  if (server.kind !== 'none' && server.kind !== 'stale') {
    throw new AppError('EMBEDDED_UNAVAILABLE', 'The data of a running Postgres is not removed.', {
      facts: { directory: data, pid: server.pid },
      hint: 'Stop the server first.',
    })
  }
  const home = dirname(data)
  const isSheltered = basename(data) === DATA_NAME && new RegExp(`^${DATA_NAME}-[0-9a-f]{12}-`).test(basename(home))
  await rm(isSheltered ? home : data, { recursive: true, force: true })
  await rm(directory, { recursive: true, force: true })
}
