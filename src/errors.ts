/**
 * The one error class of the project and the catalogue of its codes.
 *
 * Always holds: an error says what happened (`message`), the facts it was found by (`facts`, never a secret), and what to do
 * (`hint`). Whoever catches decides by `code` and `retryable`, never by the text. Errors of libraries are wrapped at the edge
 * where they are met, with the original as `cause`.
 */

type CodeFacts = { readonly exitCode: 1 | 2 | 75; readonly retryable: boolean }

/** Every code, with the exit code a command ends with and whether the same call may succeed when it is made again. */
const CATALOGUE = {
  USAGE: { exitCode: 2, retryable: false },
  CONFIG_INVALID: { exitCode: 2, retryable: false },

  RPC_UNAVAILABLE: { exitCode: 75, retryable: true },
  RPC_BAD_RESPONSE: { exitCode: 75, retryable: true },
  RPC_INCONSISTENT: { exitCode: 75, retryable: true },
  RPC_REJECTED: { exitCode: 1, retryable: false },
  RPC_STATE_UNAVAILABLE: { exitCode: 1, retryable: false },
  RPC_WRONG_CHAIN: { exitCode: 75, retryable: true },

  DB_UNAVAILABLE: { exitCode: 75, retryable: true },
  DB_CONFLICT: { exitCode: 75, retryable: true },
  DB_REJECTED: { exitCode: 1, retryable: false },
  DB_SCHEMA: { exitCode: 1, retryable: false },
  DB_LOCKED: { exitCode: 75, retryable: true },

  MIGRATION_FAILED: { exitCode: 1, retryable: false },
  MIGRATION_REFUSED: { exitCode: 1, retryable: false },

  LEASE_LOST: { exitCode: 75, retryable: true },
  REGISTRY_STALE: { exitCode: 75, retryable: true },
  REORG_BEYOND_FINALITY: { exitCode: 1, retryable: false },
  CHECKPOINT_AHEAD_OF_ROWS: { exitCode: 1, retryable: false },

  EMBEDDED_UNAVAILABLE: { exitCode: 1, retryable: false },
  HTTP_PORT_TAKEN: { exitCode: 2, retryable: false },
  ABORTED: { exitCode: 75, retryable: false },
  INTERNAL: { exitCode: 1, retryable: false },
} as const satisfies Record<string, CodeFacts>

export type ErrorCode = keyof typeof CATALOGUE

/** Values small enough for one line of a log. Never a URL with its path, never a password. */
export type ErrorFacts = Readonly<Record<string, string | number | boolean | null | undefined>>

export type ErrorOptions = {
  readonly facts?: ErrorFacts
  /** What the reader should do now, as an imperative sentence. */
  readonly hint?: string
  readonly cause?: unknown
  /** Overrides the catalogue where one code covers both kinds. */
  readonly retryable?: boolean
}

export class AppError extends Error {
  override readonly name = 'AppError'
  readonly code: ErrorCode
  readonly facts: ErrorFacts
  readonly hint: string | undefined
  readonly retryable: boolean

  constructor(code: ErrorCode, message: string, options: ErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.facts = options.facts ?? {}
    this.hint = options.hint
    this.retryable = options.retryable ?? CATALOGUE[code].retryable
  }

  get exitCode(): 1 | 2 | 75 {
    return CATALOGUE[this.code].exitCode
  }
}

/** True where making the same call again may succeed: the only retry predicate of the project. */
export function isRetryable(error: unknown): boolean {
  return error instanceof AppError && error.retryable
}

/** One line for people: what happened, the facts, what to do. */
export function describeError(error: unknown): string {
  if (!(error instanceof AppError)) return error instanceof Error ? `${error.name}: ${error.message}` : String(error)
  const facts = Object.entries(error.facts)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name}=${String(value)}`)
    .join(' ')
  return [error.message, facts && `(${facts})`, error.hint].filter(Boolean).join(' ')
}
