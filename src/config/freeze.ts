/**
 * Makes a configuration immutable all the way down.
 *
 * Always holds: afterwards no property can be set, and the Maps inside refuse to change. A configuration is shared by every
 * chain's loop; one that changes underfoot would be a fault that no test of a single loop shows.
 */

/** Freezes in place and returns the same value. Only plain objects, arrays and Maps are expected inside. */
export function deepFreeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value
  if (value instanceof Map) {
    for (const item of value.values()) deepFreeze(item)
    // Object.freeze does not reach the entries of a Map: its changing methods have to go.
    const refusal = { value: refuseChange }
    Object.defineProperties(value, { set: refusal, delete: refusal, clear: refusal })
  }
  Object.freeze(value)
  for (const field of Object.values(value)) deepFreeze(field)
  return value
}

function refuseChange(): never {
  throw new TypeError('The configuration is immutable.')
}
