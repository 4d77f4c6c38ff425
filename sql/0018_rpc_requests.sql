-- What each endpoint was asked, by day (UTC): for daily budgets that hold across processes and restarts, and for whoever pays the bill.
create table if not exists indexer.rpc_requests (
  chain_id integer not null,
  -- Scheme, host and port: never the path, which may be a key.
  endpoint text not null,
  day date not null,
  requests bigint not null,
  updated_at timestamp not null default (now() at time zone 'utc'),
  primary key (chain_id, endpoint, day)
);
