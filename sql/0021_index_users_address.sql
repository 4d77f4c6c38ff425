-- runs outside a transaction
-- For the comparison of users with the tracked wallets, which goes through the addresses slice by slice. It holds what is compared, so that a slice does not look for each user in the table; and it is in the order of indexer.wallets, whatever collation the application chose.
create index concurrently if not exists users_indexer_lower_address on public.users ((lower(wallet_address) collate "default")) include (wallet_address, id);
