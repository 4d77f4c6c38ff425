-- Drops the columns that this project added, and gives the keys that it replaced back their old action: none.
-- Rows that the daemon wrote go with them: without block_hash nobody could tell them from the application's, correct them after
-- a reorg, or write them again. They are refused unless indexer.drop_data is 'on' in this transaction.
do $$
declare
  made text[];
  entry text;
  existing record;
  row_count bigint;
begin
  if to_regclass('indexer.migrations') is null then
    raise notice 'there is no ledger: nothing here is known to be of this project';
    return;
  end if;
  if exists (select from indexer.migrations where number > 11) then
    raise exception 'later migrations are still applied: revert them first' using errcode = 'object_not_in_prerequisite_state';
  end if;
  select created into made from indexer.migrations where number = 11;

  if 'column public.wallet_activity.block_hash' = any (made) and exists (
    select from pg_attribute
    where attrelid = to_regclass('public.wallet_activity') and attname = 'block_hash' and not attisdropped
  ) then
    lock table public.wallet_activity in access exclusive mode;
    select count(*) into row_count from public.wallet_activity where block_hash is not null;
    if row_count > 0 and current_setting('indexer.drop_data', true) is distinct from 'on' then
      raise exception 'public.wallet_activity holds % rows of the daemon', row_count
        using errcode = 'object_not_in_prerequisite_state', hint = 'set local indexer.drop_data = ''on'' drops them too.';
    end if;
    delete from public.wallet_activity where block_hash is not null;
  end if;

  foreach entry in array coalesce(made, '{}') loop
    continue when entry not like 'column %';
    execute format(
      'alter table if exists %s drop column if exists %s',
      substring(entry from '^column (.+)\.[^.]+$'), substring(entry from '\.([^.]+)$')
    );
  end loop;

  for existing in
    select c.conname, format('public.%I', t.relname) as owner
    from pg_constraint c
    join pg_class t on t.oid = c.conrelid
    join pg_attribute a on a.attrelid = c.conrelid and a.attnum = c.conkey[1]
    where c.contype = 'f' and c.confdeltype in ('n', 'c') and c.confrelid = to_regclass('public.users')
      and c.conrelid in (to_regclass('public.wallet_activity'), to_regclass('public.risk_flags'))
      and a.attname = 'user_id' and cardinality(c.conkey) = 1
      and format(
        'constraint public.%I.%I on delete %s', t.relname, c.conname,
        case c.confdeltype when 'n' then 'set null' else 'cascade' end
      ) = any (made)
  loop
    execute format('alter table %s drop constraint %I', existing.owner, existing.conname);
    execute format(
      'alter table %s add constraint %I foreign key (user_id) references public.users (id)', existing.owner, existing.conname
    );
  end loop;
  delete from indexer.migrations where number = 11;
end
$$;
