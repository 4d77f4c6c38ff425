-- Drops the index, where this project made it.
do $$
begin
  if to_regclass('indexer.migrations') is null then
    raise notice 'there is no ledger: nothing here is known to be of this project';
    return;
  end if;
  if exists (select from indexer.migrations where number > 21) then
    raise exception 'later migrations are still applied: revert them first' using errcode = 'object_not_in_prerequisite_state';
  end if;
  if exists (select from indexer.migrations where number = 21 and 'index public.users_indexer_lower_address' = any (created)) then
    drop index if exists public.users_indexer_lower_address;
  end if;
  delete from indexer.migrations where number = 21;
end
$$;
