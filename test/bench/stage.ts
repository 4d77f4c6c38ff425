/**
 * What every benchmark needs: a real Postgres that keeps what it was told, a node in a process of its own, databases with users.
 *
 * Always holds: whatever was opened is closed by `close`, the newest first; the database is as durable as a production one, because a
 * commit that waits for no disk would flatter every number here.
 */

import postgres from 'postgres'
import { startServer } from '../sim/server.ts'
import { testChain } from '../support/indexer.ts'
import type { Chain } from '../../src/core/chain.ts'
import { createCast } from './chain/cast.ts'
import type { ChainSpec } from './chain/generated-chain.ts'
import type { BenchNode } from './node/bench-node.ts'
import { startRemoteNode } from './node/remote.ts'

export type Stage = {
  readonly node: BenchNode
  /** A new database with the schema, and a user for each wallet. @returns its URL */
  createDatabase(wallets: readonly string[]): Promise<string>
  dropDatabase(url: string): Promise<void>
  /** Can be called twice. */
  close(): Promise<void>
}

/** As a small server is set up; nothing that makes it forget. */
const SETTINGS = { shared_buffers: '256MB', max_wal_size: '4GB', max_connections: '100' }

export async function openStage(): Promise<Stage> {
  const server = await startServer(SETTINGS)
  const node = await startRemoteNode().catch(async (error: unknown) => {
    await server.close()
    throw error
  })
  let databases = 0
  let closing: Promise<void> | undefined
  const close = async () => {
    try {
      await node.close()
    } finally {
      await server.close()
    }
  }
  return {
    node,
    async createDatabase(wallets) {
      const name = `bench_${(databases += 1)}`
      await server.createDatabase(name)
      const url = server.urlOf(name)
      await addUsers(url, wallets)
      return url
    },
    dropDatabase: url => server.dropDatabase(nameOf(url)),
    close: () => (closing ??= close()),
  }
}

async function addUsers(url: string, wallets: readonly string[]): Promise<void> {
  const sql = postgres(url, { max: 1, onnotice: () => undefined })
  try {
    await sql`insert into users (wallet_address) select unnest(${wallets as string[]}::text[])`
    await sql`analyze users`
  } finally {
    await sql.end()
  }
}

function nameOf(url: string): string {
  return new URL(url).pathname.slice(1)
}

/** The chain file of a generated chain. */
export function chainFile(spec: ChainSpec, fields: Readonly<Record<string, unknown>> = {}): Chain {
  const listed = createCast(spec).tokens.filter(token => token.listed)
  return testChain({
    id: spec.chainId,
    name: `chain-${spec.chainId}`,
    confirmations: 12,
    startBlock: 'latest',
    blockTimeSeconds: spec.blockSeconds,
    tokens: listed.map(({ address, symbol }) => ({ address, symbol, decimals: 18, kind: 'erc20' })),
    ...fields,
  })
}
