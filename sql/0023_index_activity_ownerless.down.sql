-- Drops the index, where this project made it.
do $$
begin
  if to_regclass('indexer.migrations') is null then
    raise notice 'there is no ledger: nothing here is known to be of this project';
    return;
  end if;
  if exists (select from indexer.migrations where number > 23) then
    raise exception 'later migrations are still applied: revert them first' using errcode = 'object_not_in_prerequisite_state';
  end if;
  if exists (select from indexer.migrations where number = 23 and 'index public.wallet_activity_indexer_ownerless' = any (created)) then
    drop index if exists public.wallet_activity_indexer_ownerless;
  end if;
  delete from indexer.migrations where number = 23;
end
$$;
