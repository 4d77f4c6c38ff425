-- Drops the table of requests, where this project made it. What it holds is a count that begins again.
do $$
begin
  if to_regclass('indexer.migrations') is null then
    raise notice 'there is no ledger: nothing here is known to be of this project';
    return;
  end if;
  if exists (select from indexer.migrations where number > 18) then
    raise exception 'later migrations are still applied: revert them first' using errcode = 'object_not_in_prerequisite_state';
  end if;
  if exists (select from indexer.migrations where number = 18 and 'table indexer.rpc_requests' = any (created)) then
    drop table if exists indexer.rpc_requests;
  end if;
  delete from indexer.migrations where number = 18;
end
$$;
