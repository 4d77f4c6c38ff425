/**
 * Who signed: `from`, which no root commits to, recovered from each signature and compared.
 *
 * This is most of what a proof costs (1.3 ms a signature), so it comes last, and lets other work of the process have its turn in
 * between.
 */

import { keccak256, recoverAddress } from 'viem/utils'
import { giveWay } from '../../runtime/sleep.ts'
import { recoverAuthority } from '../authorization.ts'
import { Contradiction, isAbsent, type Item, mustBe, readAddress, readQuantity } from './fields.ts'
import { DELEGATION_TYPE, type ProvenTransaction, readAuthorizations } from './transactions.ts'

/** Some 20 ms of work: timers and sockets wait no longer. */
const AT_ONCE = 16

/** Throws a `Contradiction` for the first transaction that another account signed. */
export async function proveSenders(transactions: readonly ProvenTransaction[]): Promise<void> {
  for (const [index, transaction] of transactions.entries()) {
    if (index % AT_ONCE === AT_ONCE - 1) await giveWay()
    await proveSender(transaction)
    if (transaction.type === DELEGATION_TYPE) await checkAuthorities(transaction.item)
  }
}

async function proveSender({ item, from, signature }: ProvenTransaction): Promise<void> {
  const { message, ...rest } = signature
  let signer: string
  try {
    signer = await recoverAddress({ hash: keccak256(message), signature: rest })
  } catch {
    throw new Contradiction(`the signature of ${item.name} (r, s) has no signer`)
  }
  if (signer.toLowerCase() !== from) {
    throw new Contradiction(`the from of ${item.name} is ${from}, and ${signer.toLowerCase()} signed it`)
  }
}

/** Some nodes add who signed an authorization. One that is void has no signer, and says nothing. */
async function checkAuthorities(item: Item): Promise<void> {
  for (const part of readAuthorizations(item)) {
    if (isAbsent(part, 'authority')) continue
    const { authority } = await recoverAuthority({
      chainId: readQuantity(part, 'chainId'),
      delegate: readAddress(part, 'address'),
      nonce: readQuantity(part, 'nonce'),
      yParity: readQuantity(part, isAbsent(part, 'yParity') ? 'v' : 'yParity'),
      r: readQuantity(part, 'r'),
      s: readQuantity(part, 's'),
    })
    if (authority !== null) mustBe(part, 'authority', readAddress, authority)
  }
}
