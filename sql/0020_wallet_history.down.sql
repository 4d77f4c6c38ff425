-- Drops what 0020 made. Intervals that were found by filtered questions stay, as `basic`: the rows are there.
do $$
declare
  made text[];
begin
  if to_regclass('indexer.migrations') is null then
    raise notice 'there is no ledger: nothing here is known to be of this project';
    return;
  end if;
  if exists (select from indexer.migrations where number > 20) then
    raise exception 'later migrations are still applied: revert them first' using errcode = 'object_not_in_prerequisite_state';
  end if;
  select created into made from indexer.migrations where number = 20;
  if 'table indexer.internal_value' = any (made) then
    drop table if exists indexer.internal_value;
  end if;
  if 'table indexer.onboarding' = any (made) then
    drop table if exists indexer.onboarding;
  end if;
  if 'index indexer.wallet_coverage_lacking' = any (made) then
    drop index if exists indexer.wallet_coverage_lacking;
  end if;
  if 'column indexer.wallet_coverage.verification' = any (made) then
    alter table if exists indexer.wallet_coverage drop column if exists verification;
  end if;
  if 'column indexer.wallet_coverage.traces' = any (made) then
    alter table if exists indexer.wallet_coverage drop column if exists traces;
  end if;
  delete from indexer.migrations where number = 20;
end
$$;
