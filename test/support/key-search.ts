/**
 * A search for keys in everything that a daemon says: its log, its errors, its pages, its database.
 *
 * Always holds: what is searched is also what comes before the log's scrubber, which is a net and not the rule; a piece of a key counts
 * as the key. Everything that was added is searched, and an empty search fails: it would prove nothing.
 */
import { expect } from 'vitest'
import { createScrubber } from '../../src/config/secret.ts'
import { describeError } from '../../src/errors.ts'
import { createLogger } from '../../src/ops/log.ts'
import { authorizationOf, type Keys } from './fault-keys.ts'
import type { LogLine } from './indexer.ts'

export type KeySearch = {
  /** A line of the log, which goes through the real logger, of every level. */
  hear(line: LogLine): void
  addError(where: string, error: unknown): void
  addText(where: string, text: string): void
  /** Fails if a piece of a key is in anything that was added. */
  expectNone(keys: readonly Keys[]): void
}

/** A piece of a key that is this long leaks it. */
const PIECE_LENGTH = 8
const SHOWN_AROUND = 60
const MAX_SHOWN = 10

/** @param urls with the keys, for the scrubber, as the program collects them */
export function createKeySearch(urls: readonly string[]): KeySearch {
  const said: { readonly where: string; readonly text: string }[] = []
  const scrub = createScrubber(urls)
  const log = createLogger({
    level: 'trace',
    format: 'json',
    destination: 2,
    scrub(text) {
      said.push({ where: 'the log', text }, { where: 'the log behind its scrubber', text: scrub(text) })
      return ''
    },
  })
  return {
    hear: ({ level, facts, message }) => log[level](facts, message),
    addError(where, error) {
      said.push({ where, text: describeError(error) }, { where, text: String(error) })
      log.error({ error }, where)
    },
    addText: (where, text) => void said.push({ where, text }),
    expectNone(keys) {
      expect(said.length).toBeGreaterThan(0)
      const pieces = new Set(keys.flatMap(piecesOf))
      const leaks = said.flatMap(({ where, text }) => {
        const at = findPiece(text, pieces)
        return at < 0 ? [] : [`${where}: …${text.slice(Math.max(at - SHOWN_AROUND, 0), at + SHOWN_AROUND)}…`]
      })
      expect([...new Set(leaks)].slice(0, MAX_SHOWN)).toEqual([])
    },
  }
}

function piecesOf(keys: Keys): string[] {
  const secrets = [keys.user, keys.password, keys.path, keys.query, authorizationOf(keys)]
  return secrets.flatMap(secret =>
    Array.from({ length: secret.length - PIECE_LENGTH + 1 }, (_, at) => secret.slice(at, at + PIECE_LENGTH)),
  )
}

function findPiece(text: string, pieces: ReadonlySet<string>): number {
  for (let at = 0; at + PIECE_LENGTH <= text.length; at += 1)
    if (pieces.has(text.slice(at, at + PIECE_LENGTH))) return at
  return -1
}
