/**
 * A primary and a standby that streams from it: two real servers, the second begun as a copy of the first while that was stopped.
 *
 * Always holds: the way from one to the other leads through a forwarder, so that the standby can be left behind; passwords stay in
 * files that only the servers' account reads.
 */
import { appendFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type EmbeddedServer, startEmbedded } from '../../src/store/embedded.ts'
import { runCommand } from '../../src/store/embedded/command.ts'
import { type Forwarder, openForwarder } from './forwarder.ts'
import { connectTo, until } from './outage-stage.ts'

const SETTINGS = { fsync: 'off', shared_buffers: '32MB', wal_keep_size: '64MB', hot_standby_feedback: 'on' }

export type Cluster = { readonly data: string; readonly server: EmbeddedServer }

export type Pair = {
  readonly primary: Cluster
  readonly standby: Cluster
  /** What the standby streams through. */
  readonly stream: Forwarder
  /** Waits until the standby has replayed what the primary has written so far. */
  untilReplayed(): Promise<void>
  /** Makes a primary of the standby. */
  promote(): Promise<void>
}

export async function startCluster(data: string): Promise<Cluster> {
  return { data, server: await startEmbedded({ directory: data, log: () => undefined, settings: SETTINGS }) }
}

/** Gives a primary a standby. The primary is started again for it, on another port. */
export async function startPair(before: Cluster, data: string): Promise<Pair> {
  await before.server.stop()
  const { exitCode, output } = await runCommand('cp', ['-a', before.data, data])
  if (exitCode !== 0) throw new Error(`the data can not be copied: ${output}`)
  const primary = await startCluster(before.data)
  const stream = await openForwarder(primary.server.port)
  await follow(data, primary, stream.port)
  const standby = await startCluster(data)
  return {
    primary,
    standby,
    stream,
    async untilReplayed() {
      const written = await ask(primary, 'select pg_current_wal_lsn()::text as answer')
      await until('the standby has replayed it', async () => {
        const replayed = await ask(standby, `select pg_last_wal_replay_lsn() >= '${written}'::pg_lsn as answer`)
        return replayed === 'true'
      })
    },
    async promote() {
      await ask(standby, 'select pg_promote() as answer')
    },
  }
}

/** The files are there already with the account that runs the server: what is appended to keeps its owner. */
async function follow(data: string, { server }: Cluster, port: number): Promise<void> {
  const { username, password } = new URL(server.url)
  const conninfo = `host=127.0.0.1 port=${port} user=${username} password=${password} sslmode=disable`
  await appendFile(join(data, 'postgresql.auto.conf'), `primary_conninfo = '${conninfo}'\n`)
  await writeFile(join(data, 'standby.signal'), '')
}

async function ask({ server }: Cluster, question: string): Promise<string> {
  const sql = connectTo(server.url, 'postgres', 1)
  try {
    const [row] = await sql.unsafe<{ answer: unknown }[]>(question)
    return String(row?.answer)
  } finally {
    await sql.end({ timeout: 1 })
  }
}
