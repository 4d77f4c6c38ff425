-- Tells the daemon at once of what the application inserts, instead of at the next sweep.
-- A trigger that fails would break the application's own statement: these are of statements, carry nothing, and do nothing but notify.
-- They need nothing of schema indexer. Without them everything works all the same, seconds later.
create or replace function public.indexer_notify_transactions() returns trigger language plpgsql as $$
begin
  perform pg_notify('indexer_transactions', '');
  return null;
end
$$;
create or replace function public.indexer_notify_users() returns trigger language plpgsql as $$
begin
  perform pg_notify('indexer_users', '');
  return null;
end
$$;

do $$
begin
  if not exists (
    select from pg_trigger where tgrelid = 'public.user_transactions'::regclass and tgname = 'indexer_notify_transactions'
  ) then
    create trigger indexer_notify_transactions after insert or update of status on public.user_transactions
      for each statement execute function public.indexer_notify_transactions();
  end if;
  if not exists (select from pg_trigger where tgrelid = 'public.users'::regclass and tgname = 'indexer_notify_users') then
    create trigger indexer_notify_users after insert or update of wallet_address or delete on public.users
      for each statement execute function public.indexer_notify_users();
  end if;
end
$$;
