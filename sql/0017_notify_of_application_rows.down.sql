-- Drops the triggers and their functions, where this project made them.
do $$
declare
  made text[];
begin
  if to_regclass('indexer.migrations') is null then
    raise notice 'there is no ledger: nothing here is known to be of this project';
    return;
  end if;
  if exists (select from indexer.migrations where number > 17) then
    raise exception 'later migrations are still applied: revert them first' using errcode = 'object_not_in_prerequisite_state';
  end if;
  select created into made from indexer.migrations where number = 17;
  if exists (select from unnest(made) as entry where entry like 'function public.indexer_notify_transactions%') then
    drop trigger if exists indexer_notify_transactions on public.user_transactions;
    drop function if exists public.indexer_notify_transactions();
  end if;
  if exists (select from unnest(made) as entry where entry like 'function public.indexer_notify_users%') then
    drop trigger if exists indexer_notify_users on public.users;
    drop function if exists public.indexer_notify_users();
  end if;
  delete from indexer.migrations where number = 17;
end
$$;
