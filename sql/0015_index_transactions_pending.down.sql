-- Drops the index, where this project made it.
do $$
begin
  if to_regclass('indexer.migrations') is null then
    raise notice 'there is no ledger: nothing here is known to be of this project';
    return;
  end if;
  if exists (select from indexer.migrations where number > 15) then
    raise exception 'later migrations are still applied: revert them first' using errcode = 'object_not_in_prerequisite_state';
  end if;
  if exists (select from indexer.migrations where number = 15 and 'index public.user_transactions_indexer_pending' = any (created)) then
    drop index if exists public.user_transactions_indexer_pending;
  end if;
  delete from indexer.migrations where number = 15;
end
$$;
