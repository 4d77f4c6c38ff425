/**
 * One Postgres server for a whole test run, in a temporary directory, without durability.
 *
 * vitest calls this once for every project that asks for it, each time with another module instance: what is shared is kept at the
 * process, and the last teardown ends it. Workers get the URL by `inject('postgresUrl')`; databases come from database.ts.
 *
 * A run that was killed leaves a server. Its directory names the run's process, so the next run ends and removes it: nobody else
 * can, because the name is never used again.
 */
import { chmod, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import type { TestProject } from 'vitest/node'
import { importBinaries } from '../../src/store/embedded/binaries.ts'
import { findServer, isAlive } from '../../src/store/embedded/postmaster.ts'
import { type EmbeddedServer, removeEmbedded, startEmbedded } from '../../src/store/embedded.ts'

declare module 'vitest' {
  interface ProvidedContext {
    /** A superuser's URL. The database in it is empty and shared: tests make their own. */
    postgresUrl: string
  }
}

type Shared = { users: number; readonly server: Promise<EmbeddedServer>; readonly remove: () => Promise<void> }

const SHARED = Symbol.for('linkdao.test.postgres')
const PREFIX = 'linkdao-test-postgres-'
const DATA_NAME = 'data'
const SETTINGS = {
  fsync: 'off',
  synchronous_commit: 'off',
  full_page_writes: 'off',
  max_connections: '200',
  // Two cores, many small databases: memory that is never used is not worth its start-up.
  shared_buffers: '64MB',
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const shared = share()
  const leave = async () => {
    shared.users -= 1
    if (shared.users === 0) await shared.remove()
  }
  try {
    project.provide('postgresUrl', (await shared.server).url)
  } catch (error) {
    await leave()
    throw error
  }
  return leave
}

function share(): Shared {
  const holder = globalThis as { [SHARED]?: Shared | undefined }
  if (holder[SHARED] !== undefined) {
    holder[SHARED].users += 1
    return holder[SHARED]
  }
  let parent: string | undefined
  const start = async () => {
    await removeAbandoned()
    parent = await mkdtemp(join(tmpdir(), `${PREFIX}${process.pid}-`))
    // As root the server has another user, who only has to pass through.
    await chmod(parent, 0o711)
    const directory = process.env['TEST_POSTGRES_BINARIES']
    const binaries = directory ? await importBinaries(resolve(directory, 'dist', 'index.js')) : undefined
    return startEmbedded({
      directory: join(parent, DATA_NAME),
      log: () => undefined,
      settings: SETTINGS,
      ...(binaries === undefined ? {} : { binaries }),
    })
  }
  const server = start()
  const remove = async () => {
    holder[SHARED] = undefined
    await server.then(running => running.stop()).catch(() => undefined)
    if (parent === undefined) return
    await removeEmbedded(join(parent, DATA_NAME))
    await rm(parent, { recursive: true, force: true })
  }
  const shared: Shared = { users: 1, server, remove }
  holder[SHARED] = shared
  return shared
}

async function removeAbandoned(): Promise<void> {
  for (const name of await readdir(tmpdir())) {
    const pid = Number(name.startsWith(PREFIX) ? name.slice(PREFIX.length).split('-')[0] : Number.NaN)
    if (!Number.isSafeInteger(pid) || pid <= 0 || (await isAlive(pid))) continue
    const data = join(tmpdir(), name, DATA_NAME)
    const found = await findServer(data)
    // Without durability there is nothing to write back: the server may end at once.
    if (found.kind === 'running') process.kill(found.pid, 'SIGQUIT')
    await rm(join(tmpdir(), name), { recursive: true, force: true, maxRetries: 10, retryDelay: 100 })
  }
}
