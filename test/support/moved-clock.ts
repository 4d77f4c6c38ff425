/**
 * Preloaded into a process (`node --import`): its wall clock is off by what a file says, in milliseconds, from the moment that the
 * file changes. The monotonic clock and the timers stay as they are.
 */
import { readFileSync, watchFile } from 'node:fs'

const path = process.env['MOVED_CLOCK'] ?? ''
const RealDate = Date
let offset = 0

watchFile(path, { interval: 50, persistent: false }, () => {
  offset = Number(readFileSync(path, 'utf8'))
})

class MovedDate extends RealDate {
  constructor(...args: [] | [number | string | Date] | Parameters<typeof Date.UTC>) {
    if (args.length === 0) super(MovedDate.now())
    else super(...(args as [number]))
  }
  static override now(): number {
    return RealDate.now() + offset
  }
}

globalThis.Date = MovedDate as DateConstructor
