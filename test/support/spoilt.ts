/**
 * Answers that can't be true, made of true ones.
 *
 * Always holds: the answer that is given is not changed; null where there is nothing in it that could be spoilt.
 */
export type Fields = Readonly<Record<string, unknown>>

/** A log comes twice. */
export function withLogTwice(receipts: readonly Fields[]): readonly Fields[] | null {
  const at = receipts.findIndex(receipt => logsOf(receipt).length > 0)
  return at < 0
    ? null
    : receipts.map((receipt, index) => {
        const [first, ...rest] = logsOf(receipt)
        return index === at ? { ...receipt, logs: [first, first, ...rest] } : receipt
      })
}

/** A log that says that it is of another block. */
export function withForeignLog(receipts: readonly Fields[], blockHash: unknown): readonly Fields[] | null {
  const at = receipts.findIndex(receipt => logsOf(receipt).length > 0)
  return at < 0
    ? null
    : receipts.map((receipt, index) => {
        const [first, ...rest] = logsOf(receipt)
        return index === at ? { ...receipt, logs: [{ ...first, blockHash }, ...rest] } : receipt
      })
}

/** The first of several logs is not there: those behind it show that by their place. */
export function withLogMissing(receipts: readonly Fields[]): readonly Fields[] | null {
  const count = receipts.reduce((sum, receipt) => sum + logsOf(receipt).length, 0)
  const at = receipts.findIndex(receipt => logsOf(receipt).length > 0)
  return count < 2
    ? null
    : receipts.map((receipt, index) => (index === at ? { ...receipt, logs: logsOf(receipt).slice(1) } : receipt))
}

/** All of them: a list that is partly missing shows against the receipts root only. */
export function withoutLogs(receipts: readonly Fields[]): readonly Fields[] | null {
  const hasLogs = receipts.some(receipt => logsOf(receipt).length > 0)
  return hasLogs ? receipts.map(receipt => ({ ...receipt, logs: [] })) : null
}

/** A block that holds the transactions of another one. */
export function withTransactionsOf(block: Fields, other: Fields): Fields | null {
  const [own, others] = [block, other].map(({ transactions }) => transactions as readonly unknown[])
  return own?.length === 0 && others?.length === 0 ? null : { ...block, transactions: others }
}

/** The first transaction is there once more. */
export function withTransactionTwice(block: Fields): Fields | null {
  const [first, ...rest] = block['transactions'] as readonly unknown[]
  return first === undefined ? null : { ...block, transactions: [first, first, ...rest] }
}

function logsOf({ logs }: Fields): readonly Fields[] {
  return Array.isArray(logs) ? (logs as readonly Fields[]) : []
}
