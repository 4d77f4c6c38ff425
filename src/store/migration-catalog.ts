/**
 * What the database's catalog says is there, as names that the ledger keeps: `table public.users`,
 * `column public.wallet_activity.block_hash`, `index …`, `constraint …`, `trigger …`, `function …`.
 *
 * Always holds: what belongs to a table that is itself new (its columns, constraints) has no name of its own in the ledger, since it
 * comes and goes with the table; indexes behind a key are the key, and an index that is not valid is not there. A foreign key that
 * acts on deletion says so in its name: so a key that was replaced by the same with an action is something new, and one that lost
 * its action is missing.
 */

import type postgres from 'postgres'

type CatalogEntry = {
  readonly identity: string
  /** The identity of the table that it comes and goes with; null for what can be restored by itself. */
  readonly part_of: string | null
}

/** Identities, each with the table that it is a part of. */
export type Catalog = ReadonlyMap<string, string | null>

/** Of the schemas public and indexer. In a transaction that repeats its reads, it shows that transaction's own changes only. */
export async function readCatalog(sql: postgres.ISql): Promise<Catalog> {
  const entries = await sql<CatalogEntry[]>`
    with tables as (
      select c.oid, n.nspname, c.relname, format('%I.%I', n.nspname, c.relname) as name
      from pg_catalog.pg_class c
      join pg_catalog.pg_namespace n on n.oid = c.relnamespace
      where c.relkind in ('r', 'p') and n.nspname in ('public', 'indexer')
    )
    select 'table ' || name as identity, null as part_of from tables
    union all
    select format('column %s.%I', t.name, a.attname), 'table ' || t.name
    from tables t
    join pg_catalog.pg_attribute a on a.attrelid = t.oid
    where a.attnum > 0 and not a.attisdropped
    union all
    select format('index %I.%I', t.nspname, c.relname), null
    from tables t
    join pg_catalog.pg_index i on i.indrelid = t.oid
    join pg_catalog.pg_class c on c.oid = i.indexrelid
    where i.indisvalid and not exists (
      select from pg_catalog.pg_constraint k where k.conindid = i.indexrelid and k.contype in ('p', 'u', 'x')
    )
    union all
    select
      format('constraint %s.%I', t.name, k.conname) || case
        when k.contype <> 'f' then ''
        when k.confdeltype = 'n' then ' on delete set null'
        when k.confdeltype = 'c' then ' on delete cascade'
        else ''
      end,
      'table ' || t.name
    from tables t
    join pg_catalog.pg_constraint k on k.conrelid = t.oid
    where k.contype in ('p', 'u', 'f', 'c', 'x')
    union all
    select format('trigger %s.%I', t.name, g.tgname), null
    from tables t
    join pg_catalog.pg_trigger g on g.tgrelid = t.oid
    where not g.tgisinternal
    union all
    select
      format('function %I.%I(%s)', n.nspname, p.proname, pg_catalog.pg_get_function_identity_arguments(p.oid)), null
    from pg_catalog.pg_proc p
    join pg_catalog.pg_namespace n on n.oid = p.pronamespace
    where n.nspname in ('public', 'indexer')
  `
  return new Map(entries.map(entry => [entry.identity, entry.part_of]))
}

/** What a file created: in `after` and not in `before`, without the parts of tables that are new themselves. Sorted. */
export function createdBetween(before: Catalog, after: Catalog): string[] {
  const isNew = (identity: string) => !before.has(identity)
  return [...after]
    .filter(([identity, partOf]) => isNew(identity) && !(partOf !== null && isNew(partOf)))
    .map(([identity]) => identity)
    .sort()
}

export type IndexState = 'absent' | 'building' | 'invalid' | 'valid'

/** Whether an index can be relied upon. `building`: some backend works on it, perhaps one whose client was killed. */
export async function readIndexState(
  sql: postgres.ISql,
  index: { readonly schema: string; readonly name: string; readonly table: string },
): Promise<IndexState> {
  const [row] = await sql<{ valid: boolean; building: boolean }[]>`
    select
      i.indisvalid and i.indisready as valid,
      exists (
        -- index_relid is hidden from other roles: then the table has to do.
        select from pg_catalog.pg_stat_progress_create_index p
        where p.datid = (select oid from pg_catalog.pg_database where datname = current_database())
          and coalesce(nullif(p.index_relid, 0) = i.indexrelid, p.relid is null or p.relid = i.indrelid)
      ) as building
    from pg_catalog.pg_index i
    join pg_catalog.pg_class c on c.oid = i.indexrelid
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where n.nspname = ${index.schema} and c.relname = ${index.name}
  `
  if (row === undefined) return 'absent'
  if (row.building) return 'building'
  return row.valid ? 'valid' : 'invalid'
}
