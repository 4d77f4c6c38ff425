/**
 * Blocks → rows: the tracked wallets in them, with everything that has to be asked before a row is complete.
 *
 * What a node can't tell (a token's decimals, an authority's old nonce) leaves a row with less in it; a node that fails to answer
 * leaves no row at all, and the step is made again.
 */

import pMap from 'p-map'
import { activityRows, transactionFacts, unlistedTokens } from '../core/attribute.ts'
import { decodeBlock } from '../core/decode/block.ts'
import { authoritiesOf, mayDelegate } from '../core/decode/delegation.ts'
import type { Activity, ActivityRow, Address, Block, Hash, Oddity, TransactionFacts } from '../core/types.ts'
import type { ChainContext } from './context.ts'
import { resolveDecimals } from './tokens.ts'

const AUTHORITIES_AT_ONCE = 8
/** Kinds of oddities that are told one by one; a contract can invent as many as it likes. */
const MAX_KINDS_LOGGED = 200

export type Matched = {
  readonly activities: readonly ActivityRow[]
  readonly transactions: readonly TransactionFacts[]
}

export type MatchOptions = {
  /** Hashes to tell of even if no tracked wallet takes part. */
  readonly sought: ReadonlySet<Hash>
  /** Only these wallets; absent: the whole set. */
  readonly only?: ReadonlySet<Address>
}

/** Matches blocks with the tracked wallets, in the order of the blocks. */
export async function matchBlocks(
  context: ChainContext,
  blocks: readonly Block[],
  { sought, only }: MatchOptions,
  signal: AbortSignal,
): Promise<Matched> {
  const { chain, registry } = context
  const isTracked = only === undefined ? registry.isTracked : (address: Address) => only.has(address)
  const decoded: { block: Block; activities: readonly Activity[] }[] = []
  for (const block of blocks) {
    const nonces = await noncesBefore(context, block, isTracked, signal)
    const { activities, oddities } = decodeBlock(block, chain, isTracked, nonces)
    tellOddities(context, block, oddities)
    decoded.push({ block, activities })
  }
  const decimals = new Map<Address, number | null>()
  for (const { block, activities } of decoded) {
    const unknown = unlistedTokens(activities, chain).filter(token => !decimals.has(token))
    for (const [token, value] of await resolveDecimals(context, unknown, block.number, signal))
      decimals.set(token, value)
  }
  const all: { activities: ActivityRow[]; transactions: TransactionFacts[] } = { activities: [], transactions: [] }
  for (const { block, activities } of decoded) {
    const rows = activityRows(block, activities, chain, registry.ownerOf, token => decimals.get(token) ?? null)
    all.activities.push(...rows)
    all.transactions.push(...transactionFacts(block, rows, chain, registry.ownerOf, hash => sought.has(hash)))
  }
  return all
}

/**
 * What EIP-7702 asks of an authority before its authorization counts, at the parent block: its nonce, which is returned, and an
 * account without code, or delegated already. An authority with other code is left out.
 */
async function noncesBefore(
  { chain, source }: ChainContext,
  block: Block,
  isTracked: (address: Address) => boolean,
  signal: AbortSignal,
): Promise<Map<Address, number | null>> {
  const nonces = new Map<Address, number | null>()
  await pMap(
    authoritiesOf(block, chain.id, isTracked),
    async authority => {
      const parent = Math.max(block.number - 1, 0)
      const [nonce, code] = await Promise.all([
        source.nonceAt(authority, parent, signal),
        source.codeAt(authority, parent, signal),
      ])
      if (mayDelegate(code)) nonces.set(authority, nonce)
    },
    { concurrency: AUTHORITIES_AT_ONCE },
  )
  return nonces
}

const toldKinds = new Set<string>()

/** Once per kind: what can't be understood is passed, not shouted. */
function tellOddities({ chain, log }: ChainContext, block: Block, oddities: readonly Oddity[]): void {
  for (const { kind, transactionHash, logIndex } of oddities) {
    const key = `${chain.id}:${kind}`
    if (toldKinds.has(key) || toldKinds.size >= MAX_KINDS_LOGGED) continue
    toldKinds.add(key)
    log.warn(
      { chain: chain.name, kind, block: block.number, tx: transactionHash, logIndex },
      'Passed over what can not be understood; told once per kind',
    )
  }
}
