/**
 * The entry: argv and the environment become a command, its outcome becomes an exit code.
 *
 * The only reader of `process.argv` and `process.env`, the only caller of `process.exit`. Two interrupts within a second are one
 * (npm forwards what the terminal has sent already); a third or a later one ends the process at once.
 */

import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parse as parseDotenv } from 'dotenv'
import { createProgram, UsageError } from './commands/program.ts'
import { type Config, loadConfig } from './config/env.ts'
import { createScrubber } from './config/secret.ts'
import { AppError, describeError } from './errors.ts'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const REPEATED_SIGNAL_MS = 1_000
/** SIGTERM is obeyed within 10 s, whatever a step is waiting for. */
const FORCED_EXIT_MS = 9_500
const USAGE_EXIT_CODE = 2

const stop = new AbortController()
let stoppedAt: number | null = null

function onSignal(): void {
  const now = performance.now()
  if (stoppedAt === null) {
    stoppedAt = now
    stop.abort()
    setTimeout(() => process.exit(75), FORCED_EXIT_MS).unref()
  } else if (now - stoppedAt > REPEATED_SIGNAL_MS) process.exit(130)
}

/** The environment, completed by `.env` where it says nothing itself. */
function readEnvironment(cwd: string): Record<string, string | undefined> {
  const file = join(cwd, '.env')
  return existsSync(file) ? { ...parseDotenv(readFileSync(file)), ...process.env } : { ...process.env }
}

async function main(): Promise<number> {
  process.on('SIGINT', onSignal)
  process.on('SIGTERM', onSignal)
  const env = readEnvironment(process.cwd())
  const loadConfiguration = (): Config => loadConfig({ env, cwd: process.cwd(), isTerminal: process.stdout.isTTY })
  const scrub = createScrubber(
    Object.entries(env).flatMap(([name, value]) => (name.endsWith('URL') && value ? value.split(',') : [])),
  )
  try {
    return await createProgram({
      env,
      loadConfiguration,
      root: ROOT,
      signal: stop.signal,
      print: line => process.stdout.write(`${scrub(line)}\n`),
      terminal: process.stderr.isTTY ? process.stderr : null,
    }).run(process.argv.slice(2))
  } catch (error) {
    if (error instanceof UsageError) return USAGE_EXIT_CODE
    process.stderr.write(
      `${scrub(error instanceof AppError ? describeError(error) : String(error instanceof Error ? error.stack : error))}\n`,
    )
    return error instanceof AppError ? error.exitCode : 1
  }
}

process.exit(await main())
