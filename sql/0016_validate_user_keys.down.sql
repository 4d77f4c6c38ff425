-- Nothing was made: a key that is valid stays valid.
do $$
begin
  if to_regclass('indexer.migrations') is not null then
    delete from indexer.migrations where number = 16;
  end if;
end
$$;
