/**
 * Real blocks of Mainnet, compared row by row with what independent programs made of them, and with the same rules worked out a
 * second time from the JSON.
 *
 * Every address in a block is tracked, so a fact that is missed, doubled or invented anywhere in it shows here.
 */
import type { Hex } from 'viem'
import { describe, expect, it } from 'vitest'
import {
  approvalRows,
  describeRow,
  expectSameRows,
  isOfTransaction,
  TRANSACTION_TYPES,
  TOKEN_TYPES,
  tokenRows,
} from '../support/compare-rows.ts'
import {
  approvalRowsOf,
  describeTransfer,
  outcomeOf,
  rowsOfTransfer,
  type TokenTransfer,
  tokenTransfersOf,
  transactionRowsOf,
} from '../support/expected-rows.ts'
import { listMainnetBlocks, needFixtures, readListedTransfers, readValueTraces } from '../support/fixtures.ts'
import { createBlockCache } from '../support/mainnet.ts'
import type { ActivityRecord } from '../support/program.ts'

const BLOCKS = [
  468_179, 1_000_000, 1_755_635, 2_000_000, 4_000_000, 4_370_006, 4_662_649, 11_098_450, 14_000_000, 15_537_393,
  15_537_394, 17_173_049, 17_173_050, 17_300_000, 18_000_000, 18_951_424, 18_951_920, 20_000_000, 22_431_083,
  22_431_084,
]
const LISTED_BLOCKS = [1_755_635, 4_000_000, 14_000_000, 17_173_049, 17_173_050, 17_300_000]
const TRACED_BLOCKS = [4_000_000, 14_000_000, 17_300_000]

/** CryptoKitties: the only contract in these blocks whose pieces are known from the chain file alone. */
const OLD_PIECES = new Set(['0x06012c8cf97bead5deae237070f9587f8e7a266d'])
const indexed = createBlockCache()

it('every block whose receipts are there is one of these', context => {
  needFixtures(context)
  expect(listMainnetBlocks()).toEqual(BLOCKS)
})

describe.for(LISTED_BLOCKS)('block %i, as an independent program lists its token transfers', number => {
  it('has the rows of every listed transfer, with log, token, parties and raw amount, and no others', async context => {
    needFixtures(context)
    const { receipts, rows } = await indexed(number)
    const listed = readListedTransfers(number)
    expect(listed).not.toBeNull()
    const topics = new Map(
      receipts.flatMap(({ logs }) => logs.map(log => [Number(log.logIndex), log.topics.length] as const)),
    )
    const expected = (listed?.transfers ?? []).flatMap(({ txHash, value, standard, ...transfer }) => {
      // Four topics make an ERC-721 transfer; both programs write the token's id where an ERC-20 has its value.
      const isPiece = topics.get(transfer.logIndex) === 4
      if (standard !== undefined) expect(standard).toBe(isPiece ? 'erc721' : 'erc20')
      return rowsOfTransfer({
        ...transfer,
        standard: isPiece ? 'erc721' : 'erc20',
        transactionHash: txHash,
        topics: topics.get(transfer.logIndex) ?? 0,
        amount: isPiece ? 1n : BigInt(value),
        tokenId: isPiece ? BigInt(value) : null,
      })
    })
    const unlisted = tokenTransfersOf(receipts, OLD_PIECES).filter(transfer => !isListed(transfer, listed?.program))
    const exceptions = unlisted.flatMap(rowsOfTransfer)
    expectSameRows(tokenRows(rows), [...expected, ...exceptions])
    await context.annotate(`${listed?.transfers.length} transfers listed, ${exceptions.length} rows of unlisted ones`)
  })
})

/** ERC-1155 is on no list; ChainStorage omits Transfer events that index nothing. All others are on it. */
function isListed({ standard, topics }: TokenTransfer, program: string | undefined): boolean {
  return standard !== 'erc1155' && !(program === 'chainstorage' && topics === 1)
}

describe.for(TRACED_BLOCKS)('block %i, as a tracer saw its value', number => {
  it('has the native value of every transaction that the tracer saw succeed, and of no other', async context => {
    needFixtures(context)
    const { block, receipts, rows } = await indexed(number)
    const unproven = new Set(
      block.transactions.flatMap((transaction, index) => {
        const receipt = receipts[index]
        return receipt !== undefined && outcomeOf(transaction, receipt) === 'unknown' ? [transaction.hash] : []
      }),
    )
    const roots = (readValueTraces(number) ?? []).filter(({ depth, status }) => depth === 0 && status === '1')
    const expected = roots
      // Only a trace proves these: their receipts have no status, no log, and all their gas was used.
      .filter(({ txHash }) => !unproven.has(txHash))
      .flatMap(({ txHash, from, to, value }) => {
        const base = {
          transactionHash: txHash,
          logIndex: null,
          token: 'native',
          rawAmount: BigInt(value).toString(),
          tokenId: null,
        }
        return [
          describeTransfer({ ...base, type: 'TRANSFER_OUT', wallet: from, counterparty: to }),
          describeTransfer({ ...base, type: 'TRANSFER_IN', wallet: to, counterparty: from }),
        ]
      })
    expectSameRows(
      rows.filter(({ token, logIndex }) => token === 'ETH' && logIndex === null).map(describeRow),
      expected,
    )
    await context.annotate(
      `${roots.length} root calls with value, ${unproven.size} transactions without a provable outcome`,
    )
  })
})

describe.for(BLOCKS)('block %i', number => {
  it('has the rows of every token transfer in its receipts and no others', async context => {
    needFixtures(context)
    const { receipts, rows } = await indexed(number)
    expectSameRows(tokenRows(rows), tokenTransfersOf(receipts, OLD_PIECES).flatMap(rowsOfTransfer))
  })

  it('has the rows that its transactions mean by themselves and no others', async context => {
    needFixtures(context)
    const { block, receipts, rows } = await indexed(number)
    expectSameRows(rows.filter(isOfTransaction).map(describeRow), transactionRowsOf(block, receipts))
  })

  it('has a row for each approval, with owner, spender and what was allowed, and rows of nothing else', async context => {
    needFixtures(context)
    const { receipts, rows } = await indexed(number)
    expectSameRows(approvalRows(rows), approvalRowsOf(receipts))
    const known = new Set([...TOKEN_TYPES, ...TRANSACTION_TYPES, 'APPROVAL', 'DELEGATION'])
    expect(rows.filter(({ type }) => !known.has(type))).toEqual([])
  })

  it('has amounts that are exact or null', async context => {
    needFixtures(context)
    const { rows, chain } = await indexed(number)
    const wrong = rows.filter(
      row => row.amount !== amountOf(row, address => chain.tokens.get(address as Hex)?.decimals),
    )
    expect(wrong).toEqual([])
  })

  it('has rows with its own hash, height and time, for tracked wallets only', async context => {
    needFixtures(context)
    const { block, addresses, rows } = await indexed(number)
    const tracked = new Set(addresses)
    const wrong = rows.filter(
      row =>
        row.blockHash !== block.hash ||
        row.blockNumber !== number ||
        row.timestamp !== Number(block.timestamp) ||
        !tracked.has(row.wallet),
    )
    expect(wrong).toEqual([])
  })

  it('changes nothing when it is indexed again: no row is new, moved or written', async context => {
    needFixtures(context)
    const { rows, written, versions } = await indexed(number)
    expect(written).toEqual([rows.length, 0])
    expect(versions[1]).toEqual(versions[0])
  })
})

/** What `numeric(30,18)` shows of a row: twelve digits before the point and eighteen after it, or nothing. */
function amountOf(row: ActivityRecord, listedDecimals: (address: string) => number | undefined): string | null {
  const { rawAmount, tokenAddress, metadata } = row
  if (rawAmount === null || metadata['unlimited'] === true) return null
  const isPiece = metadata['token_id'] !== undefined
  const decimals = isPiece ? 0 : tokenAddress === null ? 18 : (listedDecimals(tokenAddress) ?? 18)
  const scaled = BigInt(rawAmount) * 10n ** BigInt(18 - decimals)
  if (scaled >= 10n ** 30n) return null
  return `${scaled / 10n ** 18n}.${(scaled % 10n ** 18n).toString().padStart(18, '0')}`
}
