/**
 * Seeds that once failed, and what they found: they run with the tests, so that nothing of it comes back.
 */
export const PAST_SEEDS: readonly { readonly seed: number; readonly found: string }[] = []
