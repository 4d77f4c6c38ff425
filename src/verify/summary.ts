/**
 * Whose a transaction is and what it was: the one row of `user_transactions`, from the activities of its wallets.
 */
import type { Address } from '../core/types.ts'
import type { Effect } from './logs.ts'

/** An activity of a tracked wallet, and where in the transaction it happened. */
export type Placed = {
  readonly effect: Effect
  readonly userId: string | null
  /** null: by the transaction itself. */
  readonly logIndex: number | null
}

export type Summary = { readonly userId: string; readonly eventType: string; readonly placed: Placed }

/** The kinds in the order in which they count; a rule's activities come after the first, in the order of the chain file. */
const KINDS: readonly (readonly string[])[] = [
  ['SWAP'],
  ['WRAP', 'UNWRAP'],
  ['MINT', 'BURN'],
  ['CONTRACT_DEPLOYMENT'],
  ['TRANSFER_OUT', 'TRANSFER_IN'],
  ['APPROVAL'],
  ['USER_OPERATION'],
  ['DELEGATION'],
  ['CONTRACT_INTERACTION'],
]

/** `activities` in the order of the chain, a transaction's own first. null: no user takes part. */
export function summarise(
  activities: readonly Placed[],
  sender: Address,
  owners: ReadonlyMap<string, string | null>,
): Summary | null {
  const userId = owners.get(sender) ?? activities.find(placed => placed.userId !== null)?.userId ?? null
  const own = activities.filter(placed => placed.userId === userId)
  if (userId === null || own.length === 0) return null
  const named = (placed: Placed, eventType: string) => ({ userId, eventType, placed })

  const reverted = own.find(({ effect }) => effect.type === 'TRANSACTION_REVERTED')
  if (reverted !== undefined) return named(reverted, 'TRANSACTION_REVERTED')

  const byRule = own.filter(({ effect }) => effect.rule !== undefined)
  const firstOrder = Math.min(...byRule.map(({ effect }) => effect.rule?.order ?? 0))
  const rule = firstOf(byRule.filter(({ effect }) => effect.rule?.order === firstOrder))
  if (rule?.effect.rule !== undefined) return named(rule, rule.effect.rule.eventType)

  for (const kind of KINDS) {
    const first = firstOf(own.filter(({ effect }) => kind.includes(effect.type)))
    if (first === undefined) continue
    const { type } = first.effect
    return named(first, type === 'TRANSFER_OUT' || type === 'TRANSFER_IN' ? 'TRANSFER' : type)
  }
  return null
}

/** The transaction's own first, then by log, by item, and what goes out before what comes in. */
function firstOf(activities: readonly Placed[]): Placed | undefined {
  const rank = ({ logIndex, effect }: Placed) => [logIndex ?? -1, effect.item, effect.type === 'TRANSFER_OUT' ? 0 : 1]
  return [...activities].sort((a, b) => {
    const [left, right] = [rank(a), rank(b)]
    for (const [i, value] of left.entries()) if (value !== right[i]) return value - (right[i] as number)
    return 0
  })[0]
}
