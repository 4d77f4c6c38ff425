/**
 * A real local Postgres for those who have none: in one directory, for one machine, with no set-up.
 *
 * Always holds:
 * - One server a directory. Whoever comes second uses the one that runs. There is no lock of our own: the data directory appears
 *   by one rename (cluster.ts), and Postgres itself lets only one server into it, so of two starts at the same time the loser's
 *   server ends and its caller finds the winner's.
 * - Whoever leaves last stops it (lease.ts): a short command that happened to start the server does not take it from the daemon
 *   that came later, and a server whose owner was killed ends with the next one who used it.
 * - It listens on 127.0.0.1 only, on a port that was free, with SCRAM and a random password, without Unix sockets: their paths
 *   have a limit that a deep clone exceeds.
 * - It is in a process group of its own: Ctrl-C on a terminal reaches the daemon alone, which stops its server last.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { constants } from 'node:fs'
import { open, readFile, realpath } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { AppError } from '../errors.ts'
import { sleep } from '../runtime/sleep.ts'
import { chooseAccount } from './embedded/account.ts'
import { type Binaries, findBinaries, prepareBinaries } from './embedded/binaries.ts'
import { ensureCluster } from './embedded/cluster.ts'
import { type Account, spawnAs } from './embedded/command.ts'
import { buildUrl, type Lease, takeLease } from './embedded/lease.ts'
import { findServer, isAlive, removeStaleFile } from './embedded/postmaster.ts'
import { choosePlace, randomSuffix, removePlace, resolvePlace } from './embedded/shelter.ts'

export type EmbeddedServer = {
  /** `postgres://user:password@127.0.0.1:port/linkdao`: a secret. */
  readonly url: string
  readonly port: number
  /** True when the server was there before. */
  readonly adopted: boolean
  /** Leaves the server, and stops it when nobody else uses it. Idempotent; waits until it has ended. */
  stop(): Promise<void>
}

export type EmbeddedOptions = {
  /** The data directory, such as `.data/postgres`; becomes a link where the server's user cannot reach it. */
  readonly directory: string
  readonly log: (message: string, facts?: Record<string, unknown>) => void
  /** Server settings, such as `{ fsync: 'off' }`. A server that runs already keeps its own. */
  readonly settings?: Readonly<Record<string, string>>
  /** The programs of another version than the installed one: absolute paths. */
  readonly binaries?: Binaries
  /** A directory for what the server's user cannot reach inside the clone; /var/lib/linkdao-indexer unless given. */
  readonly shelter?: string
  readonly signal?: AbortSignal
}

/** Where everything is and who runs it, once that is settled. */
type Site = {
  readonly data: string
  readonly binaries: Binaries
  readonly account: Account | undefined
  readonly password: string
  readonly options: EmbeddedOptions
}

/** How often a server may turn out to be gone, or end at once (a lost race, a port that was taken), before we give up. */
const MAX_ATTEMPTS = 8
const ATTEMPT_PAUSE_MS = 250
/** Recovery after a crash comes before the first answer. */
const MAX_READY_POLLS = 1_200
const READY_POLL_MS = 50
/** A process that may be another program gets less patience. */
const MAX_UNCLEAR_POLLS = 100
/** A fast shutdown writes a checkpoint; after this time it is cut short, and the next start recovers. */
const MAX_STOP_POLLS = 1_200
const STOP_POLL_MS = 50
const LOG_FILE = 'server.log'
const MAX_LOG_BYTES = 8_000_000

/** Starts the server of `directory`, or joins the one that runs. Throws EMBEDDED_UNAVAILABLE or ABORTED. */
export async function startEmbedded(options: EmbeddedOptions): Promise<EmbeddedServer> {
  const { directory, log, signal, shelter } = options
  const given = options.binaries ?? (await findBinaries())
  const account = await chooseAccount(await resolvePlace(directory), signal)
  const { binaries, major } = await prepareBinaries(given, account, shelter, signal)
  const place = await choosePlace(directory, account, shelter, signal)
  const durable = options.settings?.['fsync'] !== 'off'
  const password = await ensureCluster({ data: place, binaries, major, account, durable, log, signal })
  const site: Site = { data: await realpath(place), binaries, account, password, options }

  for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt += 1) {
    if (attempt > 1) await sleep(ATTEMPT_PAUSE_MS, signal)
    if (signal?.aborted) throw new AppError('ABORTED', 'Stopped before the local Postgres was ready.')
    const server = (await joinRunning(site)) ?? (await launch(site))
    if (server !== undefined) return server
  }
  throw new AppError('EMBEDDED_UNAVAILABLE', 'The local Postgres does not start.', {
    facts: { directory: site.data, attempts: MAX_ATTEMPTS, lastLines: await readLogTail(site.data) },
    hint: 'See server.log in that directory, or set DATABASE_URL.',
  })
}

/** Deletes the data of `directory`, wherever it is. Throws EMBEDDED_UNAVAILABLE while a server runs in it. */
export async function removeEmbedded(directory: string): Promise<void> {
  await removePlace(directory)
}

/** Uses the server that runs, once it has proved to be ours. Undefined when there is none, or none any more. */
async function joinRunning(site: Site): Promise<EmbeddedServer | undefined> {
  const { data, password, options } = site
  const found = await findServer(data)
  if (found.kind === 'none') return undefined
  if (found.kind === 'stale') {
    // The file of a dead process is left to Postgres, which also looks for what that server may have left in memory.
    if (found.pid !== 0 && !(await isAlive(found.pid))) return undefined
    options.log('The postmaster.pid of the local Postgres names another program; it is not believed', {
      pid: found.pid,
    })
    await removeStaleFile(data, found.text, randomSuffix())
    return undefined
  }
  const { pid, port } = found
  const maxPolls = found.kind === 'running' ? MAX_READY_POLLS : MAX_UNCLEAR_POLLS
  for (let poll = 0; poll < maxPolls && !options.signal?.aborted; poll += 1) {
    const lease = await takeLease(port, password, data)
    if (lease !== undefined) {
      options.log('Using the local Postgres that is running', { port, pid, directory: data })
      return present(site, { port, pid, lease, child: undefined })
    }
    await sleep(READY_POLL_MS, options.signal)
    const now = await findServer(data)
    if (!('port' in now) || now.pid !== pid) return undefined
  }
  if (options.signal?.aborted) return undefined
  throw new AppError('EMBEDDED_UNAVAILABLE', 'A process that seems to be the local Postgres does not answer.', {
    facts: { pid, port, directory: data },
    hint: 'End that process, or remove postmaster.pid in that directory if it is another program.',
  })
}

/** Starts a server. Undefined when it ended before it was ready, which the caller looks into. */
async function launch(site: Site): Promise<EmbeddedServer | undefined> {
  const { data, password, options } = site
  const port = await findFreePort()
  const child = await spawnServer(site, port)
  const pid = child.pid
  if (pid === undefined) return undefined
  try {
    for (let poll = 0; poll < MAX_READY_POLLS && isRunning(child) && !options.signal?.aborted; poll += 1) {
      const lease = await takeLease(port, password, data)
      if (lease !== undefined) {
        // The session keeps this process alive until `stop`; the child as such need not.
        child.unref()
        options.log('Started a local Postgres', { port, pid, directory: data })
        return present(site, { port, pid, lease, child })
      }
      await sleep(READY_POLL_MS, options.signal)
    }
  } catch (error) {
    await shutDown(pid, child)
    throw error
  }
  await shutDown(pid, child)
  return undefined
}

async function spawnServer(site: Site, port: number): Promise<ChildProcess> {
  const { data, binaries, account, options } = site
  // listen_addresses comes first: it marks the end of the directory where a command line is read back (postmaster.ts).
  const fixed: Readonly<Record<string, string>> = {
    listen_addresses: '127.0.0.1',
    port: String(port),
    unix_socket_directories: '',
    timezone: 'UTC',
    log_timezone: 'UTC',
    logging_collector: 'off',
  }
  const args = Object.entries({ ...fixed, ...options.settings, ...fixed }).flatMap(pair => ['-c', pair.join('=')])
  const log = await openLog(data)
  try {
    const child = spawn(binaries.postgres, ['-D', data, ...args], {
      cwd: '/',
      detached: true,
      stdio: ['ignore', log.fd, log.fd],
      ...spawnAs(account),
    })
    await new Promise<void>((resolve, reject) => child.once('spawn', resolve).once('error', reject))
    return child
  } catch (cause) {
    throw new AppError('EMBEDDED_UNAVAILABLE', 'The local Postgres cannot be started.', {
      facts: { program: binaries.postgres, problem: cause instanceof Error ? cause.message : String(cause) },
      hint: 'Set DATABASE_URL, or install the development dependencies again.',
      cause,
    })
  } finally {
    await log.close()
  }
}

type Running = {
  readonly port: number
  readonly pid: number
  readonly lease: Lease
  /** Only where this process started it. */
  readonly child: ChildProcess | undefined
}

function present(site: Site, running: Running): EmbeddedServer {
  let stopping: Promise<void> | undefined
  return {
    url: buildUrl(running.port, site.password),
    port: running.port,
    adopted: running.child === undefined,
    stop: () => (stopping ??= leaveServer(site, running)),
  }
}

async function leaveServer(site: Site, { pid, port, lease, child }: Running): Promise<void> {
  // A session that was lost says nothing about the others; then we end what we started, and nothing else.
  const isLast = await lease.leave().catch(() => child !== undefined && isRunning(child))
  if (isLast) await shutDown(pid, child)
  await lease.close()
  site.options.log(isLast ? 'Stopped the local Postgres' : 'Left the local Postgres to those who still use it', {
    port,
    pid,
  })
}

/** Ends the server and waits for it: fast (sessions are cut, data is written), then at once. */
async function shutDown(pid: number, child: ChildProcess | undefined): Promise<void> {
  child?.ref()
  const hasEnded = async () => (child === undefined ? !(await isAlive(pid)) : !isRunning(child))
  for (const signal of ['SIGINT', 'SIGQUIT', 'SIGKILL'] as const) {
    if (await hasEnded()) return
    try {
      process.kill(pid, signal)
    } catch {
      // It ended in between.
    }
    for (let poll = 0; poll < MAX_STOP_POLLS; poll += 1) {
      if (await hasEnded()) return
      await sleep(STOP_POLL_MS)
    }
  }
  throw new AppError('EMBEDDED_UNAVAILABLE', 'The local Postgres does not end.', {
    facts: { pid },
    hint: 'End it by hand.',
  })
}

function isRunning(child: ChildProcess): boolean {
  return child.exitCode === null && child.signalCode === null
}

function findFreePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0))
    })
  })
}

/** The server's account owns the directory, so as root we must not follow a link that was put where our file should be. */
async function openLog(data: string) {
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_APPEND | (constants.O_NOFOLLOW ?? 0)
  const file = await open(join(data, LOG_FILE), flags, 0o600)
  const { size } = await file.stat()
  if (size > MAX_LOG_BYTES) await file.truncate()
  return file
}

async function readLogTail(data: string): Promise<string> {
  const text = await readFile(join(data, LOG_FILE), 'utf8').catch(() => '')
  return text.slice(-400)
}
