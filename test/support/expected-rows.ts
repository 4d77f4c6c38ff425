/**
 * What rows a block must leave, worked out a second time from its JSON, without anything of `src/`.
 *
 * The rules are those of the specification in their plainest form. Every address that a block can mean is tracked, so every fact of
 * it has its rows; the zero address is nobody's wallet.
 */
import type { RpcBlock, RpcLog, RpcReceipt, RpcTransaction } from './replay-chain.ts'

export const TOPIC = {
  transfer: '0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef',
  transferSingle: '0xc3d58168c5ae7397731d063d5bbf3d657854427343f4c083240f7aacaa2d0f62',
  transferBatch: '0x4a39dc06d4c0dbc64b70af90fd698a233a518aa5d07e595d983b8c0526c8f7fb',
  approval: '0x8c5be1e5ebec7d5bd14f71427d1e84f3dd0314c0f7b2291e5b200ac8c7c3b925',
  approvalForAll: '0x17307eab39ab6107e8899845ad3d59bd9653f200f220920489ca2b5937696c31',
} as const

const ZERO = `0x${'0'.repeat(40)}`
const CLEAN_WORD = /^0{24}[0-9a-f]{40}$/

/** A row in words that can be compared and read: see `describeTransfer`. */
export type RowText = string

/** Every address of a block: of its transactions, its contracts, and whatever in its logs looks like one. */
export function addressesOf(block: RpcBlock, receipts: readonly RpcReceipt[]): string[] {
  const found = new Set<string>([block.miner])
  for (const { from, to, authorizationList } of block.transactions) {
    found.add(from)
    if (to !== null) found.add(to)
    for (const { address } of authorizationList ?? []) found.add(address)
  }
  for (const { contractAddress, logs } of receipts) {
    if (contractAddress !== null) found.add(contractAddress)
    for (const log of logs) {
      found.add(log.address)
      for (const word of [...log.topics.map(topic => topic.slice(2)), ...wordsOf(log.data)]) {
        if (CLEAN_WORD.test(word)) found.add(`0x${word.slice(24)}`)
      }
    }
  }
  found.delete(ZERO)
  return [...found]
}

// ── Token transfers ──────────────────────────────────────────────────────────────────────────────────────────────────────

export type Standard = 'erc20' | 'erc721' | 'erc1155'

export type TokenTransfer = {
  readonly standard: Standard
  readonly transactionHash: string
  readonly logIndex: number
  readonly topics: number
  readonly token: string
  readonly from: string
  readonly to: string
  /** Quantity, 1 for an ERC-721 token. */
  readonly amount: bigint
  readonly tokenId: bigint | null
}

/**
 * The transfers that the logs of a block tell of.
 *
 * @param oldPieces contracts that count pieces and index less than ERC-721 asks
 */
export function tokenTransfersOf(receipts: readonly RpcReceipt[], oldPieces: ReadonlySet<string>): TokenTransfer[] {
  return receipts.flatMap(({ logs }) => logs.flatMap(log => transfersOfLog(log, oldPieces)))
}

function transfersOfLog(log: RpcLog, oldPieces: ReadonlySet<string>): TokenTransfer[] {
  const [topic0, ...indexed] = log.topics
  const words = [...indexed.map(topic => topic.slice(2)), ...wordsOf(log.data)]
  const base = {
    transactionHash: log.transactionHash,
    logIndex: Number(log.logIndex),
    topics: log.topics.length,
    token: log.address,
  }
  if (topic0 === TOPIC.transfer) {
    if (words.length < 3 || (indexed.length < 3 && words.length !== 3)) return []
    const isPiece = indexed.length === 3 || (indexed.length < 2 && oldPieces.has(log.address))
    const value = numberOf(words[2])
    const move = { ...base, from: addressOf(words[0]), to: addressOf(words[1]) }
    return [
      isPiece
        ? { ...move, standard: 'erc721', amount: 1n, tokenId: value }
        : { ...move, standard: 'erc20', amount: value, tokenId: null },
    ]
  }
  if (topic0 !== TOPIC.transferSingle && topic0 !== TOPIC.transferBatch) return []
  // Words 0 to 2 are operator, from and to; the data begins at 3.
  const move = { ...base, standard: 'erc1155' as const, from: addressOf(words[1]), to: addressOf(words[2]) }
  const data = words.slice(3)
  if (topic0 === TOPIC.transferSingle) return [{ ...move, tokenId: numberOf(data[0]), amount: numberOf(data[1]) }]
  const ids = arrayAt(data, 0)
  const amounts = arrayAt(data, 1)
  return ids.map((tokenId, index) => ({ ...move, tokenId, amount: amounts[index] ?? -1n }))
}

/** The rows of a transfer: one for each side that is somebody. */
export function rowsOfTransfer({ from, to, ...rest }: TokenTransfer): RowText[] {
  const rows: RowText[] = []
  const describe = (type: string, wallet: string, counterparty: string) =>
    describeTransfer({
      type,
      wallet,
      counterparty,
      transactionHash: rest.transactionHash,
      logIndex: rest.logIndex,
      token: rest.token,
      rawAmount: rest.amount.toString(),
      tokenId: rest.tokenId?.toString() ?? null,
    })
  if (from !== ZERO) rows.push(describe(to === ZERO ? 'BURN' : 'TRANSFER_OUT', from, to))
  if (to !== ZERO) rows.push(describe(from === ZERO ? 'MINT' : 'TRANSFER_IN', to, from))
  return rows
}

export function describeTransfer(row: {
  readonly type: string
  readonly wallet: string
  readonly counterparty: string | null
  readonly transactionHash: string
  readonly logIndex: number | null
  readonly token: string | null
  readonly rawAmount: string | null
  readonly tokenId: string | null
}): RowText {
  const place = row.logIndex === null ? 'itself' : `log ${row.logIndex}`
  const piece = row.tokenId === null ? '' : ` id ${row.tokenId}`
  return `${row.transactionHash} ${place}: ${row.wallet} ${row.type} ${row.counterparty} ${row.rawAmount} of ${row.token}${piece}`
}

// ── Transactions ─────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Whether a transaction succeeded: by its status; before EIP-658 only where a log or gas that was left over proves it. */
export function outcomeOf(transaction: RpcTransaction, receipt: RpcReceipt): 'succeeded' | 'reverted' | 'unknown' {
  if (receipt.status !== undefined) return BigInt(receipt.status) === 1n ? 'succeeded' : 'reverted'
  return receipt.logs.length > 0 || BigInt(receipt.gasUsed) < BigInt(transaction.gas) ? 'succeeded' : 'unknown'
}

/** The rows that transactions leave by themselves: value, interaction, deployment, revert. */
export function transactionRowsOf(block: RpcBlock, receipts: readonly RpcReceipt[]): RowText[] {
  return block.transactions.flatMap((transaction, index) => {
    const receipt = receipts[index]
    if (receipt === undefined) throw new RangeError(`there is no receipt of ${transaction.hash}`)
    const { from, to, input, hash } = transaction
    const value = BigInt(transaction.value)
    const row = (wallet: string, type: string, counterparty: string | null, rawAmount: bigint | null): RowText =>
      describeTransfer({
        type,
        wallet,
        counterparty,
        transactionHash: hash,
        logIndex: null,
        token: rawAmount === null ? null : 'native',
        rawAmount: rawAmount?.toString() ?? null,
        tokenId: null,
      })
    const outcome = outcomeOf(transaction, receipt)
    if (outcome === 'unknown') return []
    if (outcome === 'reverted') return [row(from, 'TRANSACTION_REVERTED', to, null)]
    const rows: RowText[] = []
    const target = to ?? receipt.contractAddress
    if (to === null) rows.push(row(from, 'CONTRACT_DEPLOYMENT', target, null))
    else if (input !== '0x' || value === 0n) rows.push(row(from, 'CONTRACT_INTERACTION', to, null))
    if (value > 0n) {
      rows.push(row(from, 'TRANSFER_OUT', target, value))
      if (target !== null && target !== ZERO) rows.push(row(target, 'TRANSFER_IN', from, value))
    }
    return rows
  })
}

// ── Approvals ────────────────────────────────────────────────────────────────────────────────────────────────────────────

/** From here on an allowance is unlimited. */
const UNLIMITED = 2n ** 96n - 1n

/** The rows of approvals: three words in all, the owner and the spender among the topics. */
export function approvalRowsOf(receipts: readonly RpcReceipt[]): RowText[] {
  return receipts
    .flatMap(({ logs }) => logs)
    .flatMap(log => {
      const [topic0, ...indexed] = log.topics
      const [owner, spender, value, ...more] = [...indexed.map(topic => topic.slice(2)), ...wordsOf(log.data)]
      if (topic0 !== TOPIC.approval && topic0 !== TOPIC.approvalForAll) return []
      if (indexed.length < 2 || value === undefined || more.length > 0 || addressOf(owner) === ZERO) return []
      const number = numberOf(value)
      const isPiece = topic0 === TOPIC.approval && indexed.length === 3
      const isRevoked = isPiece ? addressOf(spender) === ZERO : number === 0n
      const approval = {
        transactionHash: log.transactionHash,
        logIndex: Number(log.logIndex),
        token: log.address,
        owner: addressOf(owner),
        spender: addressOf(spender),
        isRevoked,
      }
      if (topic0 === TOPIC.approvalForAll) return [describeApproval({ ...approval, what: 'all' })]
      if (isPiece) return [describeApproval({ ...approval, what: `id ${number}` })]
      return [describeApproval({ ...approval, what: number >= UNLIMITED ? `unlimited ${number}` : `${number}` })]
    })
}

export function describeApproval(row: {
  readonly transactionHash: string
  readonly logIndex: number | null
  readonly token: string | null
  readonly owner: string
  readonly spender: string
  readonly isRevoked: boolean
  /** The allowance, the piece, or all. */
  readonly what: string
}): RowText {
  const { transactionHash, logIndex, token, owner, spender, isRevoked, what } = row
  return `${transactionHash} log ${logIndex}: ${owner} APPROVAL ${spender} ${what} of ${token}${isRevoked ? ' revoked' : ''}`
}

// ── Words ────────────────────────────────────────────────────────────────────────────────────────────────────────────────

function wordsOf(data: string): string[] {
  return data.slice(2).match(/.{64}/g) ?? []
}

function addressOf(word: string | undefined): string {
  if (word === undefined) throw new RangeError('there is no such word')
  return `0x${word.slice(24)}`
}

function numberOf(word: string | undefined): bigint {
  if (word === undefined) throw new RangeError('there is no such word')
  return BigInt(`0x${word}`)
}

/** The dynamic array whose offset stands in a word of the head. */
function arrayAt(words: readonly string[], head: number): bigint[] {
  const at = Number(numberOf(words[head])) / 32
  return words.slice(at + 1, at + 1 + Number(numberOf(words[at]))).map(numberOf)
}
