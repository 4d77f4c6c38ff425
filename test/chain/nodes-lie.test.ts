/**
 * Nodes that lie about a block: it is not there though it was announced, its parts are of another block, come twice or are missing.
 * Nothing of it is believed, by a daemon with one endpoint, which waits, and by one with three of which two lie, which does not.
 */
import { describe, test } from 'vitest'
import type { ProbableFault } from '../support/fault-schedule.ts'
import { type Misbehaviour, playAlone, playOnTwo } from '../support/node-play.ts'
import { useNodeStage } from '../support/node-stage.ts'

const stage = useNodeStage(41)

/** Often, and not always: what is asked for again may be right. */
const OFTEN = 0.6

const lie = (what: string, ...faults: readonly ProbableFault[]): Misbehaviour => ({
  what,
  schedule: { rates: Object.fromEntries(faults.map(fault => [fault, OFTEN])), view: null },
  shows: faults.slice(-1),
})

const LIES: readonly Misbehaviour[] = [
  lie('1: null for a block that was just announced', 'null-block'),
  lie('1: null for the receipts of a block that was just announced', 'null-receipts'),
  lie('1: null for single receipts, where they are not given by block', 'no-block-receipts', 'null-transaction'),
  lie('1: a head that is told before it is there', 'early-head'),
  lie('2: receipts without logs, of a block that has some', 'receipts-without-logs'),
  lie('2: receipts of which a log is missing', 'log-missing'),
  lie('3: another block', 'foreign-block'),
  lie('3: the transactions of another block', 'foreign-transactions'),
  lie('3: a transaction that comes twice', 'transaction-twice'),
  lie('3: the receipts of another block', 'foreign-receipts'),
  lie('3: a receipt that comes twice', 'duplicate-receipts'),
  lie('3: fewer receipts than transactions', 'missing-receipts'),
  lie('3: the receipt of another transaction', 'no-block-receipts', 'foreign-receipt'),
  lie('3: a log that comes twice', 'log-twice'),
  lie('3: a log of another block', 'foreign-log'),
]

describe('one endpoint', () => {
  for (const [seed, fault] of LIES.entries())
    test(fault.what, async () => {
      await playAlone(stage, fault, { seed })
    })
})

describe('two of three endpoints', () => {
  for (const [seed, fault] of LIES.entries())
    test(fault.what, async () => {
      await playOnTwo(stage, [fault, fault], { seed })
    })
})
