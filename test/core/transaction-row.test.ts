import { describe, expect, test } from 'vitest'
import type { ExistingRow, Ledger, RowInput } from '../../src/core/transaction-row.ts'
import { decideRow } from '../../src/core/transaction-row.ts'
import type { Inclusion, TransactionStatus, UserSummary } from '../../src/core/types.ts'
import { ALICE, hashOf } from './support/build.ts'
import { atLeast, fc } from './support/property.ts'

const HASH = hashOf(0xabcdef)
const SHOUTED = `0x${HASH.slice(2).toUpperCase()}`
const inclusion: Inclusion = {
  transactionHash: HASH,
  chainId: 5,
  blockNumber: 100,
  blockHash: hashOf(0xb10c),
  transactionIndex: 0,
  timestamp: 1_000,
  sender: ALICE,
  nonce: 7,
  succeeded: true,
  needs: null,
}
const summary = (userId: string, eventType: string, amount: string | null = '1'): UserSummary => ({
  userId,
  eventType,
  amount,
  rawAmount: amount === null ? null : BigInt(amount),
  token: amount === null ? null : 'ETH',
  tokenAddress: null,
})
const OWN = 'own'
const row = (changes: Partial<ExistingRow> = {}): ExistingRow => ({
  id: 'row',
  hashAsWritten: HASH,
  userId: 'alice',
  eventType: 'PURCHASE',
  status: 'pending',
  ...changes,
})
const ownRow = (changes: Partial<ExistingRow> = {}): ExistingRow => row({ id: OWN, eventType: 'TRANSFER', ...changes })
const ours: Ledger = {
  rowId: OWN,
  applicationHash: null,
  keepsUser: false,
  keepsEventType: false,
  status: 'pending',
  chainId: 5,
  wasGivenUp: false,
}
const adopted: Ledger = { ...ours, rowId: 'row', applicationHash: HASH, keepsUser: true, keepsEventType: true }

type Changes = Partial<Omit<RowInput, 'facts'>> & {
  readonly summaries?: readonly UserSummary[]
  readonly inclusion?: Partial<Inclusion>
}

function decide({ summaries = [summary('alice', 'TRANSFER')], inclusion: other = {}, ...changes }: Changes = {}) {
  return decideRow({
    facts: { inclusion: { ...inclusion, ...other }, summaries },
    settled: false,
    previousBlockHash: null,
    lowestChainId: 5,
    existing: [],
    ledger: null,
    ownRowId: OWN,
    ...changes,
  })
}

const briefs = (changes: Changes) =>
  decide(changes)?.rows.map(({ id, isNew, userId, eventType, amount }) => [
    isNew ? 'new' : id,
    userId,
    eventType,
    amount,
  ]) ?? null

describe('the rows that are written', () => {
  test.each<[string, Changes, unknown]>([
    ['a new one for the first user', {}, [['new', 'alice', 'TRANSFER', '1']]],
    ['none where no user takes part', { summaries: [] }, null],
    [
      'of two users the first',
      { summaries: [summary('bob', 'MINT', '2'), summary('alice', 'TRANSFER')] },
      [['new', 'bob', 'MINT', '2']],
    ],
    [
      'the application’s keeps user and event type, and gets the facts of that user',
      { existing: [row()], summaries: [summary('bob', 'MINT', '2'), summary('alice', 'TRANSFER')] },
      [['row', 'alice', 'PURCHASE', '1']],
    ],
    [
      'the application’s without a user gets the first, and keeps its event type',
      { existing: [row({ userId: null })], summaries: [summary('bob', 'MINT', '2')] },
      [['row', 'bob', 'PURCHASE', '2']],
    ],
    [
      'the application’s, of a user who takes no part, has no amount',
      { existing: [row({ userId: 'dave' })] },
      [['row', 'dave', 'PURCHASE', null]],
    ],
    [
      'the application’s where nobody is known',
      { existing: [row({ userId: null })], summaries: [] },
      [['row', null, 'PURCHASE', null]],
    ],
    [
      'a remembered one keeps both again',
      { existing: [row()], ledger: adopted, summaries: [summary('bob', 'MINT', '2')] },
      [['row', 'alice', 'PURCHASE', null]],
    ],
    [
      'one whose user was filled in is filled anew when owners change',
      {
        existing: [row({ userId: 'bob' })],
        ledger: { ...adopted, keepsUser: false },
        summaries: [summary('alice', 'TRANSFER')],
      },
      [['row', 'alice', 'PURCHASE', '1']],
    ],
    [
      'our own gets what the present owners make of it',
      { existing: [ownRow()], ledger: ours, summaries: [summary('bob', 'MINT', '2')] },
      [['own', 'bob', 'MINT', '2']],
    ],
    [
      'our own stays with its user when nobody takes part any more',
      { existing: [ownRow()], ledger: ours, summaries: [] },
      [['own', 'alice', 'TRANSFER', null]],
    ],
    [
      'our own that went with its user comes back for the next participant',
      { ledger: { ...ours, status: 'confirmed' }, summaries: [summary('bob', 'MINT', '2')] },
      [['new', 'bob', 'MINT', '2']],
    ],
    [
      'the application’s that went with its user comes back as ours',
      { ledger: adopted, summaries: [summary('bob', 'MINT', '2')] },
      [['new', 'bob', 'MINT', '2']],
    ],
    [
      'the application’s that came after our own went with its user keeps both',
      { existing: [row()], ledger: ours, summaries: [summary('bob', 'MINT', '2')] },
      [['row', 'alice', 'PURCHASE', null]],
    ],
    [
      'the application’s that came after another of its own keeps what it has, not what that one had',
      {
        existing: [row({ userId: null })],
        ledger: { ...adopted, rowId: 'gone' },
        summaries: [summary('bob', 'MINT', '2')],
      },
      [['row', 'bob', 'PURCHASE', '2']],
    ],
    [
      'our own is known by its id where nothing is remembered of it',
      { existing: [ownRow()], ledger: null, summaries: [summary('bob', 'MINT', '2')] },
      [['own', 'bob', 'MINT', '2']],
    ],
    [
      'each of two spellings keeps its own user and event type',
      {
        existing: [
          row({ userId: null }),
          row({ id: 'other', hashAsWritten: SHOUTED, userId: 'bob', eventType: 'SALE' }),
        ],
        summaries: [summary('alice', 'TRANSFER'), summary('bob', 'MINT', '2')],
      },
      [
        ['row', 'alice', 'PURCHASE', '1'],
        ['other', 'bob', 'SALE', '2'],
      ],
    ],
    [
      'the application’s other spelling is adopted beside our own',
      {
        existing: [ownRow(), row({ id: 'other', hashAsWritten: SHOUTED, userId: 'alice', eventType: 'SALE' })],
        ledger: ours,
        summaries: [summary('bob', 'MINT', '2'), summary('alice', 'TRANSFER')],
      },
      [
        ['own', 'bob', 'MINT', '2'],
        ['other', 'alice', 'SALE', '1'],
      ],
    ],
  ])('%s', (_name, changes, expected) => {
    expect(briefs(changes)).toEqual(expected)
  })
})

describe('what is remembered', () => {
  test.each<[string, Changes, Partial<Ledger>]>([
    [
      'a row of our own keeps nothing',
      {},
      { rowId: OWN, applicationHash: null, keepsUser: false, keepsEventType: false },
    ],
    [
      'the application’s spelling',
      { existing: [row({ hashAsWritten: SHOUTED })] },
      { rowId: 'row', applicationHash: SHOUTED, keepsUser: true, keepsEventType: true },
    ],
    [
      'that it had no user',
      { existing: [row({ userId: null })] },
      { applicationHash: HASH, keepsUser: false, keepsEventType: true },
    ],
    [
      'what was remembered before',
      { existing: [row(), ownRow()], ledger: ours },
      { rowId: OWN, applicationHash: null, keepsUser: false, keepsEventType: false },
    ],
    [
      'nothing of a row that vanished',
      { ledger: adopted },
      { rowId: OWN, applicationHash: null, keepsUser: false, keepsEventType: false },
    ],
    [
      'the row that came after it',
      { existing: [row()], ledger: ours },
      { rowId: 'row', applicationHash: HASH, keepsUser: true, keepsEventType: true },
    ],
    ['the chain and the status', { settled: true }, { chainId: 5, status: 'confirmed' }],
  ])('%s', (_name, changes, expected) => {
    expect(decide(changes)?.ledger).toMatchObject(expected)
  })
})

describe('a hash on two chains', () => {
  test('is left alone on the higher one', () => {
    expect(decide({ lowestChainId: 1 })).toBeNull()
    expect(decide({ lowestChainId: 1, existing: [row()], ledger: { ...adopted, chainId: 1 } })).toBeNull()
  })

  test('is the lower one’s in whatever order they are seen', () => {
    const lower = { chainId: 1, blockHash: hashOf(1) }
    const later = decide({
      inclusion: lower,
      lowestChainId: 1,
      existing: [ownRow()],
      ledger: { ...ours, status: 'confirmed' },
    })
    expect(later).toMatchObject({ ledger: { chainId: 1 }, status: 'pending' })
    expect(later?.transitions).toEqual([{ from: 'confirmed', to: 'pending', reason: 'included' }])
    const first = decide({ inclusion: lower, lowestChainId: 1 })
    expect(first?.rows).toEqual(later?.rows.map(one => ({ ...one, isNew: true })))
    expect(first?.ledger).toEqual(later?.ledger)
  })

  test('with the same block hash on another chain is another block', () => {
    const moved = decide({ previousBlockHash: inclusion.blockHash, ledger: { ...ours, chainId: 1 }, existing: [row()] })
    expect(moved?.transitions).toHaveLength(1)
  })
})

describe('status and transitions', () => {
  const steps = (changes: Changes) =>
    decide(changes)?.transitions.map(({ from, to, reason }) => `${from} → ${to} ${reason}`)
  const sameBlock = { previousBlockHash: inclusion.blockHash, existing: [row()] }
  test.each<[string, Changes, TransactionStatus, string[]]>([
    ['new', {}, 'pending', ['null → pending included']],
    ['new and deep', { settled: true }, 'confirmed', ['null → pending included', 'pending → confirmed confirmed']],
    [
      'new, deep, reverted',
      { settled: true, inclusion: { succeeded: false } },
      'failed',
      ['null → pending included', 'pending → failed reverted'],
    ],
    ['reverted, not deep', { inclusion: { succeeded: false } }, 'pending', ['null → pending included']],
    ['inserted by the application', { existing: [row()] }, 'pending', ['pending → pending included']],
    [
      'claimed by the application to be confirmed',
      { existing: [row({ status: 'confirmed' })] },
      'pending',
      ['confirmed → pending included'],
    ],
    [
      'claimed by the application to have failed, confirmed',
      { existing: [row({ status: 'failed' })], settled: true },
      'confirmed',
      ['failed → pending included', 'pending → confirmed confirmed'],
    ],
    ['seen again', { ...sameBlock, ledger: ours }, 'pending', []],
    [
      'confirmed, overwritten by the application with pending',
      { ...sameBlock, ledger: { ...adopted, status: 'confirmed' }, settled: true },
      'confirmed',
      [],
    ],
    [
      'seen again, now deep',
      { ...sameBlock, ledger: ours, settled: true },
      'confirmed',
      ['pending → confirmed confirmed'],
    ],
    [
      'taken out by a reorg and mined in the same block again',
      { ...sameBlock, previousBlockHash: null, ledger: { ...ours, chainId: null } },
      'pending',
      ['pending → pending included'],
    ],
    [
      'mined again in another block',
      { ...sameBlock, previousBlockHash: hashOf(1), ledger: ours },
      'pending',
      ['pending → pending included'],
    ],
  ])('%s', (_name, changes, status, expected) => {
    expect(decide(changes)).toMatchObject({ status, ledger: { status } })
    expect(steps(changes)).toEqual(expected)
  })

  test('the newest transition agrees with the status, and each begins where the last ended', () => {
    const status = fc.constantFrom<TransactionStatus>('pending', 'confirmed', 'failed')
    const ledger = fc.option(
      fc.record({
        status,
        chainId: fc.option(fc.constantFrom(1, 5)),
        rowId: fc.option(fc.constantFrom('0', '1', OWN)),
        keepsUser: fc.boolean(),
        keepsEventType: fc.boolean(),
      }),
    )
    const existing = fc.array(fc.record({ status, userId: fc.option(fc.constantFrom('alice', 'bob')) }), {
      maxLength: 2,
    })
    fc.assert(
      fc.property(
        ledger,
        existing,
        fc.boolean(),
        fc.option(fc.boolean()),
        fc.boolean(),
        (known, rows, settled, succeeded, same) => {
          const input = {
            settled,
            inclusion: { succeeded },
            previousBlockHash: same ? inclusion.blockHash : null,
            existing: rows.map((one, i) => row({ ...one, id: String(i) })),
            ledger: known === null ? null : { applicationHash: null, wasGivenUp: false, ...known },
          }
          const decision = decide(input)
          const before = known?.status ?? rows[0]?.status ?? null
          const { transitions = [], status: after } = decision ?? {}
          expect(transitions.at(-1)?.to ?? before).toBe(after)
          for (const [i, { from }] of transitions.entries()) expect(from).toBe(transitions[i - 1]?.to ?? before)
          expect(decision?.rows).toHaveLength(Math.max(rows.length, 1))
          // Decided again with what was remembered, nothing changes any more.
          if (decision === null) return
          const written = decision.rows.map((one, i) =>
            row({
              id: one.id,
              userId: one.userId,
              eventType: one.eventType,
              status: decision.status,
              hashAsWritten: input.existing[i]?.hashAsWritten ?? HASH,
            }),
          )
          const again = decide({
            ...input,
            existing: written,
            ledger: decision.ledger,
            previousBlockHash: inclusion.blockHash,
          })
          expect(again?.transitions).toEqual([])
          expect(again?.ledger).toEqual(decision.ledger)
          expect(again?.rows).toEqual(decision.rows.map(one => ({ ...one, isNew: false })))
        },
      ),
      atLeast(500),
    )
  })
})
