/**
 * The workload `native`: what a wallet's native history costs in questions to an archive node, on a chain as long as Mainnet's.
 *
 * Nothing is asked here: the account's life is a function of a seed, so that 20 million blocks are there at once. Counted is what would
 * be sent, with the block and the receipts of every block that has to be read.
 */

import { type Answer, type Question, searchNativeHistory } from '../../src/core/native-history.ts'
import { countBlocks } from '../../src/core/range.ts'
import { createDice, type Dice } from '../../src/demo/dice.ts'
import { atMost, plainRow, type Row, type Section } from './report.ts'
import { meanOf } from './statistics.ts'

const BLOCKS = 20_000_000
const BAR_PER_BLOCK = 2 * Math.log2(BLOCKS) + 10
const BAR = 10
const AT_ONCE = 16
const CALLS_PER_BLOCK = 2
const LIVES = 20
const SEED = 5

type Event = { readonly block: number; readonly transactions: number; readonly pays: boolean }
type Life = { readonly what: string; readonly lives: number; readonly events: (dice: Dice) => readonly Event[] }

const anywhere = (dice: Dice) => dice.integer(1, BLOCKS)

/** Blocks of several transactions, of one, and of none but a payment; in sessions of some hours, as people are. */
function person(dice: Dice, sessions: number): Event[] {
  return Array.from({ length: sessions }, () => {
    const start = anywhere(dice)
    return Array.from({ length: dice.integer(1, 6) }, () => ({
      block: Math.min(start + dice.integer(0, 900), BLOCKS),
      transactions: dice.pick([0, 1, 1, 1, 2, 3]),
      pays: dice.chance(0.8),
    }))
  }).flat()
}

const WALLETS: readonly Life[] = [
  { what: 'nothing since its first transaction', lives: 1, events: () => [] },
  {
    what: 'one transaction',
    lives: LIVES,
    events: dice => [{ block: anywhere(dice), transactions: 1, pays: true }],
  },
  { what: 'one payment', lives: LIVES, events: dice => [{ block: anywhere(dice), transactions: 0, pays: true }] },
  { what: 'a person with 10 sessions', lives: LIVES, events: dice => person(dice, 10) },
  { what: 'a person with 300 sessions', lives: 2, events: dice => person(dice, 300) },
  {
    what: 'a transaction a block for 10,000 blocks',
    lives: 1,
    events: dice => {
      const start = dice.integer(1, BLOCKS - 10_000)
      return Array.from({ length: 10_000 }, (_, index) => ({ block: start + index, transactions: 1, pays: true }))
    },
  },
]

export function measureNative(): Section {
  const rows: Row[] = []
  const numbers: Record<string, unknown> = { blocks: BLOCKS, seed: SEED }
  for (const { what, lives, events } of WALLETS) {
    const dice = createDice(SEED)
    const costs = Array.from({ length: lives }, () => costOf(events(dice)))
    const perBlock = costs.map(({ calls, changed }) => Math.max(calls - BAR, 0) / Math.max(changed, 1))
    const most = Math.max(...perBlock)
    const name = `native history, ${what}`
    const changed = meanOf(costs.map(cost => cost.changed))
    if (changed === 0) rows.push(atMost(`${name}: calls`, costs[0]?.calls ?? Number.NaN, BAR, '', 0))
    else {
      rows.push(
        atMost(
          `${name}: calls a changed block, but for ${BAR}, at most`,
          most,
          Number(BAR_PER_BLOCK.toFixed(1)),
          '',
          1,
        ),
      )
      rows.push(
        plainRow(
          `${name}: changed blocks, rounds`,
          `${changed.toFixed(0)}, ${Math.max(...costs.map(cost => cost.rounds))}`,
        ),
      )
    }
    numbers[what] = {
      lives,
      changed,
      calls: meanOf(costs.map(cost => cost.calls)),
      blocksRead: meanOf(costs.map(cost => cost.read)),
      callsPerChangedBlock: { mean: meanOf(perBlock), max: most },
    }
  }
  return { rows, numbers }
}

function costOf(events: readonly Event[]) {
  const byBlock = Map.groupBy(events, ({ block }) => block)
  const ends: { block: number; nonce: number; balance: bigint }[] = [{ block: 0, nonce: 1, balance: 0n }]
  for (const [block, own] of [...byBlock].toSorted(([a], [b]) => a - b)) {
    const last = ends.at(-1)
    const sent = own.reduce((sum, { transactions }) => sum + transactions, 0)
    // What comes in only grows it where nothing goes out; else the nonce tells.
    const gained = BigInt(own.filter(({ pays }) => pays).length)
    ends.push({ block, nonce: (last?.nonce ?? 1) + sent, balance: (last?.balance ?? 0n) + gained })
  }
  const changed = ends.filter(({ nonce, balance }, index) => {
    const before = ends[index - 1]
    return before !== undefined && (before.nonce !== nonce || before.balance !== balance)
  }).length
  return { changed, ...countCalls(question => answer(ends, question)) }
}

function answer(ends: readonly { block: number; nonce: number; balance: bigint }[], { of, block }: Question): Answer {
  let [low, high] = [0, ends.length]
  while (high - low > 1) {
    const middle = (low + high) >> 1
    if ((ends[middle]?.block ?? 0) <= block) low = middle
    else high = middle
  }
  const end = ends[low]
  return of === 'nonce' ? (end?.nonce ?? null) : of === 'balance' ? (end?.balance ?? null) : 'none'
}

function countCalls(answerTo: (question: Question) => Answer) {
  const search = searchNativeHistory({ from: 1, to: BLOCKS }, { isKey: false, atOnce: AT_ONCE })
  let [calls, rounds] = [0, 0]
  let step = search.next()
  while (step.done !== true) {
    calls += step.value.length
    // Each round goes out in so many lots.
    rounds += Math.ceil(step.value.length / AT_ONCE)
    step = search.next(step.value.map(answerTo))
  }
  const read = step.value.hits.length + countBlocks(step.value.whole.map(({ range }) => range))
  return { calls: calls + read * CALLS_PER_BLOCK, rounds, read }
}
