/**
 * What the step of a follower holds from its first statement to its end: the lease, the version of the tracked wallets, the coverage.
 *
 * One statement takes all of it, because each is a way to the server and back, twice, and a block is waited for. Of the
 * tables it reads nothing but what it locks: whoever is waited for here is seen by the next statement.
 */

import { type MetadataType, metadataType } from './activities.ts'
import type { Tx } from './connection.ts'
import { coverageLock } from './coverage.ts'
import { type Lease, lostLease } from './lease.ts'
import { staleRegistry } from './registry.ts'

export type Guard = {
  readonly lease: Lease
  readonly registryVersion: number
  /** Whose coverage is extended. */
  readonly chainId: number
}

/** @returns the type of the metadata column. @throws AppError LEASE_LOST, REGISTRY_STALE */
export async function holdAll(tx: Tx, { lease, registryVersion, chainId }: Guard): Promise<MetadataType> {
  const [held] = await tx<{ leased: boolean; version: string; metadata: MetadataType | null }[]>`
    with lease as materialized (
      select 1 from indexer.leases
      where name = ${lease.name} and holder = ${lease.holder} and fencing = ${lease.fencing} for key share
    ), registry as materialized (select version from indexer.registry for share)
    select exists (select 1 from lease) as leased, (select version from registry) as version,
      ${metadataType(tx)} as metadata, ${coverageLock(tx, chainId)}`
  if (held?.leased !== true) throw lostLease(lease)
  if (Number(held.version) !== registryVersion) throw staleRegistry(registryVersion, Number(held.version))
  return held.metadata ?? 'text'
}
