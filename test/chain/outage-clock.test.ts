/**
 * The wall clock of the daemon's machine is set, by days, while it runs: back and forward.
 *
 * Only the process's own clock is moved; timers, the database and the chain go on as they were.
 */

import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, beforeAll, expect, inject, test } from 'vitest'
import {
  leaseOf,
  type Daemon,
  openStage,
  pause,
  probe,
  type Stage,
  stopDaemon,
  until,
} from '../support/outage-stage.ts'

const DATABASE = 'clock'
const PRELOAD = fileURLToPath(new URL('../support/moved-clock.ts', import.meta.url))
const DAY_MS = 86_400_000
/** Blocks come this often; the wait before a poll is a twelfth to nine tenths of it. */
const BLOCK_TIME_SECONDS = 1
const BLOCKS = 4
/** By the rhythm: one poll after a block, and some while the next is due. A poll is one request, a block two more. */
const MAX_REQUESTS_PER_BLOCK = 8
/** At its rhythm it takes less than a block time; the machine is busy. */
const MAX_BLOCK_MS = 3_000
/** It comes every two seconds. */
const MAX_JOB_MS = 5_000

let stage: Stage
let clockFile: string

beforeAll(async () => {
  stage = await openStage({
    serverUrl: inject('postgresUrl'),
    names: [DATABASE],
    chain: { blockTimeSeconds: BLOCK_TIME_SECONDS },
  })
  clockFile = join(stage.workplace.directory, 'clock')
})

afterEach(() => stage?.killDaemons())

afterAll(async () => {
  await stage?.close()
})

const moveClock = (days: number) => writeFile(clockFile, String(days * DAY_MS))

async function startDaemon(): Promise<Daemon> {
  await moveClock(0)
  return stage.startDaemon(DATABASE, { NODE_OPTIONS: `--import=${PRELOAD}`, MOVED_CLOCK: clockFile })
}

/** What time it is where the daemon runs, as its log says. */
function clockOf({ process }: Daemon): number {
  const times = process.output().matchAll(/"time":"([^"]+)"/g)
  return Date.parse([...times].at(-1)?.[1] ?? '')
}

const requests = () => stage.toNodes.reduce((sum, node) => sum + node.requests(), 0)

/** Mines blocks at their time. @returns requests to the nodes, for each block */
async function followBlocks(count: number): Promise<number> {
  const before = requests()
  for (let index = 0; index < count; index += 1) {
    const due = pause(BLOCK_TIME_SECONDS * 1_000)
    await stage.mineTransfers(1)
    expect(await until('the block is there', () => stage.isComplete(DATABASE))).toBeLessThan(MAX_BLOCK_MS)
    await due
  }
  return (requests() - before) / count
}

/** The application overwrites a status; a job sets it right, by its own beat: nobody tells it. */
async function untilSetRight(): Promise<number> {
  const sql = stage.connectTo(DATABASE, 1)
  try {
    await sql`alter table user_transactions disable trigger user`
    const overwritten = await sql`
      update user_transactions set status = 'pending' where tx_hash = (
        select tx_hash from user_transactions where status = 'confirmed' limit 1
      ) returning tx_hash`
    const [{ tx_hash: hash } = { tx_hash: '' }] = overwritten as unknown as { tx_hash: string }[]
    return await until('what the application overwrote is set right', async () => {
      const rows = await sql`select 1 from user_transactions where tx_hash = ${hash} and status = 'confirmed'`
      return rows.length > 0
    })
  } finally {
    await sql.end({ timeout: 1 })
  }
}

test.each([
  ['back by three days', -3],
  ['forward by three days', 3],
])('set %s, it polls at its rhythm, keeps its lease, does its jobs, and every row is right', async (_what, days) => {
  const daemon = await startDaemon()
  const usual = await followBlocks(BLOCKS)
  const lease = await leaseOf(stage, DATABASE)
  await moveClock(days)
  const moved = await followBlocks(BLOCKS)
  process.stdout.write(`moved by ${days} days: ${usual} requests a block before, ${moved} after\n`)
  // It really was moved.
  expect(Math.abs(clockOf(daemon) - Date.now() - days * DAY_MS)).toBeLessThan(DAY_MS / 24)
  expect(moved).toBeLessThan(MAX_REQUESTS_PER_BLOCK)
  expect(await leaseOf(stage, DATABASE)).toEqual(lease)
  expect(await probe(daemon.http)).toMatchObject({ status: 200 })
  // The first may be met by a run that a commit of ours had asked for.
  expect(await untilSetRight()).toBeLessThan(MAX_JOB_MS)
  expect(await untilSetRight()).toBeLessThan(MAX_JOB_MS)
  await stage.expectRowsOfChain(DATABASE)
  await stopDaemon(daemon)
})
