/**
 * Methods that a node has not, and the ways in which nodes and providers say so.
 */
import type { Answer } from './fault-answers.ts'
import { complaint, errorPage, type Keys } from './fault-keys.ts'
import { count, type MissingForm, type Play } from './fault-schedule.ts'

const FORMS: Readonly<Record<MissingForm, (method: string, keys: Keys) => Answer>> = {
  'not found': method => ({
    error: { code: -32_601, message: `the method ${method} does not exist/is not available` },
  }),
  'not supported': () => ({ error: { code: -32_004, message: 'Method not supported' } }),
  unsupported: (method, keys) => ({
    error: { code: -32_600, message: complaint(keys, `Unsupported method: ${method}. See available methods`) },
  }),
  'not whitelisted': () => ({ error: { code: -32_000, message: 'rpc method is not whitelisted' } }),
  'not on this plan': (method, keys) => ({
    error: { code: -32_000, message: complaint(keys, `method ${method} is not available on your plan`) },
  }),
  'HTTP 400': method => ({ status: 400, error: { code: -32_601, message: `Method ${method} not found` } }),
  'HTTP 404': (_method, keys) => ({ status: 404, body: errorPage(keys, '404 Not Found') }),
  'HTTP 405': (_method, keys) => ({ status: 405, body: errorPage(keys, '405 Not Allowed') }),
}

export const MISSING_FORMS = Object.keys(FORMS) as readonly MissingForm[]

/** Nodes from before the merge read a tag that they do not know as a number that is none. */
const TAG_UNKNOWN: Answer = {
  error: { code: -32_602, message: 'invalid argument 0: hex string without 0x prefix' },
}

/** null: the method is there. */
export function refuseMissing(play: Play, method: string, [first]: readonly unknown[]): Answer | null {
  const missing = play.schedule?.missing
  if (missing === undefined) return null
  const isTag = method === 'eth_getBlockByNumber' && missing.methods.includes(String(first))
  if (!isTag && !missing.methods.includes(method)) return null
  count(play, 'missing-method')
  return isTag ? TAG_UNKNOWN : FORMS[missing.form](method, play.keys)
}
