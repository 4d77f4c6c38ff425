/**
 * The limit W: the finished rows, put by COPY into the same tables with the same indexes of a fresh database.
 */

import { createReadStream } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import postgres from 'postgres'

/** What a backfill writes, in the order in which it can be written. Users come first, and are not counted. */
const USERS = 'public.users'
const TABLES = [
  'public.wallet_activity',
  'public.user_transactions',
  'indexer.inclusions',
  'indexer.transactions',
  'indexer.transitions',
] as const

const CHUNK_BYTES = 1024 * 1024

export type Copied = {
  readonly tookMs: number
  readonly rows: number
}

/**
 * Copies what a backfill left in one database into another, which has the schema and nothing else. Only the writing is timed: from
 * this process, because a backfill has to send its rows too.
 */
export async function copyRows(fromUrl: string, toUrl: string): Promise<Copied> {
  const from = postgres(fromUrl, { max: 1, onnotice: () => undefined })
  const to = postgres(toUrl, { max: 1, onnotice: () => undefined })
  const files = new Map<string, string>()
  const write = async (table: string) => {
    const into = await to.unsafe(`copy ${table} from stdin`).writable()
    await pipeline(createReadStream(files.get(table) ?? '', { highWaterMark: CHUNK_BYTES }), into)
  }
  try {
    // By the server, into its own directory: the driver's stream of a COPY can leave the connection paused.
    const [shown] = await from<{ data_directory: string }[]>`show data_directory`
    for (const table of [USERS, ...TABLES]) {
      const path = join(shown?.data_directory ?? '', `bench-${table}`)
      files.set(table, path)
      await from.unsafe(`copy ${table} to '${path.replaceAll("'", "''")}'`)
    }
    await write(USERS)
    const started = performance.now()
    for (const table of TABLES) await write(table)
    const tookMs = performance.now() - started
    return { tookMs, rows: await countRows(to) }
  } finally {
    await from.end()
    await to.end()
    for (const path of files.values()) await rm(path, { force: true })
  }
}

async function countRows(sql: postgres.Sql): Promise<number> {
  let sum = 0
  for (const table of TABLES) {
    const [counted] = await sql.unsafe<{ rows: string }[]>(`select count(*) as rows from ${table}`)
    sum += Number(counted?.rows ?? 0)
  }
  return sum
}
