/**
 * The log: readable lines on a terminal, JSON elsewhere.
 *
 * Always holds: whatever is logged, by us or by a library, passes the scrubber as the very last step before it is written. That no
 * secret is put into a message in the first place is the duty of those who write it; this is the net below them.
 */

import { pino } from 'pino'
import pretty from 'pino-pretty'
import type { LogFormat, LogLevel } from '../config/env.ts'
import { AppError } from '../errors.ts'

export type LogOptions = {
  readonly level: LogLevel
  readonly format: LogFormat
  /** File descriptor: 1 for the daemon, 2 for commands whose output is on 1. */
  readonly destination: 1 | 2
  readonly scrub: (text: string) => string
}

export type Logger = pino.Logger

export function createLogger({ level, format, destination, scrub }: LogOptions): Logger {
  const options: pino.LoggerOptions = {
    level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: label => ({ level: label }) },
    serializers: { error: serializeError },
    hooks: { streamWrite: scrub },
  }
  return format === 'json'
    ? pino(options, pino.destination({ fd: destination, sync: true }))
    : pino(
        options,
        pretty({ destination, sync: true, translateTime: 'SYS:HH:MM:ss', singleLine: true, ignore: 'level' }),
      )
}

/** Our errors as their parts; others with their name and message. Causes one level deep: deeper ones hold no news. */
function serializeError(error: unknown): unknown {
  if (!(error instanceof Error)) return String(error)
  const cause =
    error.cause instanceof Error ? { cause: `${error.cause.name}: ${error.cause.message.split('\n', 1)[0]}` } : {}
  if (error instanceof AppError) {
    return {
      code: error.code,
      message: error.message,
      ...error.facts,
      ...(error.hint === undefined ? {} : { hint: error.hint }),
      ...cause,
    }
  }
  return { name: error.name, message: error.message, stack: error.stack, ...cause }
}
