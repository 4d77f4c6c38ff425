-- runs outside a transaction
-- The application spells hashes as it likes: they are matched without case.
create index concurrently if not exists user_transactions_indexer_lower_hash on public.user_transactions (lower(tx_hash));
