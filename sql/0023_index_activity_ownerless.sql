-- runs outside a transaction
-- For wallets whose rows lost the former owner they named.
create index concurrently if not exists wallet_activity_indexer_ownerless on public.wallet_activity (wallet_address) where user_id is null and block_hash is not null;
