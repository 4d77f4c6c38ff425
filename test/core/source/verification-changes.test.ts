/**
 * No lie gets through: after any one change to the JSON of a block that is proved it is proved no more. What may be changed all the
 * same stands in `support/unproved.ts`.
 */
import { expect, test } from 'vitest'
import { proveBlock } from '../../../src/source/verification/prove.ts'
import { needFixtures } from '../../support/fixtures.ts'
import {
  type Answer,
  apply,
  type Change,
  changesAt,
  type Path,
  pathsOf,
  patternOf,
  readMainnet,
  readTestChain,
} from '../support/answers.ts'
import { BLOBS, buildBlock, CREATED, CREATION } from '../support/built-block.ts'
import { atLeast, fc } from '../support/property.ts'
import { REASONS, reasonNotToNotice } from '../support/unproved.ts'

/** From every fork, with one transaction or two, so that a run is quick. */
const SMALL_BLOCKS = [0, 1000, 468_179, 1_000_000, 1_000_001, 1_755_635, 2_000_000, 15_537_393]
/** 64 to 185 transactions: two uncles, no transaction type yet, 10,041 logs, blobs, a delegation. */
const LARGE_BLOCKS = [4_370_006, 11_098_450, 14_000_000, 15_537_394, 20_000_000, 22_431_084, 22_431_086]

/** A type or a price can be one that nobody knows yet. */
const CAN_BE_NEWER: ReadonlySet<string> = new Set(['block.transactions.*.type', 'receipts.*.blobGasPrice'])

/** Places of a block by pattern: what is there once is changed as often as what is there a thousand times. */
type Places = { readonly answer: Answer; readonly byPattern: readonly (readonly Path[])[] }

function placesOf(answer: Answer): Places {
  return { answer, byPattern: [...Map.groupBy(pathsOf(answer), patternOf).values()] }
}

/** What real ones lack: a creation that failed, and prices of blobs. */
const BUILT_BLOCKS = [
  buildBlock({
    name: 'a creation that failed',
    transaction: CREATION,
    succeeded: false,
    receipt: { contractAddress: CREATED },
  }),
  buildBlock({
    name: 'blobs',
    transaction: BLOBS,
    header: { excessBlobGas: '0xa00000' },
    receipt: { blobGasPrice: '0x3', blobGasUsed: '0x20000' },
  }),
]

async function readSmall(): Promise<Answer[]> {
  return [...(await Promise.all(BUILT_BLOCKS)), ...SMALL_BLOCKS.map(readMainnet), ...readTestChain()]
}

function anyChange(places: readonly Places[]): fc.Arbitrary<readonly [Answer, Change]> {
  return fc
    .constantFrom(...places)
    .chain(({ answer, byPattern }) => fc.tuple(fc.constant(answer), fc.constantFrom(...byPattern)))
    .chain(([answer, paths]) => fc.tuple(fc.constant(answer), fc.constantFrom(...paths)))
    .filter(([answer, path]) => canChange(answer, path))
    .chain(([answer, path]) => fc.tuple(fc.constant(answer), changesAt(answer, path)))
    .filter(([answer, change]) => reasonNotToNotice(change, answer) === null)
}

/** An empty list at the top has nothing to change. */
function canChange(answer: Answer, path: Path): boolean {
  return path.length > 1 || (answer.receipts ?? []).length > 1
}

async function expectNoticed(answer: Answer, change: Change): Promise<void> {
  const changed = apply(answer, change)
  const verdict = await proveBlock(changed.block, changed.receipts)
  const told = `${answer.name}: ${change.path.join('.')}: ${change.how}: ${JSON.stringify(verdict)}`
  expect(verdict.kind, told).not.toBe('proved')
  if (!CAN_BE_NEWER.has(patternOf(change.path))) expect(verdict.kind, told).toBe('wrong')
}

/** Each way to change the first two of what has the same pattern, in each block. */
async function* typicalChanges(): AsyncGenerator<readonly [Answer, Change]> {
  for (const { answer, byPattern } of [...(await readSmall()), ...LARGE_BLOCKS.map(readMainnet)].map(placesOf)) {
    for (const path of byPattern.flatMap(paths => paths.slice(0, 2)).filter(each => canChange(answer, each))) {
      for (const change of fc.sample(changesAt(answer, path), { numRuns: 10, seed: 1 })) yield [answer, change]
    }
  }
}

test('each field and list that any block has is missed when it is changed, in each way', async context => {
  needFixtures(context)
  const seen = new Set<string>()
  for await (const [answer, change] of typicalChanges()) {
    const key = `${patternOf(change.path)} ${change.how}`
    if (seen.has(key) || reasonNotToNotice(change, answer) !== null) continue
    seen.add(key)
    await expectNoticed(answer, change)
  }
  expect(seen.size).toBeGreaterThan(200)
})

test('each exception is one: there is a change by it after which a block is still proved', async context => {
  needFixtures(context)
  const shown = new Set<string>()
  for await (const [answer, change] of typicalChanges()) {
    const reason = reasonNotToNotice(change, answer)
    if (reason === null || shown.has(reason)) continue
    const changed = apply(answer, change)
    if ((await proveBlock(changed.block, changed.receipts)).kind === 'proved') shown.add(reason)
  }
  expect(REASONS.filter(reason => !shown.has(reason))).toEqual([])
})

test('after any one change a small block is proved no more', async context => {
  needFixtures(context)
  const changes = anyChange((await readSmall()).map(placesOf))
  await fc.assert(
    fc.asyncProperty(changes, ([answer, change]) => expectNoticed(answer, change)),
    atLeast(3000),
  )
})

test('after any one change a large block is proved no more', async context => {
  needFixtures(context)
  const changes = anyChange(LARGE_BLOCKS.map(readMainnet).map(placesOf))
  await fc.assert(
    fc.asyncProperty(changes, ([answer, change]) => expectNoticed(answer, change)),
    atLeast(250),
  )
})
