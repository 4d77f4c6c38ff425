-- runs outside a transaction
-- For the comparison of users with the tracked wallets, which goes through the addresses piece by piece.
create index concurrently if not exists users_indexer_lower_address on public.users (lower(wallet_address));
