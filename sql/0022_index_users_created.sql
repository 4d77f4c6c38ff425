-- runs outside a transaction
-- For the look at the newest users, before every block. There is none on updated_at: it would make every update of a user costlier.
create index concurrently if not exists users_indexer_created on public.users (created_at);
