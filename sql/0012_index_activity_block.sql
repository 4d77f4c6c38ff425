-- runs outside a transaction
-- For rewinds and repairs, which take rows of ours by block.
create index concurrently if not exists wallet_activity_indexer_block on public.wallet_activity (chain_id, block_number) where block_hash is not null;
