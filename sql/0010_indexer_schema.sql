-- Everything that the daemon keeps for itself, in a schema of its own. `indexer.migrations` and `indexer.leases` are made by the
-- migration runner before the first file, because it needs them itself.
-- Every statement may run a second time: so the runner restores an index or a trigger that somebody dropped.
-- Hashes and addresses are lower case here, times are timestamptz or Unix seconds (bigint, from block headers).

-- Up to which block a chain's follower has committed. Rows and this move in one transaction.
create table if not exists indexer.checkpoints (
  chain_id integer primary key,
  start_block bigint not null,
  block_number bigint not null,
  block_hash varchar(66) not null,
  block_timestamp bigint not null,
  -- The highest finality ever seen; it never goes down.
  finalized_number bigint not null,
  -- The head that the node claimed when the checkpoint was written.
  head_number bigint not null,
  -- Why the chain stands still until a person acts; null while it runs.
  halt_code text,
  halt_message text,
  updated_at timestamptz not null default now()
);

-- The header window: every block between finality and the checkpoint, to walk back through after a reorg, also after a restart.
create table if not exists indexer.headers (
  chain_id integer not null,
  number bigint not null,
  hash varchar(66) not null,
  parent_hash varchar(66) not null,
  timestamp bigint not null,
  primary key (chain_id, number)
);

-- That a transaction of a user stands in a block: what its status is decided by. A transaction can stand on two chains.
create table if not exists indexer.inclusions (
  tx_hash varchar(66) not null,
  chain_id integer not null,
  block_number bigint not null,
  block_hash varchar(66) not null,
  transaction_index integer not null,
  block_timestamp bigint not null,
  sender varchar(42) not null,
  nonce bigint not null,
  -- null: the receipt has no status (before EIP-658) and nothing else proves it.
  succeeded boolean,
  -- More depth than the chain's confirmations, because of an amount: a number, or 'finalized'.
  needs varchar(20),
  -- True once the block is deep enough: the status is decided.
  settled boolean not null default false,
  primary key (tx_hash, chain_id)
);
create index if not exists inclusions_block on indexer.inclusions (chain_id, block_number);
create index if not exists inclusions_unsettled on indexer.inclusions (chain_id, block_number) where not settled and succeeded is not null;

-- One row for each row of user_transactions: where it came from and what the daemon last made of it.
create table if not exists indexer.transactions (
  tx_hash varchar(66) primary key,
  -- The row that this is known of. It may go with its user, and another may come.
  row_id uuid,
  -- The application's row: its spelling of the hash, and which of its columns stay as it set them. null: the row is ours.
  application_hash text,
  keeps_user boolean not null default false,
  keeps_event_type boolean not null default false,
  status varchar(20) not null,
  -- The chain whose inclusion the row shows; null while no chain has it.
  chain_id integer,
  -- Not a transaction hash at all: never asked for.
  malformed boolean not null default false,
  -- Who sent it with which nonce, once a mempool or a block of that chain has shown it.
  sender varchar(42),
  nonce bigint,
  nonce_chain_id integer,
  -- Why it is failed although no chain has it: `replaced` (by what, and by which block of which chain) or `dropped`.
  verdict varchar(20) check (verdict in ('replaced', 'dropped')),
  replaced_by varchar(66),
  replaced_chain_id integer,
  replaced_block bigint,
  sought_at timestamptz,
  -- How often in a row, and when last, every endpoint was asked for it and none had it.
  surveys integer not null default 0,
  surveyed_at timestamptz,
  created_at timestamptz not null default now()
);
create index if not exists transactions_sought on indexer.transactions (sought_at nulls first) where chain_id is null and not malformed;
create index if not exists transactions_replaced on indexer.transactions (replaced_chain_id, replaced_block) where verdict = 'replaced';
create index if not exists transactions_verdict on indexer.transactions (tx_hash) where verdict is not null;

-- The evidence: each change of a status, with its reason. Append-only; the newest row agrees with the status.
create table if not exists indexer.transitions (
  id bigint generated always as identity primary key,
  tx_hash varchar(66) not null,
  chain_id integer,
  from_status varchar(20),
  to_status varchar(20) not null,
  reason varchar(20) not null,
  block_number bigint,
  block_hash varchar(66),
  replacing_hash varchar(66),
  endpoint text,
  at timestamptz not null default clock_timestamp(),
  constraint transitions_reason check (
    reason in ('included', 'confirmed', 'reverted', 'replaced', 'dropped', 'reorged', 'found')
  )
);
create index if not exists transitions_tx_hash on indexer.transitions (tx_hash, id);

create or replace function indexer.refuse_change() returns trigger language plpgsql as $$
begin
  raise exception '% on %.% is refused: its rows are evidence and never change', tg_op, tg_table_schema, tg_table_name
    using errcode = 'restrict_violation';
end
$$;
create or replace trigger transitions_append_only before update or delete or truncate on indexer.transitions
  for each statement execute function indexer.refuse_change();

-- What tokens say of themselves: asked once, cleaned, bounded. A row without decimals means that they can't be had.
create table if not exists indexer.tokens (
  chain_id integer not null,
  address varchar(42) not null,
  decimals smallint,
  symbol varchar(64),
  name varchar(128),
  asked_at_block bigint not null,
  primary key (chain_id, address)
);

-- Wallets that belong to no user and are watched all the same.
create table if not exists indexer.watchlist (
  address varchar(42) primary key,
  label text,
  created_at timestamptz not null default now()
);

-- The version of the set of tracked wallets. Whoever changes the set updates this row, whoever commits blocks shares a lock on it:
-- so no block is committed with a set that had changed before.
create table if not exists indexer.registry (
  singleton boolean primary key default true check (singleton),
  version bigint not null
);
insert into indexer.registry (version) values (0) on conflict do nothing;

-- The set itself: what the application's users and the watch-list were when they were last compared.
create table if not exists indexer.wallets (
  address varchar(42) primary key,
  user_id uuid,
  tracked boolean not null,
  version bigint not null
);
create index if not exists wallets_version on indexer.wallets (version);

-- Wallets whose owner changed and whose rows still say otherwise.
create table if not exists indexer.attribution_queue (
  address varchar(42) primary key,
  queued_at timestamptz not null default now()
);

-- Which blocks are complete for the tracked set …
create table if not exists indexer.coverage (
  chain_id integer not null,
  from_block bigint not null,
  to_block bigint not null,
  traces boolean not null default false,
  verification varchar(20) not null default 'basic',
  primary key (chain_id, from_block),
  check (from_block <= to_block)
);
-- … and where a single wallet differs: blocks it has besides (covered), or lacks because it was linked later (not covered).
create table if not exists indexer.wallet_coverage (
  chain_id integer not null,
  address varchar(42) not null,
  covered boolean not null,
  from_block bigint not null,
  to_block bigint not null,
  primary key (chain_id, address, covered, from_block),
  check (from_block <= to_block)
);

-- Long work that an operator started, for `status`.
create table if not exists indexer.jobs (
  id uuid primary key default gen_random_uuid(),
  kind varchar(20) not null,
  chain_id integer not null,
  from_block bigint not null,
  to_block bigint not null,
  wallets text[],
  state varchar(20) not null default 'running' check (state in ('running', 'done', 'failed')),
  blocks_done bigint not null default 0,
  blocks_total bigint not null,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
