/**
 * Ids of the rows that the daemon writes: UUIDv5 (RFC 9562) of what a row is about, so that the same fact has the same id whoever
 * writes it, and a row of ours is known by its id alone.
 */

import { v5 as uuidv5 } from 'uuid'
import type { Hash } from '../core/types.ts'

/** Fixed for ever, or the same fact would get another id. */
const NAMESPACE = '6f0d3f4e-2c52-5b7e-9a63-1d0c8f1e7b25'

/** Of a row of `wallet_activity`. */
export function activityId({ idName }: { readonly idName: string }): string {
  return uuidv5(idName, NAMESPACE)
}

/** Of our row of `user_transactions`. The application's rows have ids of their own. */
export function transactionRowId(hash: Hash): string {
  return uuidv5(`user_transactions:${hash}`, NAMESPACE)
}
