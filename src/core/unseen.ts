/**
 * Is a transaction that no chain has given up?
 *
 * One lagging or lying node, one empty answer never says so. It takes every endpoint of every chain, each of which proves that it
 * remembers transactions of that age, again and again for longer than `droppedAfter`; and a nonce, where it is known, that nothing
 * else has used.
 */

export type ChainTestimony = {
  /** What each endpoint of the chain says. */
  readonly says: readonly ('found' | 'none' | 'forgetful' | 'silent')[]
}

/** What all of them say together: nobody has it, somebody has it, or it stays open. */
export type SurveyResult = 'none' | 'found' | 'open'

/** How often in a row nobody may have it before it counts as dropped: spread over the whole time, whatever the process did meanwhile. */
const SURVEYS = 5

/** @param sinceSeconds since the last survey, or since it was noticed */
export function isSurveyDue(sinceSeconds: number, droppedAfterSeconds: number): boolean {
  return sinceSeconds > droppedAfterSeconds / SURVEYS
}

export function weighTestimonies(chains: readonly ChainTestimony[]): SurveyResult {
  if (chains.some(({ says }) => says.includes('found'))) return 'found'
  const isUnanimous =
    chains.length > 0 && chains.every(({ says }) => says.length > 0 && says.every(word => word === 'none'))
  return isUnanimous ? 'none' : 'open'
}

export type UnseenInput = {
  readonly waitedSeconds: number
  /** The longest of all chains. */
  readonly droppedAfterSeconds: number
  /** How often in a row nobody had it. */
  readonly surveys: number
  /** Whether the sender's nonce has passed that of the transaction; null where the sender is not known. */
  readonly noncePassed: boolean | null
}

/** True: it counts as dropped. */
export function isDropped({ waitedSeconds, droppedAfterSeconds, surveys, noncePassed }: UnseenInput): boolean {
  return waitedSeconds > droppedAfterSeconds && noncePassed !== true && surveys >= SURVEYS
}

export type NonceSearch =
  /** Ask for the nonce at the end of this block next. */
  | { readonly kind: 'ask'; readonly block: number }
  /** The block in which the nonce was used. */
  | { readonly kind: 'found'; readonly block: number }

/**
 * Where an account's nonce passed a value: the first block at whose end it is above. Steps back from the top in growing strides,
 * since most replacements are recent, then halves.
 *
 * @param below the highest block at whose end the nonce had not passed; −1 at first
 * @param passed the lowest block at whose end it is known to have passed
 * @param stride blocks of the next step back; Infinity once `below` is known
 */
export function searchNonce(below: number, passed: number, stride: number): NonceSearch {
  if (passed - below <= 1) return { kind: 'found', block: passed }
  const next = Number.isFinite(stride) ? Math.max(passed - stride, below + 1) : Math.floor((below + passed) / 2)
  return { kind: 'ask', block: Math.min(next, passed - 1) }
}
