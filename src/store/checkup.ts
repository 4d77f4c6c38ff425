/**
 * Is the database fit for the daemon? For `doctor`: only reads.
 */

import type { Finding } from '../core/finding.ts'
import { describeError } from '../errors.ts'
import type { Sql } from './connection.ts'
import { migrationState } from './migrate.ts'

const OLDEST_SERVER = 140_000
const SHOWN = 5

/** Findings in the order in which they should be mended; it stops at the first that makes the rest pointless. */
export async function checkDatabase(sql: Sql, migrationsDirectory: string): Promise<Finding[]> {
  const findings: Finding[] = []
  try {
    findings.push(...(await checkServer(sql)))
    const schema = await checkSchema(sql, migrationsDirectory)
    findings.push(schema)
    if (schema.verdict === 'bad') return findings
    findings.push(await checkPrivileges(sql), ...(await checkUsers(sql)), ...(await checkHashes(sql)))
  } catch (error) {
    findings.push({
      verdict: 'bad',
      text: describeError(error),
      hint: 'Check DATABASE_URL, the network and the privileges of its role.',
    })
  }
  return findings
}

async function checkServer(sql: Sql): Promise<Finding[]> {
  const [server] = await sql<{ version: number; name: string; standby: boolean; zone: string }[]>`
    select current_setting('server_version_num')::int as version, current_setting('server_version') as name,
      pg_is_in_recovery() as standby, current_setting('TimeZone') as zone`
  if (server === undefined || server.version < OLDEST_SERVER) {
    return [
      {
        verdict: 'bad',
        text: `PostgreSQL ${server?.name ?? 'of unknown version'}`,
        hint: 'Versions 14 to 18 are supported.',
      },
    ]
  }
  return [
    { verdict: 'ok', text: `PostgreSQL ${server.name}` },
    server.standby
      ? { verdict: 'bad', text: 'it is a standby and takes no writes', hint: 'Point DATABASE_URL at the primary.' }
      : { verdict: 'ok', text: 'takes writes' },
  ]
}

async function checkSchema(sql: Sql, directory: string): Promise<Finding> {
  const { pending, changed, unknown, missing } = await migrationState(sql, directory)
  const hint = 'Run `npm run migrate`.'
  if (unknown.length > 0) {
    return {
      verdict: 'bad',
      text: `the database is newer than this program (${unknown.join(', ')})`,
      hint: 'Update the program.',
    }
  }
  if (changed.length > 0) {
    return {
      verdict: 'bad',
      text: `released migrations were changed: ${changed.join(', ')}`,
      hint: 'Restore the files in sql/.',
    }
  }
  if (pending.length > 0) return { verdict: 'bad', text: `${pending.length} migrations are pending`, hint }
  if (missing.length > 0)
    return { verdict: 'bad', text: `something is missing: ${missing.slice(0, SHOWN).join(', ')}`, hint }
  return { verdict: 'ok', text: 'schema is up to date' }
}

async function checkPrivileges(sql: Sql): Promise<Finding> {
  const rows = await sql<{ missing: string }[]>`
    select t.name || ': ' || p.privilege as missing
    from (values ('users', 'select'), ('user_transactions', 'select, insert, update'), ('wallet_activity', 'select, insert, update, delete'))
      as t (name, privileges),
      lateral regexp_split_to_table(t.privileges, ', ') as p (privilege)
    where not has_table_privilege(t.name, p.privilege)`
  if (rows.length === 0) return { verdict: 'ok', text: 'privileges suffice' }
  return {
    verdict: 'bad',
    text: `privileges are missing: ${rows.map(row => row.missing).join('; ')}`,
    hint: 'Grant them to the role of DATABASE_URL.',
  }
}

async function checkUsers(sql: Sql): Promise<Finding[]> {
  const [odd] = await sql<{ count: number }[]>`
    select count(*)::int as count from users where length(wallet_address) <> 42 or lower(wallet_address) !~ '^0x[0-9a-f]+$'`
  const shared = await sql<{ address: string; users: number }[]>`
    select lower(wallet_address) as address, count(*)::int as users from users group by 1 having count(*) > 1 order by 1 limit ${SHOWN}`
  const findings: Finding[] = []
  if (odd !== undefined && odd.count > 0) {
    findings.push({
      verdict: 'limited',
      text: `${odd.count} users have a wallet that is no address; they are not tracked`,
      hint: 'Correct users.wallet_address.',
    })
  }
  for (const { address, users } of shared) {
    findings.push({
      verdict: 'limited',
      text: `${users} users share the wallet ${address} in different case; the oldest owns it`,
      hint: 'Merge or correct these users.',
    })
  }
  return findings.length > 0 ? findings : [{ verdict: 'ok', text: "users' wallets are addresses, each of one user" }]
}

async function checkHashes(sql: Sql): Promise<Finding[]> {
  const rows = await sql<{ hash: string; count: number }[]>`
    select left(application_hash, 70) as hash, count(*) over ()::int as count from indexer.transactions where malformed limit ${SHOWN}`
  const [first] = rows
  if (first === undefined) return []
  return [
    {
      verdict: 'limited',
      text: `${first.count} rows of user_transactions have a hash that is none, such as ${JSON.stringify(first.hash)}; they stay as they are`,
      hint: 'Correct them in the application.',
    },
  ]
}
