/**
 * How often each endpoint was asked, by day, by all processes together.
 */

import { DAY_MS } from '../core/budget.ts'
import { read, type Sql } from './connection.ts'

/** Days that are kept: enough for a month's bill. */
const KEPT_DAYS = 40

/** Adds to a day's requests of an endpoint. @returns all of that day */
export async function addRequests(
  sql: Sql,
  chainId: number,
  endpoint: string,
  day: number,
  requests: number,
): Promise<number> {
  const date = new Date(day * DAY_MS).toISOString().slice(0, 10)
  const [row] = await read(sql<{ requests: number }[]>`
    with forgotten as (
      delete from indexer.rpc_requests where chain_id = ${chainId} and day < ${date}::date - ${KEPT_DAYS}::integer
    )
    insert into indexer.rpc_requests as known (chain_id, endpoint, day, requests)
    values (${chainId}, ${endpoint}, ${date}::date, ${requests})
    on conflict (chain_id, endpoint, day) do update
      set requests = known.requests + excluded.requests, updated_at = now() at time zone 'utc'
    returning requests::float8 as requests`)
  return row?.requests ?? requests
}
