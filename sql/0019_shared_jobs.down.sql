-- Drops the pieces of jobs and what was added to the jobs, where this project made it. Which blocks are complete stays known: that is
-- coverage, and the same command goes on from it.
do $$
declare
  made text[];
  entry text;
begin
  if to_regclass('indexer.migrations') is null then
    raise notice 'there is no ledger: nothing here is known to be of this project';
    return;
  end if;
  if exists (select from indexer.migrations where number > 19) then
    raise exception 'later migrations are still applied: revert them first' using errcode = 'object_not_in_prerequisite_state';
  end if;
  select created into made from indexer.migrations where number = 19;
  if 'table indexer.job_pieces' = any (made) then
    drop table if exists indexer.job_pieces;
  end if;
  foreach entry in array coalesce(made, '{}') loop
    continue when entry not like 'column indexer.jobs.%';
    execute format('alter table if exists indexer.jobs drop column if exists %s', substring(entry from '\.([^.]+)$'));
  end loop;
  delete from indexer.migrations where number = 19;
end
$$;
