/**
 * Amounts, exact or not at all.
 *
 * `amount` columns are `numeric(30,18)`: twelve digits before the point, eighteen after, and Postgres rounds what does not fit
 * without a word. So text is made here only of numbers that fit exactly; everything else is null and stays exact in `raw_amount`.
 */

const MAX_FRACTION_DIGITS = 18
const MAX_INTEGER_DIGITS = 12

/**
 * Writes `raw / 10^decimals` as decimal text without needless zeros, or null where `numeric(30,18)` can't hold it exactly
 * or the decimals are not known.
 */
export function exactAmount(raw: bigint, decimals: number | null): string | null {
  if (decimals === null) return null
  const negative = raw < 0n
  const digits = (negative ? -raw : raw).toString().padStart(decimals + 1, '0')
  const integer = digits.slice(0, digits.length - decimals)
  const fraction = digits.slice(digits.length - decimals).replace(/0+$/, '')
  if (integer.length > MAX_INTEGER_DIGITS || fraction.length > MAX_FRACTION_DIGITS) return null
  const text = fraction === '' ? integer : `${integer}.${fraction}`
  return negative && raw !== 0n ? `-${text}` : text
}
