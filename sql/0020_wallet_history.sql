-- The past of wallets that were linked late: how each part of it was found, who works on it, and what value came from inside
-- transactions.

-- As indexer.coverage has it. `filtered` and `witnessed`: found by questions that name the wallet, answered by one endpoint, or by two
-- that agree.
alter table indexer.wallet_coverage
  add column if not exists traces boolean not null default false,
  add column if not exists verification varchar(20) not null default 'basic';
create index if not exists wallet_coverage_lacking on indexer.wallet_coverage (chain_id, address) where not covered;

-- Who fills which wallet's past: a claim ends by the database's clock, and another process goes on.
create table if not exists indexer.onboarding (
  chain_id integer not null,
  address varchar(42) not null,
  claimed_by text,
  claimed_until timestamptz,
  -- null: not decided. `filtered`: by questions that name the wallet. `whole`: by reading its blocks, for the reason beside it.
  way varchar(20) check (way in ('filtered', 'whole')),
  reason text,
  -- Failures in a row, and until when it rests after the last.
  failures integer not null default 0,
  rests_until timestamptz,
  last_error text,
  updated_at timestamptz not null default now(),
  primary key (chain_id, address)
);

-- What a wallet's balance changed in a block beyond all that its transactions, fees and withdrawals explain. Facts about the block,
-- without rows of their own.
create table if not exists indexer.internal_value (
  chain_id integer not null,
  address varchar(42) not null,
  block_number bigint not null,
  -- In the smallest unit; below zero where value left.
  amount numeric(78,0) not null,
  -- null: several transactions of the block may have moved it.
  tx_hash varchar(66),
  primary key (chain_id, address, block_number)
);
