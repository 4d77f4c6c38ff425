/**
 * What blob gas cost: in no root, and derived from the header's excessBlobGas by a schedule that forks change without a trace in the
 * header (EIP-7892).
 *
 * Always holds: a price that was accepted is the same in all receipts of the block, no more than any of its senders offered, and that
 * of a known schedule. Which of the schedules of its time holds on this chain can't be told from a block: that much is not proved.
 */

import { Contradiction, isAbsent, type Item, readQuantity } from './fields.ts'
import type { ProvenHeader } from './header.ts'
import { BLOB_TYPE, type ProvenTransaction } from './transactions.ts'

/** BASE_FEE_UPDATE_FRACTION of EIP-4844, until Prague. */
const CANCUN_FRACTIONS = [3_338_477n]
/** EIP-7691, and the two forks since that changed nothing else. */
const PRAGUE_FRACTIONS = [5_007_716n, 8_346_193n, 11_684_671n]
/** Gnosis Chain has its own, the same in all forks. */
const GNOSIS_FRACTION = 1_112_826n
/** e^178 is above 2^256: an excess beyond that has no price. It also bounds the loop. */
const MAX_EXPONENT = 178n

/** Throws a `Contradiction` for a price that can't be. @returns why the price is none that is known here, or null */
export function findNewerBlobPrice(
  receipts: readonly Item[],
  transactions: readonly ProvenTransaction[],
  header: ProvenHeader,
): string | null {
  let agreed: bigint | null = null
  for (const [index, receipt] of receipts.entries()) {
    if (isAbsent(receipt, 'blobGasPrice')) continue
    const price = readQuantity(receipt, 'blobGasPrice')
    const transaction = transactions[index]
    const isBlob = transaction?.type === BLOB_TYPE
    // Some nodes write one for every transaction: 0, or the block's.
    if (price === 0n && !isBlob) continue
    if (price === 0n || (isBlob && price > readQuantity(transaction.item, 'maxFeePerBlobGas'))) {
      throw new Contradiction(`the blobGasPrice of ${receipt.name} is ${price}, which was not offered`)
    }
    if (agreed !== null && price !== agreed) {
      throw new Contradiction(`the blobGasPrice of ${receipt.name} is ${price}, and of one before it ${agreed}`)
    }
    agreed = price
  }
  if (agreed === null || pricesOf(header).includes(agreed)) return null
  return `the blobGasPrice ${agreed} follows no schedule that is known here`
}

/** In wei, as far as schedules are known. */
function pricesOf({ excessBlobGas, hasRequests }: ProvenHeader): bigint[] {
  if (excessBlobGas === null) return []
  return [...(hasRequests ? PRAGUE_FRACTIONS : CANCUN_FRACTIONS), GNOSIS_FRACTION]
    .filter(fraction => excessBlobGas / fraction < MAX_EXPONENT)
    .map(fraction => exponentialOf(excessBlobGas, fraction))
}

/** e^(numerator / denominator), rounded down as EIP-4844 does it (`fake_exponential` with the factor 1). */
function exponentialOf(numerator: bigint, denominator: bigint): bigint {
  let sum = 0n
  let term = denominator
  for (let i = 1n; term > 0n; i += 1n) {
    sum += term
    term = (term * numerator) / (denominator * i)
  }
  return sum / denominator
}
