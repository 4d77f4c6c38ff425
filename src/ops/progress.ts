/**
 * Progress of long work: a bar with rate and remaining time on a terminal, a log line now and then elsewhere.
 */

import type { Clock } from '../runtime/clock.ts'

const BAR_WIDTH = 28
const DRAW_EVERY_MS = 100
const LOG_EVERY_MS = 5_000
/** The rate is taken over about this time, so that the remaining time follows what happens now. */
const RATE_WINDOW_MS = 15_000

export type Progress = {
  /** @param total if it is another one by now */
  update(done: number, total?: number): void
  /** Leaves the last state on the screen. */
  end(): void
}

export type ProgressOptions = {
  readonly label: string
  readonly total: number
  /** What was done before it began, and says nothing of the rate. */
  readonly done?: number
  readonly unit: string
  readonly clock: Clock
  /** A terminal to draw on, or null. */
  readonly terminal: { write(text: string): unknown } | null
  readonly onLine: (text: string) => void
}

export function createProgress(options: ProgressOptions): Progress {
  const { label, unit, clock, terminal, onLine } = options
  let { total, done: last = 0 } = options
  const samples: { at: number; done: number }[] = [{ at: clock.monotonic(), done: last }]
  let shownAt = Number.NEGATIVE_INFINITY
  let shown = -1

  const show = (isLast: boolean) => {
    const now = clock.monotonic()
    if (!isLast && now - shownAt < (terminal === null ? LOG_EVERY_MS : DRAW_EVERY_MS)) return
    shownAt = now
    if (terminal === null && shown === last) return
    shown = last
    const text = describeProgress(label, last, total, unit, rateOf(samples, now, last))
    if (terminal === null) onLine(text)
    else terminal.write(`\r\u001b[2K${bar(last / Math.max(total, 1))} ${text}${isLast ? '\n' : ''}`)
  }

  return {
    update(done, totalNow = total) {
      last = done
      total = totalNow
      const now = clock.monotonic()
      samples.push({ at: now, done })
      while (samples.length > 2 && now - (samples[1]?.at ?? now) > RATE_WINDOW_MS) samples.shift()
      show(false)
    },
    end: () => show(true),
  }
}

/** `sepolia 1,200 of 5,000 blocks (24 %), 310 blocks/s, 12 s left`. */
function describeProgress(label: string, done: number, total: number, unit: string, perSecond: number | null): string {
  const share = total === 0 ? 100 : Math.floor((done / total) * 100)
  const parts = [`${label} ${group(done)} of ${group(total)} ${unit} (${share} %)`]
  if (perSecond !== null) parts.push(`${group(Math.round(perSecond))} ${unit}/s`)
  if (perSecond !== null && perSecond > 0 && done < total)
    parts.push(`${describeDuration((total - done) / perSecond)} left`)
  return parts.join(', ')
}

export function describeDuration(seconds: number): string {
  const whole = Math.ceil(seconds)
  if (whole < 60) return `${whole} s`
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`
  if (whole < 86_400) return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`
  return `${Math.floor(whole / 86_400)} d ${Math.floor((whole % 86_400) / 3600)} h`
}

function rateOf(samples: readonly { at: number; done: number }[], now: number, done: number): number | null {
  const first = samples[0]
  if (first === undefined || now - first.at < 200) return null
  return ((done - first.done) / (now - first.at)) * 1000
}

function bar(share: number): string {
  const full = Math.round(Math.min(Math.max(share, 0), 1) * BAR_WIDTH)
  return `${'█'.repeat(full)}${'░'.repeat(BAR_WIDTH - full)}`
}

function group(value: number): string {
  return value.toLocaleString('en-US')
}
