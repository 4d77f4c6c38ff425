-- What many processes need to share one job: how it was asked for, so that whoever asks for the same joins it, and its pieces.

alter table indexer.jobs
  -- The end as it was asked for: a number, 'finalized' or 'latest'. null: a job of a version that shared nothing.
  add column if not exists asked_to varchar(20),
  -- How long a claim on a piece lasts that nobody renews: one for all who work on the job.
  add column if not exists claim_ttl_ms integer,
  add column if not exists activities bigint not null default 0,
  -- Why the last process that gave up did so.
  add column if not exists problem text,
  -- When the last one left before the end; null while somebody is at work, or should be.
  add column if not exists stopped_at timestamptz,
  add column if not exists finished_at timestamptz;

-- Pieces of jobs, made when somebody takes them: what is neither here nor complete by coverage is nobody's yet. Open: no holder.
-- Claimed: by a holder until it expires, by this database's clock. Done: by its holder, or without work where there is none.
create table if not exists indexer.job_pieces (
  id bigint generated always as identity primary key,
  job_id uuid not null references indexer.jobs (id) on delete cascade,
  from_block bigint not null,
  to_block bigint not null,
  holder text,
  -- How often it was claimed. Who commits it must know the number.
  fencing integer not null default 1,
  expires_at timestamptz,
  done_at timestamptz,
  check (from_block <= to_block)
);
create index if not exists job_pieces_undone on indexer.job_pieces (job_id, from_block) where done_at is null;
create index if not exists job_pieces_done on indexer.job_pieces (job_id, done_at);
