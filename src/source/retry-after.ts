/**
 * How long an endpoint asks to be left alone: by the header, by a field of the error, or in words.
 *
 * Always holds: what is asked for is bounded, since a nonsensical number must not take an endpoint away for good.
 */

/** What is waited at most because a node asks for it. */
const MAX_RETRY_AFTER_MS = 3_600_000

/** Fields that were seen: of Infura and of Chainstack; the last one as a guess. In seconds, or with a unit. */
const FIELDS: ReadonlySet<string> = new Set(['backoff_seconds', 'try_again_in', 'retry_after'])
const MAX_DEPTH = 3

const UNITS_MS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 }
/** "10s", "10m0s", "1.5 seconds", "2 minutes". */
const DURATION = String.raw`((?:\d+(?:\.\d+)?\s?(?:milliseconds?|ms|hours?|h|minutes?|mins?|m|seconds?|secs?|s)(?![a-z])\s?)+)`
const IN_WORDS = new RegExp(`(?:try|retry|again|wait)(?:ing)?(?: again)?(?: in|[ -]after| for)?:? ${DURATION}`, 'i')

/**
 * @param headers of the answer, where there was one over HTTP
 * @param nowMs by our clock; used only where the answer has no date of its own
 * @returns null where nothing is said, or nonsense
 */
export function retryAfterMs(headers: Headers | undefined, data: unknown, text: string, nowMs: number): number | null {
  const waitMs = byHeader(headers, nowMs) ?? byField(data, 0) ?? durationMs(IN_WORDS.exec(text)?.[1] ?? '')
  return waitMs === null ? null : Math.min(waitMs, MAX_RETRY_AFTER_MS)
}

/** Seconds, or a date. A date is held against the date of the answer: our clock may be wrong, and theirs too. */
function byHeader(headers: Headers | undefined, nowMs: number): number | null {
  const value = headers?.get?.('retry-after')?.trim() ?? ''
  if (value === '') return null
  const seconds = Number(value)
  if (!Number.isNaN(seconds)) return seconds >= 0 ? seconds * 1000 : null
  const until = Date.parse(value)
  if (Number.isNaN(until)) return null
  const sentAt = Date.parse(headers?.get?.('date') ?? '')
  return Math.max(until - (Number.isNaN(sentAt) ? nowMs : sentAt), 0)
}

/** Zero says nothing: Infura sends it with every other refusal. */
function byField(data: unknown, depth: number): number | null {
  if (typeof data !== 'object' || data === null || depth > MAX_DEPTH) return null
  for (const [name, value] of Object.entries(data)) {
    const waitMs = FIELDS.has(name) ? secondsMs(value) : byField(value, depth + 1)
    if (waitMs !== null && waitMs > 0) return waitMs
  }
  return null
}

function secondsMs(value: unknown): number | null {
  const seconds = typeof value === 'string' && value.trim() !== '' ? Number(value) : value
  if (typeof seconds === 'number' && seconds >= 0) return seconds * 1000
  return typeof value === 'string' ? durationMs(value) : null
}

function durationMs(text: string): number | null {
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)\s?(ms|milli|h|m|s)/gi)]
  if (parts.length === 0) return null
  const sum = parts.reduce((total, [, count, unit = '']) => {
    const short = unit.toLowerCase() === 'milli' ? 'ms' : unit.toLowerCase()
    return total + Number(count) * (UNITS_MS[short] ?? 0)
  }, 0)
  return Math.round(sum)
}
