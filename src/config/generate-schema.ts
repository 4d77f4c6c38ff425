/**
 * Writes `chains/schema.json`, which tells editors what a chain file may hold: `npm run generate`.
 *
 * Always holds: made from the same zod schema that validates, so that it cannot say something else; the same text on every
 * machine. What only the validation can know (that a rule's names are parameters of its event) is not in it.
 */

import { writeFileSync } from 'node:fs'
import { z } from 'zod'
import { chainFileSchema } from './chain.ts'

export const SCHEMA_URL = new URL('../../chains/schema.json', import.meta.url)

export function renderSchema(): string {
  return `${JSON.stringify(z.toJSONSchema(chainFileSchema, { io: 'input' }), null, 2)}\n`
}

if (import.meta.main) writeFileSync(SCHEMA_URL, renderSchema())
