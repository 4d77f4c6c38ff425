/**
 * Randomness, for jitter and names of holders. Nothing that is written about the chain depends on it.
 */

import { randomUUID } from 'node:crypto'

/** In [0, 1). */
export function randomFloat(): number {
  return Math.random()
}

/** A name that no other process has. */
export function uniqueName(): string {
  return randomUUID()
}
