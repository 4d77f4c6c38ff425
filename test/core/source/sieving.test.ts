/**
 * Answers sieved as text, beside the same answers read whole and sieved then.
 */

import { describe, expect, test } from 'vitest'
import { bloomOf, EntryBits } from '../../../src/core/bloom.ts'
import { type Interest, interestOf } from '../../../src/core/interest.ts'
import { needsReceipts, sieveBlock } from '../../../src/core/sieve.ts'
import type { Address, Block } from '../../../src/core/types.ts'
import { joinBlock, joinLogs } from '../../../src/core/validate.ts'
import { Entries } from '../../../src/source/entries.ts'
import { parseBlock, parsePlacedLogs, parseReceipts } from '../../../src/source/parse.ts'
import { digestLogs, sieveByLogs, sieveByReceipts } from '../../../src/source/sieving.ts'
import { listMainnetBlocks, needFixtures, readMainnetBlock } from '../../support/fixtures.ts'
import { type Answer, apply, changesAt, pathsOf } from '../support/answers.ts'
import { blockOf, hashOf, type Part } from '../support/build.ts'
import { atLeast, fc } from '../support/property.ts'
import { PEOPLE, RULED, randomPart } from '../support/random-block.ts'

type Told = { readonly block: unknown; readonly receipts: readonly unknown[] }
type Way = 'logs' | 'receipts'

const WAYS: readonly Way[] = ['logs', 'receipts']
const bits = new EntryBits()

const interestIn = (tracked: ReadonlySet<string>): Interest =>
  interestOf({ wallet: address => tracked.has(address), transaction: () => false, rules: RULED.rules })

function logsOf({ receipts }: Told): unknown[] {
  return receipts.flatMap(receipt => (receipt as { logs?: unknown[] } | null)?.logs ?? [])
}

/** null: it has to be read whole. `lacking`: its receipts are needed besides. */
async function sieve(way: Way, number: number, told: Told, interest: Interest): Promise<Block | 'lacking' | null> {
  const entries = new Entries(interest, way === 'logs' ? bits : null)
  if (way === 'receipts') return sieveByReceipts(number, told.block, told.receipts, interest, entries)
  const digest = digestLogs(logsOf(told), interest, entries)
  const sieved = digest === null ? null : await sieveByLogs(number, told.block, digest, interest, entries)
  if (sieved?.kind === 'lacking') return 'lacking'
  return sieved?.kind === 'sieved' ? sieved.block : null
}

/** @throws Error where the parts don't belong together */
async function readWhole(way: Way, number: number, told: Told, interest: Interest): Promise<Block> {
  const block = await parseBlock(told.block)
  const joined =
    way === 'logs'
      ? joinLogs(number, block, parsePlacedLogs(logsOf(told)))
      : joinBlock(number, block, parseReceipts(told.receipts))
  if (!joined.ok) throw new Error(joined.problem)
  return sieveBlock(joined.block, interest)
}

/** Without what only a check needs. */
function bare(block: Block) {
  return {
    ...block,
    transactions: block.transactions.map(transaction => ({ ...transaction, blockHash: undefined })),
    receipts: block.receipts.map(
      ({ transactionHash, transactionIndex, succeeded, gasUsed, contractAddress, logs }) => ({
        transactionHash,
        transactionIndex,
        succeeded,
        gasUsed,
        contractAddress,
        logs: logs.map(({ address, topics, data, logIndex }) => ({ address, topics, data, logIndex })),
      }),
    ),
  }
}

const hex = (value: bigint | number) => `0x${value.toString(16)}`

/** A block as a node tells it. */
function tell({ transactions, receipts, ...header }: Block): Told {
  const place = { blockHash: header.hash, blockNumber: hex(header.number) }
  const logs = receipts.flatMap(receipt => receipt.logs)
  return {
    block: {
      ...header,
      number: hex(header.number),
      timestamp: hex(header.timestamp),
      logsBloom: bloomOf(logs),
      transactions: transactions.map(({ index, value, nonce, gas, authorizations: _none, ...rest }) => ({
        ...rest,
        ...place,
        transactionIndex: hex(index),
        value: hex(value),
        nonce: hex(nonce),
        gas: hex(gas),
      })),
    },
    receipts: receipts.map(({ succeeded, gasUsed, transactionIndex, logs: own, ...rest }) => ({
      ...rest,
      ...place,
      transactionIndex: hex(transactionIndex),
      status: succeeded === null ? null : hex(succeeded ? 1 : 0),
      gasUsed: hex(gasUsed ?? 0),
      logs: own.map(({ logIndex, ...log }) => ({
        ...log,
        ...place,
        logIndex: hex(logIndex),
        transactionHash: rest.transactionHash,
        transactionIndex: hex(transactionIndex),
      })),
    })),
  }
}

/** As a chain would have it: only creations create. */
const part: fc.Arbitrary<Part> = randomPart.map(({ transaction, receipt, logs = [] }) => ({
  transaction: { ...transaction, authorizations: [] },
  receipt: { ...receipt, contractAddress: transaction?.to === null ? (receipt?.contractAddress ?? null) : null },
  logs,
}))

describe.each(WAYS)('a block and its %s', way => {
  test('are sieved as text into what is left of them read whole', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(part, { minLength: 1, maxLength: 6 }), fc.subarray(PEOPLE), async (parts, tracked) => {
        const block = blockOf(parts)
        const interest = interestIn(new Set(tracked))
        const told = tell(block)
        const sieved = await sieve(way, block.number, told, interest)
        expect(sieved).not.toBeNull()
        const whole = await readWhole(way, block.number, told, interest)
        if (sieved === 'lacking') expect(needsReceipts(whole, interest)).toBe(true)
        else if (sieved !== null) expect(bare(sieved)).toEqual(bare(whole))
      }),
      atLeast(500),
    )
  })

  test('of Mainnet are sieved so too, whoever is tracked', async context => {
    needFixtures(context)
    for (const number of listMainnetBlocks()) {
      const { block, receipts } = readMainnetBlock(number)
      if (receipts === null) continue
      const told = { block, receipts }
      for (const share of [1, 7, 40]) {
        const interest = interestIn(new Set(partiesOf(told).filter((_party, index) => index % share === 3 % share)))
        const sieved = await sieve(way, number, told, interest)
        expect(sieved, `block ${number}`).not.toBeNull()
        const whole = await readWhole(way, number, told, interest)
        if (sieved === 'lacking') expect(needsReceipts(whole, interest)).toBe(true)
        else if (sieved !== null) expect(bare(sieved), `block ${number}`).toEqual(bare(whole))
      }
    }
  })

  test('of which one thing was changed are not taken for more than they are', async () => {
    const [first, second] = [hashOf(BigInt(PEOPLE[0] ?? 0)), hashOf(BigInt(PEOPLE[1] ?? 0))]
    const base = blockOf([
      { logs: [{ topics: [hashOf(1), first] }, {}] },
      { logs: [{ topics: [hashOf(2), second] }] },
      { transaction: { from: PEOPLE[0] as Address, value: 5n } },
      { transaction: { to: null } },
    ])
    const told = tell(base)
    const answer = { name: 'a small block', block: told.block, receipts: told.receipts } as Answer
    const interest = interestIn(new Set([PEOPLE[0] as string]))
    const unchanged = bare(await readWhole(way, base.number, told, interest))
    let taken = 0
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...pathsOf(answer)).chain(path => changesAt(answer, path)),
        async change => {
          const changed = apply(answer, change) as unknown as Told
          const sieved = await sieve(way, base.number, changed, interest).catch(() => null)
          if (sieved === null || sieved === 'lacking') return
          taken += 1
          const whole = await readWhole(way, base.number, changed, interest).catch(() => null)
          // What would have been refused for something that concerns nobody leaves what there was.
          expect(bare(sieved)).toEqual(whole === null ? unchanged : bare(whole))
        },
      ),
      atLeast(3_000),
    )
    expect(taken).toBeGreaterThan(0)
  })
})

/** Everybody in a block, in the order of the text. */
function partiesOf(told: Told): string[] {
  return [...new Set(JSON.stringify(told).match(/(?<=")0x(?:0{24})?[0-9a-f]{40}(?=")/g))].map(
    text => `0x${text.slice(-40)}`,
  )
}
