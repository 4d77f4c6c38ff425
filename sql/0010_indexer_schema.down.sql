-- Drops everything of the schema indexer but the ledger and the leases, which the runner drops last.
-- The ledger decides what that is. Tables that hold rows are refused unless indexer.drop_data is 'on' in this transaction.
do $$
declare
  made text[];
  tables text[];
  target text;
  row_count bigint;
begin
  if to_regclass('indexer.migrations') is null then
    raise notice 'there is no ledger: nothing here is known to be of this project';
    return;
  end if;
  if exists (select from indexer.migrations where number > 10) then
    raise exception 'later migrations are still applied: revert them first' using errcode = 'object_not_in_prerequisite_state';
  end if;
  select created into made from indexer.migrations where number = 10;

  select array_agg(substr(entry, length('table ') + 1)) into tables
  from unnest(made) as entry
  where entry like 'table %' and to_regclass(substr(entry, length('table ') + 1)) is not null;

  foreach target in array coalesce(tables, '{}') loop
    -- The one row that the migration itself put there is nobody's data.
    continue when target = 'indexer.registry';
    execute format('lock table %s in access exclusive mode', target);
    execute format('select count(*) from %s', target) into row_count;
    if row_count > 0 and current_setting('indexer.drop_data', true) is distinct from 'on' then
      raise exception '% holds % rows', target, row_count
        using errcode = 'object_not_in_prerequisite_state', hint = 'set local indexer.drop_data = ''on'' drops them too.';
    end if;
  end loop;

  -- Rows of ours among the application's: without their evidence they could not be told from its own, nor kept true.
  if to_regclass('indexer.transactions') is not null and to_regclass('public.user_transactions') is not null then
    delete from public.user_transactions t using indexer.transactions i
    where i.application_hash is null and lower(t.tx_hash) = i.tx_hash and t.id = i.row_id;
  end if;

  -- One statement, for the keys among them; never cascade: what the application built upon them stops it.
  if tables is not null then
    execute 'drop table ' || array_to_string(tables, ', ');
  end if;
  for target in select substr(entry, length('function ') + 1) from unnest(made) as entry where entry like 'function %' loop
    execute format('drop function if exists %s', target);
  end loop;
  delete from indexer.migrations where number = 10;
end
$$;
