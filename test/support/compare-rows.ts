/**
 * Rows of the database beside rows that were expected: in the same words, and told as what is missing and what is too much.
 */
import { expect } from 'vitest'
import { describeApproval, describeTransfer, type RowText } from './expected-rows.ts'
import type { ActivityRecord } from './program.ts'

export const TOKEN_TYPES = new Set(['TRANSFER_IN', 'TRANSFER_OUT', 'MINT', 'BURN'])
export const TRANSACTION_TYPES = new Set([
  'TRANSFER_IN',
  'TRANSFER_OUT',
  'CONTRACT_INTERACTION',
  'CONTRACT_DEPLOYMENT',
  'TRANSACTION_REVERTED',
])

/** Rows that logs of token transfers left. */
export function tokenRows(rows: readonly ActivityRecord[]): RowText[] {
  return rows.filter(({ type, logIndex }) => logIndex !== null && TOKEN_TYPES.has(type)).map(describeRow)
}

/** Rows that a transaction left by itself. */
export function isOfTransaction({ type, logIndex }: ActivityRecord): boolean {
  return logIndex === null && TRANSACTION_TYPES.has(type)
}

export function describeRow(row: ActivityRecord): RowText {
  const { counterparty, contract, to, token_id: tokenId } = row.metadata
  return describeTransfer({
    ...row,
    counterparty: (counterparty ?? contract ?? to ?? null) as string | null,
    token: row.tokenAddress ?? (row.token === 'ETH' ? 'native' : row.token),
    tokenId: (tokenId ?? null) as string | null,
  })
}

export function approvalRows(rows: readonly ActivityRecord[]): RowText[] {
  return rows
    .filter(({ type }) => type === 'APPROVAL')
    .map(({ wallet, metadata, rawAmount, tokenAddress, ...row }) => {
      const { spender, operator, token_id: tokenId, all, unlimited, revoked } = metadata
      const allowance = unlimited === true ? `unlimited ${rawAmount}` : String(rawAmount)
      return describeApproval({
        ...row,
        token: tokenAddress,
        owner: wallet,
        spender: (spender ?? operator) as string,
        isRevoked: revoked === true,
        what: all === true ? 'all' : typeof tokenId === 'string' ? `id ${tokenId}` : allowance,
      })
    })
}

/** Compared as lists, so that a row that is there twice shows; told as what is missing and what is too much. */
export function expectSameRows(actual: readonly RowText[], expected: readonly RowText[]): void {
  const count = new Map<RowText, number>()
  for (const row of actual) count.set(row, (count.get(row) ?? 0) + 1)
  for (const row of expected) count.set(row, (count.get(row) ?? 0) - 1)
  const differing = [...count].filter(([, times]) => times !== 0)
  expect({
    missing: differing.filter(([, times]) => times < 0).map(([row]) => row),
    tooMuch: differing.filter(([, times]) => times > 0).map(([row]) => row),
  }).toEqual({ missing: [], tooMuch: [] })
}
