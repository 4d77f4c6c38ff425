/**
 * PgBouncer in transaction mode, in front of a Postgres: what hosts put between a daemon and its database.
 *
 * Always holds: it answers before `startPgBouncer` returns, on a port of its own, with files of its own in a temporary directory;
 * nothing is left after `stop`. As root it runs as an unprivileged user, because it refuses to be root.
 */

import { type ChildProcess, spawn } from 'node:child_process'
import { access, chmod, chown, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { chooseAccount } from '../../src/store/embedded/account.ts'
import { spawnAs } from '../../src/store/embedded/command.ts'

export type PgBouncer = {
  /** The given URL, by way of the pooler. */
  urlOf(databaseUrl: string): string
  stop(): Promise<void>
}

/** What to do where there is none. */
export const HOW_TO_INSTALL = 'PgBouncer is not installed; on Debian: apt-get install -y pgbouncer'

/** Less than a daemon opens connections: so that its transactions share sessions, also with those of others. */
const POOL_SIZE = 5
/** A port that was free can be taken by somebody else in between. */
const MAX_STARTS = 3
const START_DEADLINE_MS = 10_000
const STOP_DEADLINE_MS = 3_000

/** The program, or null where it is not installed. Debian puts it where only root looks. */
export async function findPgBouncer(): Promise<string | null> {
  const directories = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin']
  for (const directory of directories) {
    const program = join(directory, 'pgbouncer')
    if (
      await access(program).then(
        () => true,
        () => false,
      )
    )
      return program
  }
  return null
}

/** Starts it for all databases of the server that the URL names, with that URL's user. */
export async function startPgBouncer(program: string, serverUrl: string): Promise<PgBouncer> {
  for (let start = 1; ; start += 1) {
    const directory = await mkdtemp(join(tmpdir(), 'linkdao-pgbouncer-'))
    const port = await findFreePort()
    const child = await launch(program, directory, new URL(serverUrl), port)
    const stop = async () => {
      await end(child)
      await rm(directory, { recursive: true, force: true })
    }
    const problem = await problemAtStart(child)
    if (problem === null) {
      return {
        urlOf(databaseUrl) {
          const url = new URL(databaseUrl)
          url.port = String(port)
          return url.href
        },
        stop,
      }
    }
    await stop()
    if (start === MAX_STARTS) throw new Error(`PgBouncer does not start:\n${problem}`)
  }
}

async function launch(program: string, directory: string, server: URL, port: number): Promise<ChildProcess> {
  const users = join(directory, 'users.txt')
  const settings = join(directory, 'pgbouncer.ini')
  const quoted = [server.username, server.password].map(text => `"${decodeURIComponent(text).replaceAll('"', '""')}"`)
  await writeFile(users, `${quoted.join(' ')}\n`, { mode: 0o600 })
  await writeFile(
    settings,
    [
      '[databases]',
      `* = host=${server.hostname} port=${server.port}`,
      '[pgbouncer]',
      'listen_addr = 127.0.0.1',
      `listen_port = ${port}`,
      'unix_socket_dir =',
      'auth_type = scram-sha-256',
      `auth_file = ${users}`,
      'pool_mode = transaction',
      `default_pool_size = ${POOL_SIZE}`,
      'max_client_conn = 200',
      '',
    ].join('\n'),
    { mode: 0o600 },
  )
  const account = await chooseAccount(directory)
  if (account !== undefined) {
    for (const path of [directory, users, settings]) await chown(path, account.uid, account.gid)
    await chmod(directory, 0o700)
  }
  const child = spawn(program, [settings], { stdio: ['ignore', 'ignore', 'pipe'], cwd: '/', ...spawnAs(account) })
  children.add(child)
  child.once('exit', () => children.delete(child))
  return child
}

const children = new Set<ChildProcess>()
process.on('exit', () => {
  for (const child of children) child.kill('SIGKILL')
})

/** @returns null once it listens; what it said when it ended instead */
function problemAtStart(child: ChildProcess): Promise<string | null> {
  return new Promise(resolve => {
    let said = ''
    const late = setTimeout(() => resolve(`silent for ${START_DEADLINE_MS} ms\n${said}`), START_DEADLINE_MS)
    const finish = (problem: string | null) => {
      clearTimeout(late)
      resolve(problem)
    }
    child.stderr?.setEncoding('utf8').on('data', (chunk: string) => {
      // Only its beginning is of interest; what comes later is read so that it is not held up.
      if (said.length < 10_000) said += chunk
      if (said.includes('process up')) finish(null)
    })
    child.once('error', error => finish(error.message))
    child.once('exit', () => finish(said))
  })
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const gone = new Promise<void>(resolve => {
    child.once('exit', () => resolve())
  })
  const late = setTimeout(() => child.kill('SIGKILL'), STOP_DEADLINE_MS)
  child.kill('SIGTERM')
  await gone
  clearTimeout(late)
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
