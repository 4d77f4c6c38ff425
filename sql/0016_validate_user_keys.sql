-- Validates the keys that 0011 replaced. A file of its own, because reading a large table must not happen under 0011's locks:
-- validating lets the application read and write meanwhile.
-- A key that the rows do not satisfy was not valid before either: it holds for new rows, and stays as it is.
do $$
declare
  existing record;
begin
  for existing in
    select c.conname, c.conrelid::regclass as owner
    from pg_constraint c
    join pg_attribute a on a.attrelid = c.conrelid and a.attnum = c.conkey[1]
    where c.contype = 'f' and not c.convalidated and c.confrelid = 'public.users'::regclass
      and c.conrelid in ('public.wallet_activity'::regclass, 'public.risk_flags'::regclass)
      and a.attname = 'user_id' and cardinality(c.conkey) = 1
  loop
    begin
      execute format('alter table %s validate constraint %I', existing.owner, existing.conname);
    exception when foreign_key_violation then
      raise warning '% on % stays not valid: it has rows of users that do not exist', existing.conname, existing.owner;
    end;
  end loop;
end
$$;
