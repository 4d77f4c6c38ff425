-- runs outside a transaction
-- For a transaction's row, which is derived again from its activities.
create index concurrently if not exists wallet_activity_indexer_tx_hash on public.wallet_activity (tx_hash) where block_hash is not null;
