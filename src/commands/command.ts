/**
 * What every command is given.
 */

import type { Config } from '../config/env.ts'

export type CommandInput = {
  readonly config: Config
  /** Where the program's own files are. */
  readonly root: string
  readonly signal: AbortSignal
  /** Standard output: what the command was asked for. */
  readonly print: (line: string) => void
  /** Standard error, if it is a terminal: for progress. */
  readonly terminal: { write(text: string): unknown } | null
}

/** 0 done, 1 work failed or differences found. Errors are thrown and carry their own exit code. */
export type ExitCode = 0 | 1
