-- runs outside a transaction
-- For the sweep that takes up what the application inserted.
create index concurrently if not exists user_transactions_indexer_pending on public.user_transactions (created_at) where status = 'pending';
