/**
 * More confirmations for more money: a chain file may ask for a greater depth above an amount of a token.
 *
 * Tiers only ever ask for more: whatever they say, the chain's own `confirmations` has to be reached too.
 */

import type { Chain, TierConfirmations } from './chain.ts'
import type { ActivityRow } from './types.ts'

type TieredRow = Pick<ActivityRow, 'activityType' | 'rawAmount' | 'token' | 'tokenAddress'>

/** What the activities of one transaction ask for: the strictest tier that one of them reaches, or null. */
export function requiredConfirmations(rows: readonly TieredRow[], chain: Chain): TierConfirmations | null {
  let strictest: TierConfirmations | null = null
  for (const row of rows) {
    // An allowance moves nothing.
    if (row.rawAmount === null || row.activityType === 'APPROVAL') continue
    const asset = row.tokenAddress ?? (row.token === chain.nativeToken.symbol ? 'native' : null)
    for (const tier of chain.tiers) {
      if (tier.asset === asset && row.rawAmount > tier.above) strictest = stricter(strictest, tier.confirmations)
    }
  }
  return strictest
}

function stricter(a: TierConfirmations | null, b: TierConfirmations): TierConfirmations {
  if (a === null) return b
  if (a === 'finalized' || b === 'finalized') return 'finalized'
  return Math.max(a, b)
}
