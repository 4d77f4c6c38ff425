-- The six tables of user monitoring: behaviour, on-chain transactions, purchases, wallet activity, risk flags, audit.
-- A table that exists already is somebody else's: neither it nor its indexes, triggers and checks are touched. So this file runs
-- beside the application's own 0009, a second time, by `psql -f`, and as one simple query.
-- All times are UTC without a zone, whatever time zone the session has.

do $$
begin
  if to_regclass('public.user_behavior_logs') is not null then
    return;
  end if;
  create table public.user_behavior_logs (
    id uuid primary key default gen_random_uuid(),
    user_id uuid references public.users (id) on delete cascade,
    event_type varchar(50) not null,
    metadata jsonb,
    ip_address varchar(45),
    user_agent text,
    session_id varchar(100),
    path varchar(255),
    timestamp timestamp not null default (now() at time zone 'utc'),
    created_at timestamp not null default (now() at time zone 'utc')
  );
  create index user_behavior_logs_user_id_idx on public.user_behavior_logs (user_id);
  create index user_behavior_logs_event_type_idx on public.user_behavior_logs (event_type);
  create index user_behavior_logs_timestamp_idx on public.user_behavior_logs (timestamp);
  create index user_behavior_logs_session_id_idx on public.user_behavior_logs (session_id);
end
$$;

-- Made only where a table of ours is about to need it; the name is this project's, so no function of the application is replaced.
do $$
begin
  if to_regprocedure('public.indexer_set_updated_at()') is not null
    or (to_regclass('public.user_transactions') is not null
      and to_regclass('public.purchases') is not null
      and to_regclass('public.risk_flags') is not null)
  then
    return;
  end if;
  create function public.indexer_set_updated_at() returns trigger language plpgsql as $body$
  begin
    new.updated_at := now() at time zone 'utc';
    return new;
  end
  $body$;
end
$$;

do $$
begin
  if to_regclass('public.user_transactions') is not null then
    return;
  end if;
  create table public.user_transactions (
    id uuid primary key default gen_random_uuid(),
    user_id uuid references public.users (id) on delete cascade,
    tx_hash varchar(66) not null unique,
    chain varchar(50) default 'ethereum',
    event_type varchar(50) not null,
    token varchar(64),
    amount numeric(30,18),
    status varchar(20) default 'pending',
    block_number integer,
    timestamp timestamp not null default (now() at time zone 'utc'),
    created_at timestamp not null default (now() at time zone 'utc'),
    updated_at timestamp not null default (now() at time zone 'utc'),
    constraint transaction_status check (status in ('pending', 'confirmed', 'failed'))
  );
  create index user_transactions_user_id_idx on public.user_transactions (user_id);
  create index user_transactions_event_type_idx on public.user_transactions (event_type);
  create index user_transactions_timestamp_idx on public.user_transactions (timestamp);
  create trigger user_transactions_set_updated_at before update on public.user_transactions
    for each row execute function public.indexer_set_updated_at();
end
$$;

do $$
begin
  if to_regclass('public.purchases') is not null then
    return;
  end if;
  create table public.purchases (
    id uuid primary key default gen_random_uuid(),
    buyer_id uuid not null references public.users (id),
    seller_id uuid not null references public.users (id),
    product_id uuid references public.products (id),
    price numeric(20,8) not null,
    currency varchar(10) not null,
    escrow_id varchar(100),
    status varchar(32) default 'pending',
    dispute_status varchar(32),
    tx_hash varchar(66),
    metadata jsonb,
    timestamp timestamp not null default (now() at time zone 'utc'),
    created_at timestamp not null default (now() at time zone 'utc'),
    updated_at timestamp not null default (now() at time zone 'utc'),
    constraint purchase_status check (status in ('pending', 'completed', 'disputed', 'refunded', 'cancelled')),
    constraint purchase_price_positive check (price > 0)
  );
  create index purchases_buyer_id_idx on public.purchases (buyer_id);
  create index purchases_seller_id_idx on public.purchases (seller_id);
  create index purchases_product_id_idx on public.purchases (product_id);
  create index purchases_status_idx on public.purchases (status);
  create index purchases_timestamp_idx on public.purchases (timestamp);
  create trigger purchases_set_updated_at before update on public.purchases
    for each row execute function public.indexer_set_updated_at();
end
$$;

-- Deleting a user leaves what a wallet did on chain, without the link.
do $$
begin
  if to_regclass('public.wallet_activity') is not null then
    return;
  end if;
  create table public.wallet_activity (
    id uuid primary key default gen_random_uuid(),
    wallet_address varchar(66) not null,
    user_id uuid references public.users (id) on delete set null,
    activity_type varchar(50) not null,
    tx_hash varchar(66),
    amount numeric(30,18),
    token varchar(64),
    chain_id integer,
    metadata jsonb,
    timestamp timestamp not null default (now() at time zone 'utc'),
    created_at timestamp not null default (now() at time zone 'utc')
  );
  create index wallet_activity_wallet_address_idx on public.wallet_activity (wallet_address);
  create index wallet_activity_user_id_idx on public.wallet_activity (user_id);
  create index wallet_activity_activity_type_idx on public.wallet_activity (activity_type);
  create index wallet_activity_timestamp_idx on public.wallet_activity (timestamp);
end
$$;

-- Flags are about a user: they go with the user.
do $$
begin
  if to_regclass('public.risk_flags') is not null then
    return;
  end if;
  create table public.risk_flags (
    id uuid primary key default gen_random_uuid(),
    user_id uuid not null references public.users (id) on delete cascade,
    flag_type varchar(100) not null,
    severity varchar(20) not null,
    description text,
    score integer,
    status varchar(20) default 'active',
    resolved_by uuid references public.users (id),
    resolved_at timestamp,
    metadata jsonb,
    created_at timestamp not null default (now() at time zone 'utc'),
    updated_at timestamp not null default (now() at time zone 'utc'),
    constraint risk_severity check (severity in ('low', 'medium', 'high', 'critical')),
    constraint risk_status check (status in ('active', 'resolved', 'ignored'))
  );
  create index risk_flags_user_id_idx on public.risk_flags (user_id);
  create index risk_flags_severity_idx on public.risk_flags (severity);
  create index risk_flags_status_idx on public.risk_flags (status);
  create index risk_flags_created_at_idx on public.risk_flags (created_at);
  create trigger risk_flags_set_updated_at before update on public.risk_flags
    for each row execute function public.indexer_set_updated_at();
end
$$;

-- Rows never change: no updated_at.
do $$
begin
  if to_regclass('public.audit_logs') is not null then
    return;
  end if;
  create table public.audit_logs (
    id uuid primary key default gen_random_uuid(),
    user_id uuid references public.users (id),
    action varchar(100) not null,
    resource_type varchar(50),
    resource_id varchar(100),
    payload jsonb,
    ip_address varchar(45),
    user_agent text,
    timestamp timestamp not null default (now() at time zone 'utc')
  );
  create index audit_logs_user_id_idx on public.audit_logs (user_id);
  create index audit_logs_action_idx on public.audit_logs (action);
  create index audit_logs_resource_idx on public.audit_logs (resource_type, resource_id);
  create index audit_logs_timestamp_idx on public.audit_logs (timestamp);
end
$$;
