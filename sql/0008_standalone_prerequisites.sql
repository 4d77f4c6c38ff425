-- What 0009 needs of the application, for databases that have no application: its users and products in their smallest form.
-- Where the application's own tables exist, nothing happens here.
-- All times are UTC without a zone, whatever time zone the session has.

create table if not exists public.users (
  id uuid primary key default gen_random_uuid(),
  wallet_address varchar(66) not null unique,
  handle varchar(64) unique,
  created_at timestamp not null default (now() at time zone 'utc'),
  updated_at timestamp not null default (now() at time zone 'utc')
);

create table if not exists public.products (
  id uuid primary key default gen_random_uuid(),
  created_at timestamp not null default (now() at time zone 'utc'),
  updated_at timestamp not null default (now() at time zone 'utc')
);
