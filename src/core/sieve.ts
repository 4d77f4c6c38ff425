/**
 * What of a block concerns somebody: the transactions that a row could come from, and no others.
 *
 * Always holds: decoding what is left gives the rows that decoding the whole block would give, for the same wallets. Who is left keeps
 * all that belongs to it, so that what one log means beside another stays known. It is matched on text, because nearly all of a block
 * concerns nobody, and converting it would cost more than everything else.
 *
 * What goes with the rest: oddities in logs that name nobody. Those are told where blocks are whole.
 */

import { APPROVAL, APPROVAL_FOR_ALL } from './decode/approval.ts'
import { TRANSFER } from './decode/transfer.ts'
import { concerns, createdContract, type Interest } from './interest.ts'
import type { Address, Block, Transaction } from './types.ts'

/** Where the address begins in a topic: after 0x and 12 bytes of zeros. */
export const ADDRESS_IN_TOPIC = 26
const ADDRESS_IN_WORD = 24
const WORD_DIGITS = 64
/** The events that contracts older than their standards have with addresses in the data. */
const OLDER_EVENTS: ReadonlySet<string> = new Set([TRANSFER, APPROVAL, APPROVAL_FOR_ALL])
/** What their topics are, the first included, where both addresses are in topics. */
const INDEXED_TOPICS = 3

/** A log as text in lower case; its data is read only where topics don't tell all. */
type LogText = { readonly address: string; readonly topics: readonly string[]; readonly data: string }

/** Whether a log may be about a tracked wallet. */
function namesWallet(log: LogText, interest: Interest): boolean {
  const { topics } = log
  for (let index = 1; index < topics.length; index += 1)
    if (interest.walletAt(topics[index] ?? '', ADDRESS_IN_TOPIC)) return true
  return mayNameInData(log.address, topics, interest) && dataNamesWallet(log.data, interest)
}

/** Whether a log may name wallets in its data: by a rule, or as older contracts do. */
export function mayNameInData(address: string, topics: readonly string[], interest: Interest): boolean {
  const topic0 = topics[0]
  if (topic0 === undefined) return false
  return (topics.length < INDEXED_TOPICS && OLDER_EVENTS.has(topic0)) || interest.isRuled(address, topic0)
}

/** Every parameter that is an address has a word of its own (ABI: head of the arguments). */
export function dataNamesWallet(data: string, interest: Interest): boolean {
  for (let word = 2; word + WORD_DIGITS <= data.length; word += WORD_DIGITS)
    if (interest.walletAt(data, word + ADDRESS_IN_WORD)) return true
  return false
}

/** Whether a transaction concerns somebody by itself. A created contract counts by the address that it gets. */
function isConcerning(
  { hash, from, to, nonce, authorizations }: Pick<Transaction, 'hash' | 'from' | 'to' | 'nonce' | 'authorizations'>,
  interest: Interest,
): boolean {
  if (interest.wallet(from) || interest.transaction(hash)) return true
  const recipient = to ?? createdContract({ to, from, nonce })
  if (recipient !== null && interest.wallet(recipient)) return true
  return authorizations.some(({ authority }) => authority !== null && interest.wallet(authority))
}

/**
 * Whether a block takes more than its transactions and what its logs say of wallets, whatever is known of it by now: an outcome that
 * no log tells, or logs of somebody's transaction that name nobody.
 */
export function needsReceipts({ transactions, receipts }: Block, interest: Interest): boolean {
  return transactions.some((transaction, place) => {
    const logs = receipts[place]?.logs ?? []
    if (logs.length === 0) return concerns(transaction, interest)
    return isConcerning(transaction, interest) && !logs.some(log => namesWallet(log, interest))
  })
}

/** What is left of a block. receipts[i] is still that of transactions[i], whose index is its place in the whole block. */
export function sieveBlock(block: Block, interest: Interest): Block {
  const kept = block.transactions.flatMap((transaction, place) => {
    const receipt = block.receipts[place]
    if (receipt === undefined) return []
    const created: Address | null = receipt.contractAddress
    const isKept =
      isConcerning(transaction, interest) ||
      (created !== null && interest.wallet(created)) ||
      receipt.logs.some(log => namesWallet(log, interest))
    return isKept ? [{ transaction, receipt }] : []
  })
  return {
    ...block,
    transactions: kept.map(({ transaction }) => transaction),
    receipts: kept.map(({ receipt }) => receipt),
  }
}
