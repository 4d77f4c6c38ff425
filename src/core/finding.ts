/**
 * What a check found, in plain words: for `doctor`.
 */

export type Finding = {
  /** `limited` works with less, `bad` needs mending. */
  readonly verdict: 'ok' | 'limited' | 'bad'
  readonly text: string
  /** What to do, where there is something to do. */
  readonly hint?: string
}
