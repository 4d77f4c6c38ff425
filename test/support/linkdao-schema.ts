/**
 * The application's own tables, made the way its schema tool and its own 0009 make them: JSON as text, keys without an action on
 * deletion, names of its own for indexes, triggers and keys. With a row in each, so that a test can see that none changed.
 */

import type postgres from 'postgres'

const MONITORED = [
  'user_behavior_logs',
  'user_transactions',
  'purchases',
  'wallet_activity',
  'risk_flags',
  'audit_logs',
]

const APPLICATION_TABLES = ['users', 'products', ...MONITORED]

const BASE = `
  create table users (
    id uuid primary key default gen_random_uuid() not null,
    wallet_address varchar(66) not null,
    handle varchar(64),
    profile_cid text,
    email varchar(255),
    is_employee boolean default false,
    created_at timestamp default now() not null,
    updated_at timestamp default now() not null,
    constraint users_wallet_address_unique unique (wallet_address),
    constraint users_handle_unique unique (handle)
  );
  create table products (
    id uuid primary key default gen_random_uuid() not null,
    seller_id uuid not null references users (id),
    title varchar(500) not null,
    price_amount numeric(20,8) not null,
    created_at timestamp default now(),
    updated_at timestamp default now()
  );
`

const TABLES = `
  create table user_behavior_logs (
    id uuid primary key default gen_random_uuid() not null,
    user_id uuid references users (id) on delete cascade,
    event_type varchar(50) not null, metadata text, ip_address varchar(45), user_agent text,
    session_id varchar(100), path varchar(255),
    timestamp timestamp default now() not null, created_at timestamp default now() not null
  );
  create table user_transactions (
    id uuid primary key default gen_random_uuid() not null,
    user_id uuid references users (id) on delete cascade,
    tx_hash varchar(66) not null unique, chain varchar(50) default 'ethereum', event_type varchar(50) not null,
    token varchar(64), amount numeric(30,18), status varchar(20) default 'pending', block_number integer,
    timestamp timestamp default now() not null, created_at timestamp default now() not null,
    updated_at timestamp default now() not null
  );
  create table purchases (
    id uuid primary key default gen_random_uuid() not null,
    buyer_id uuid not null references users (id), seller_id uuid not null references users (id),
    product_id uuid references products (id), price numeric(20,8) not null, currency varchar(10) not null,
    escrow_id varchar(100), status varchar(32) default 'pending', dispute_status varchar(32), tx_hash varchar(66),
    metadata text, timestamp timestamp default now() not null, created_at timestamp default now() not null,
    updated_at timestamp default now() not null
  );
  create table wallet_activity (
    id uuid primary key default gen_random_uuid() not null,
    wallet_address varchar(66) not null, user_id uuid references users (id), activity_type varchar(50) not null,
    tx_hash varchar(66), amount numeric(30,18), token varchar(64), chain_id integer, metadata text,
    timestamp timestamp default now() not null, created_at timestamp default now() not null
  );
  create table risk_flags (
    id uuid primary key default gen_random_uuid() not null,
    user_id uuid not null references users (id), flag_type varchar(100) not null, severity varchar(20) not null,
    description text, score integer, status varchar(20) default 'active', resolved_by uuid references users (id),
    resolved_at timestamp, metadata text, created_at timestamp default now() not null,
    updated_at timestamp default now() not null
  );
  create table audit_logs (
    id uuid primary key default gen_random_uuid() not null,
    user_id uuid references users (id), action varchar(100) not null, resource_type varchar(50),
    resource_id varchar(100), payload text, ip_address varchar(45), user_agent text,
    timestamp timestamp default now() not null
  );
`

const REST = `
  create index idx_user_transactions_user on user_transactions (user_id);
  create index idx_wallet_activity_address on wallet_activity (wallet_address);
  create index idx_risk_flags_user on risk_flags (user_id);

  create function update_updated_at_column() returns trigger language plpgsql as $body$
  begin
    new.updated_at = current_timestamp;
    return new;
  end
  $body$;
  create trigger update_user_transactions_updated_at before update on user_transactions
    for each row execute function update_updated_at_column();
  create trigger update_purchases_updated_at before update on purchases
    for each row execute function update_updated_at_column();
  create trigger update_risk_flags_updated_at before update on risk_flags
    for each row execute function update_updated_at_column();

  alter table risk_flags add constraint chk_risk_severity check (severity in ('low', 'medium', 'high', 'critical'));
  alter table risk_flags add constraint chk_risk_status check (status in ('active', 'resolved', 'ignored'));
  alter table purchases add constraint chk_purchase_status
    check (status in ('pending', 'completed', 'disputed', 'refunded', 'cancelled'));
  alter table user_transactions add constraint chk_transaction_status check (status in ('pending', 'confirmed', 'failed'));
  alter table purchases add constraint chk_purchase_price check (price > 0);
`

const ROWS = `
  insert into users (id, wallet_address, handle, is_employee) values
    ('00000000-0000-4000-8000-000000000001', '0xAbCdEf0000000000000000000000000000000001', 'ada', false),
    ('00000000-0000-4000-8000-000000000002', '0xabcdef0000000000000000000000000000000002', 'bob', true);
  insert into products (id, seller_id, title, price_amount)
    values ('00000000-0000-4000-8000-000000000003', '00000000-0000-4000-8000-000000000002', 'A print', 12.5);
  insert into user_behavior_logs (user_id, event_type, metadata)
    values ('00000000-0000-4000-8000-000000000001', 'SEARCH', 'not json at all');
  insert into user_transactions (user_id, tx_hash, event_type, amount, token)
    values ('00000000-0000-4000-8000-000000000001', '0x' || repeat('AB', 32), 'LDAO_TRANSFER_SENT', 100.5, 'LDAO');
  insert into purchases (buyer_id, seller_id, product_id, price, currency, metadata)
    select '00000000-0000-4000-8000-000000000001', seller_id, id, 12.5, 'ETH', '{"notes":"…"}' from products;
  insert into wallet_activity (wallet_address, user_id, activity_type, metadata)
    values ('0xabcdef0000000000000000000000000000000002', '00000000-0000-4000-8000-000000000002', 'VOTE', '{}');
  insert into risk_flags (user_id, flag_type, severity, score)
    values ('00000000-0000-4000-8000-000000000001', 'High Event Velocity', 'high', 75);
  insert into audit_logs (user_id, action, payload)
    values ('00000000-0000-4000-8000-000000000002', 'ADMIN_LOGIN', '{"before":null}');
`

/** `monitored: false`: users and products alone, as before the application's own 0009. */
export async function createApplicationTables(
  sql: postgres.Sql,
  options: { readonly monitored?: boolean } = {},
): Promise<void> {
  await sql.unsafe(options.monitored === false ? BASE : BASE + TABLES + REST + ROWS).simple()
}

/** Every row of the application as text, without the columns that the daemon adds. */
export async function readApplicationRows(sql: postgres.Sql): Promise<string[]> {
  const added = ['raw_amount', 'token_address', 'block_hash', 'log_index']
  const rows: string[] = []
  for (const table of APPLICATION_TABLES) {
    // user_transactions has a block_number of its own.
    const dropped = table === 'wallet_activity' ? [...added, 'block_number'] : added
    const found = await sql<{ row: string }[]>`
      select (to_jsonb(t) - ${dropped}::text[])::text as row from ${sql(table)} t order by id
    `
    rows.push(...found.map(({ row }) => `${table} ${row}`))
  }
  return rows
}
