/**
 * When a chain is looked at: at the moment when its next block is expected, or as soon as one is announced.
 *
 * Always holds: an announcement only brings a look forward, and the looks go on without any: a websocket that works makes them few, one
 * that fell silent costs one late block. Everything is reckoned in a clock that never goes back.
 */

import { initialRhythm, nextLookMs, noteBlock, type Rhythm, stalledSinceMs } from '../core/rhythm.ts'
import type { Header } from '../core/types.ts'
import { sleep } from '../runtime/sleep.ts'
import type { ChainContext } from './context.ts'
import type { StepResult } from './follow.ts'

/** While heads are announced, a poll waits for this much longer than a block takes. */
const TOLD_GRACE_SHARE = 0.5
const MIN_TOLD_GRACE_MS = 1_000
/** A websocket that announces nothing for so many block times may be deaf. */
const SILENT_BLOCK_TIMES = 5
const MIN_SILENCE_MS = 30_000

export type Lookout = {
  /** Listens for announcements, until the signal. */
  listen(signal: AbortSignal): Promise<void>
  /** The newest head that was announced since it was last asked for. */
  takeTold(): Header | null
  /** What a step found, and when it began to look. */
  note(result: StepResult, lookedMs: number): void
  /** Until the next look is due. */
  wait(result: StepResult, signal: AbortSignal): Promise<void>
  /** For how long no block has come, where that is far longer than this chain explains; null: all is well. */
  stalledMs(): number | null
}

export function createLookout({ chain, source, clock, log }: ChainContext): Lookout {
  const blockTimeMs = chain.blockTimeSeconds * 1000
  let rhythm: Rhythm = initialRhythm(blockTimeMs)
  let newest: { readonly number: number; readonly hash: string; readonly seenMs: number } | null = null
  /** The last look that found nothing new. */
  let notBeforeMs: number | null = null
  let told: { readonly header: Header; readonly atMs: number } | null = null
  let lastToldNumber = -1
  let wake: (() => void) | null = null
  /** A look found nothing since the newest block. */
  let hasLooked = false
  /** The newest block was there at the first look: the one after it may be, too. */
  let mayBeBehind = false

  const isNews = (header: Header) =>
    newest === null || header.number > newest.number || (header.number === newest.number && header.hash !== newest.hash)

  const onHead = (header: Header) => {
    lastToldNumber = header.number
    if (!isNews(header) || (told !== null && told.header.number > header.number)) return
    if (told?.header.hash !== header.hash) told = { header, atMs: clock.monotonic() }
    wake?.()
  }

  const noteNew = (head: Header, lookedMs: number) => {
    const wasTold = told?.header.hash === head.hash ? told.atMs : null
    const seenMs = wasTold ?? lookedMs
    rhythm = noteBlock(
      rhythm,
      { number: head.number, timestampMs: head.timestamp * 1000 },
      { notBeforeMs: wasTold ?? notBeforeMs, seenMs },
    )
    newest = { number: head.number, hash: head.hash, seenMs }
    // What was looked for was found, and it was the newest: the next one was not there.
    notBeforeMs = seenMs
  }

  return {
    listen: signal =>
      source.watchHeads(
        {
          silenceMs: Math.max(SILENT_BLOCK_TIMES * blockTimeMs, MIN_SILENCE_MS),
          onHead,
          onTrouble: (facts, message) => log.debug({ chain: chain.name, ...facts }, message),
        },
        signal,
      ),
    takeTold() {
      const header = told !== null && isNews(told.header) ? told.header : null
      if (header === null) told = null
      return header
    },
    note(result, lookedMs) {
      const { head } = result
      if (head.hash !== newest?.hash) {
        mayBeBehind = !result.isNewest && !hasLooked
        hasLooked = false
        noteNew(head, lookedMs)
      } else if (result.kind === 'idle') {
        mayBeBehind = false
        hasLooked = true
        notBeforeMs = lookedMs
      }
      if (told !== null && !isNews(told.header)) told = null
    },
    async wait(result, signal) {
      if (result.kind === 'rewound' || (result.kind === 'advanced' && result.to < result.head.number)) return
      if (mayBeBehind || (told !== null && isNews(told.header))) return
      const now = clock.monotonic()
      let dueMs = nextLookMs(rhythm, now)
      if (newest !== null && lastToldNumber >= newest.number) {
        const graceMs = Math.max(blockTimeMs * TOLD_GRACE_SHARE, MIN_TOLD_GRACE_MS)
        dueMs = Math.max(dueMs, newest.seenMs + blockTimeMs + graceMs)
      }
      const woken = new AbortController()
      wake = () => woken.abort()
      signal.addEventListener('abort', wake, { once: true })
      if (signal.aborted) woken.abort()
      await sleep(dueMs - now, woken.signal)
      signal.removeEventListener('abort', wake)
      wake = null
    },
    stalledMs() {
      const since = stalledSinceMs(rhythm, clock.monotonic())
      return since === null ? null : clock.monotonic() - since
    },
  }
}
