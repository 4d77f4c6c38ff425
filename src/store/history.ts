/**
 * Which history of the database this is.
 *
 * What a process remembers of the database is true of the history that it was read from. Another primary after a failover may lack
 * the last commits of the old one, and a dump that is played back is older than what was there: both can reach the same version of
 * a thing by another way.
 */

import type { Sql, Tx } from './connection.ts'

/**
 * A text that changes with the server (a failover, a restart) and with the table that was read from (a restore). It needs no
 * privilege, and is the same behind a pooler.
 */
export const historyNow = (sql: Sql | Tx) =>
  sql`concat_ws(' ', pg_postmaster_start_time(), 'indexer.registry'::regclass::oid)`
