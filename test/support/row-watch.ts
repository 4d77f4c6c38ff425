/**
 * What anybody else could ever see of the rows: each version that was committed, and when the first row of a block became visible.
 *
 * Always holds: triggers write down every version within the transaction that makes it, so none is missed and none that was taken
 * back counts; the notification comes to another connection when the transaction commits.
 */
import type postgres from 'postgres'
import type { TestDatabase } from './database.ts'

export type TransactionVersion = { readonly tx_hash: string; readonly status: string }

export type RowWatch = {
  /** Monotonic milliseconds when the first row of a block was visible; undefined: it is not yet. */
  seenAt(blockHash: string): number | undefined
  /** Resolves when a row of the block is visible. @throws Error at the signal */
  untilSeen(blockHash: string, signal: AbortSignal): Promise<void>
  /** The ids of all rows of `wallet_activity` that ever were. */
  activityIds(): Promise<string[]>
  /** Each status that each transaction ever had. */
  statuses(): Promise<TransactionVersion[]>
  close(): Promise<void>
}

const CHANNEL = 'watched_rows'

export async function watchRows({ sql }: TestDatabase): Promise<RowWatch> {
  await installTriggers(sql)
  const seen = new Map<string, number>()
  const waiting = new Set<() => void>()
  const listening = await sql.listen(CHANNEL, blockHash => {
    if (!seen.has(blockHash)) seen.set(blockHash, performance.now())
    for (const look of waiting) look()
  })
  return {
    seenAt: blockHash => seen.get(blockHash),
    untilSeen: (blockHash, signal) =>
      new Promise((resolve, reject) => {
        const look = () => {
          if (!seen.has(blockHash)) return
          waiting.delete(look)
          resolve()
        }
        const giveUp = () => {
          waiting.delete(look)
          reject(new Error(`no row of block ${blockHash} is visible`))
        }
        waiting.add(look)
        signal.addEventListener('abort', giveUp, { once: true })
        look()
      }),
    activityIds: async () =>
      (await sql<{ id: string }[]>`select distinct id::text from watch.activity order by 1`).map(({ id }) => id),
    statuses: async () => [
      ...(await sql<TransactionVersion[]>`select distinct tx_hash, status from watch.transaction order by 1, 2`),
    ],
    close: () => listening.unlisten(),
  }
}

async function installTriggers(sql: postgres.Sql): Promise<void> {
  await sql.unsafe(`
    create schema watch;
    create table watch.activity (id uuid);
    create table watch.transaction (tx_hash text, status text);
    create function watch.note_activity() returns trigger language plpgsql as $$
    begin
      insert into watch.activity values (new.id);
      perform pg_notify('${CHANNEL}', new.block_hash);
      return null;
    end $$;
    create function watch.note_transaction() returns trigger language plpgsql as $$
    begin
      insert into watch.transaction values (lower(new.tx_hash), new.status);
      return null;
    end $$;
    create trigger watch_activity after insert or update on wallet_activity
      for each row execute function watch.note_activity();
    create trigger watch_transaction after insert or update on user_transactions
      for each row execute function watch.note_transaction();
  `)
}
