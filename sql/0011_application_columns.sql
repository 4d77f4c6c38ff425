-- What the daemon adds to the application's tables: nullable columns, and keys that let a user be deleted.

alter table public.user_transactions
  add column if not exists raw_amount numeric(78,0),
  add column if not exists token_address varchar(42);

alter table public.wallet_activity
  add column if not exists block_number bigint,
  add column if not exists block_hash varchar(66),
  add column if not exists log_index integer,
  add column if not exists raw_amount numeric(78,0),
  add column if not exists token_address varchar(42);

-- Rows that this daemon writes must never stop the application from deleting a user. Its own 0009 made these two keys without an
-- action: they are replaced by the same keys with one. A key that does not stop a deletion is left as it is, whatever it does.
-- They are not validated here, where the tables are locked, but in 0016.
do $$
declare
  wanted record;
  existing record;
begin
  for wanted in
    select * from (values
      ('public.wallet_activity'::regclass, 'set null'),
      ('public.risk_flags'::regclass, 'cascade')
    ) as keys(owner, action)
  loop
    for existing in
      select c.conname, c.conrelid::regclass as owner
      from pg_constraint c
      join pg_attribute a on a.attrelid = c.conrelid and a.attnum = c.conkey[1]
      where c.contype = 'f' and c.conrelid = wanted.owner and c.confrelid = 'public.users'::regclass
        and a.attname = 'user_id' and cardinality(c.conkey) = 1 and c.confdeltype in ('a', 'r')
    loop
      execute format('alter table %s drop constraint %I', existing.owner, existing.conname);
      execute format(
        'alter table %s add constraint %I foreign key (user_id) references public.users (id) on delete %s not valid',
        existing.owner, existing.conname, wanted.action
      );
    end loop;
  end loop;
end
$$;
