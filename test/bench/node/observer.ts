/**
 * Another connection that looks for rows: how long after a block was announced they can be seen.
 *
 * Always holds: it runs where blocks are announced, so that one clock says both; it looks only while it waits for a block's rows.
 */

import postgres from 'postgres'
import type { Served } from './served.ts'

export type Sighting = {
  readonly height: number
  /** null: not within the patience. */
  readonly tookMs: number | null
}

export type Observer = {
  /** Waits for rows that are being looked for. */
  sightings(): Promise<readonly Sighting[]>
  close(): Promise<void>
}

const PATIENCE_MS = 60_000
const MAX_CONNECTIONS = 3

/** @param pollMs between two looks */
export async function observe(served: Served, databaseUrl: string, pollMs: number): Promise<Observer> {
  const { chain } = served
  const sql = postgres(databaseUrl, { max: MAX_CONNECTIONS, onnotice: () => undefined })
  await sql`select 1`
  const seen: Sighting[] = []
  const isThere = async (height: number) => {
    const rows = await sql`
      select 1 from wallet_activity
      where chain_id = ${chain.spec.chainId} and block_number = ${height} and block_hash is not null limit 1`
    return rows.length > 0
  }
  const closed = new AbortController()
  const look = async (height: number) => {
    const announced = performance.now()
    while (!closed.signal.aborted && performance.now() - announced < PATIENCE_MS) {
      if (await isThere(height)) {
        seen.push({ height, tookMs: performance.now() - announced })
        return
      }
      await new Promise(resolve => setTimeout(resolve, pollMs))
    }
    if (!closed.signal.aborted) seen.push({ height, tookMs: null })
  }
  const looking = new Set<Promise<void>>()
  const onHead = (height: number) => {
    if (!chain.isConcerned(height)) return
    const work = look(height)
      .catch(() => void seen.push({ height, tookMs: null }))
      .finally(() => looking.delete(work))
    looking.add(work)
  }
  served.onHead.add(onHead)
  return {
    async sightings() {
      await Promise.all(looking)
      return [...seen]
    },
    async close() {
      closed.abort()
      served.onHead.delete(onHead)
      await Promise.all(looking)
      await sql.end({ timeout: 1 })
    },
  }
}
