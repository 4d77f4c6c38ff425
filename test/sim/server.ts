/**
 * One Postgres server for many runs, one after the other: a migrated template, and a database for each.
 *
 * Always holds: the server is this process's own, in a temporary directory, without fsync unless settings are given (nothing here
 * survives the machine, but everything that was committed survives the server); after a restart it listens on another port, which `place` tells.
 */
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import postgres from 'postgres'
import { sleep } from '../../src/runtime/sleep.ts'
import { findServer, isAlive } from '../../src/store/embedded/postmaster.ts'
import { type EmbeddedServer, removeEmbedded, startEmbedded } from '../../src/store/embedded.ts'
import { migrate } from '../../src/store/migrate.ts'

export type Server = {
  /** Where it listens now. */
  readonly place: { readonly port: number }
  /** A URL of a database, straight to the server as it is now. */
  urlOf(database: string): string
  createDatabase(name: string): Promise<void>
  dropDatabase(name: string): Promise<void>
  /** `stop`: sessions are cut and data is written; `crash`: as if it were killed, so that it recovers when it starts. */
  restart(how: 'stop' | 'crash'): Promise<void>
  close(): Promise<void>
}

const TEMPLATE = 'template_migrated'
const SQL_DIRECTORY = fileURLToPath(new URL('../../sql', import.meta.url))
const SETTINGS = { fsync: 'off', full_page_writes: 'off', max_connections: '100', shared_buffers: '64MB' }
const MAX_DEATH_POLLS = 200
const DEATH_POLL_MS = 25
const MAX_CLONE_ATTEMPTS = 20
const CLONE_PAUSE_MS = 100

/** @param settings of the server */
export async function startServer(settings: Readonly<Record<string, string>> = SETTINGS): Promise<Server> {
  const parent = await mkdtemp(join(tmpdir(), 'linkdao-sim-'))
  // As root the server has another user, who only has to pass through.
  await chmod(parent, 0o711)
  const directory = join(parent, 'postgres')
  const start = () => startEmbedded({ directory, log: () => undefined, settings })
  let running: EmbeddedServer = await start()
  const place = { port: running.port }
  const urlOf = (database: string) => {
    const url = new URL(running.url)
    url.pathname = `/${database}`
    return url.href
  }
  const asAdmin = async <T>(work: (sql: postgres.Sql) => Promise<T>): Promise<T> => {
    const sql = postgres(urlOf('postgres'), { max: 1, onnotice: () => undefined })
    try {
      return await work(sql)
    } finally {
      await sql.end({ timeout: 1 })
    }
  }
  await asAdmin(sql => sql`create database ${sql(TEMPLATE)}`)
  await migrate({ url: urlOf(TEMPLATE), directory: SQL_DIRECTORY, log: () => undefined })
  return {
    place,
    urlOf,
    async createDatabase(name) {
      for (let attempt = 1; ; attempt += 1) {
        try {
          await asAdmin(sql => sql`create database ${sql(name)} template ${sql(TEMPLATE)}`)
          return
        } catch (error) {
          // The session that migrated may still be about to leave.
          if (attempt >= MAX_CLONE_ATTEMPTS) throw error
          await sleep(CLONE_PAUSE_MS)
        }
      }
    },
    dropDatabase: name => asAdmin(async sql => void (await sql`drop database if exists ${sql(name)} with (force)`)),
    async restart(how) {
      if (how === 'crash') await crash(directory)
      await running.stop().catch(() => undefined)
      running = await start()
      place.port = running.port
    },
    async close() {
      await running.stop()
      await removeEmbedded(directory)
      await rm(parent, { recursive: true, force: true })
    },
  }
}

/** An immediate shutdown: what a killed server leaves behind, but that its children are gone too. */
async function crash(directory: string): Promise<void> {
  const found = await findServer(directory)
  if (!('pid' in found)) return
  process.kill(found.pid, 'SIGQUIT')
  for (let poll = 0; poll < MAX_DEATH_POLLS && (await isAlive(found.pid)); poll += 1) await sleep(DEATH_POLL_MS)
}
