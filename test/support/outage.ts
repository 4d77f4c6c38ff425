/**
 * An outage as a test of two daemons: one lives through it, the other is told to end in the middle of it.
 */
import { expect } from 'vitest'
import {
  expectSaidOnce,
  MAX_RECOVERY_MS,
  pause,
  probe,
  type Stage,
  stopDaemon,
  troublesOf,
  until,
  untilNoted,
} from './outage-stage.ts'

export const NAMES = ['lives', 'ends'] as const

/** How long an outage lasts after it was noticed: long enough for several tries. */
const OUTAGE_MS = 2_500

export type Outage = {
  readonly what: string
  /** What /readyz says. */
  readonly reason: RegExp
  /** By which code it is told; absent: by any. */
  readonly code?: string
  /** It begins with the end of all sessions: what is under way in one of them is a trouble of its own. */
  readonly endsSessions?: boolean
  readonly begin: () => Promise<void>
  readonly end: () => Promise<void>
}

const nothing = () => Promise.resolve()
/** Ends the outage that a test has left. */
let undo = nothing

export async function endOutage(): Promise<void> {
  await undo()
  undo = nothing
}

/** It is said once, lived through, and no reason to stay when asked to end. */
export async function playOutage(
  stage: Stage,
  { what, reason, code, endsSessions = false, begin, end }: Outage,
): Promise<void> {
  const [lives, ends] = await Promise.all([stage.startDaemon('lives'), stage.startDaemon('ends')])
  undo = end
  await begin()
  await stage.mineTransfers(3)
  const notedMs = await untilNoted([lives, ends], reason)
  const stoppedMs = await stopDaemon(ends)

  await stage.mineTransfers(2)
  await pause(Math.max(OUTAGE_MS - stoppedMs, 0))
  expect((await probe(lives.http)).status).toBe(503)
  const said = troublesOf(lives)
  undo = nothing
  await end()
  const recoveredMs = await until('every row is there', () => stage.isComplete('lives'))
  expect(recoveredMs).toBeLessThan(MAX_RECOVERY_MS)
  await until('it is ready again', async () => {
    // A chain on which no block comes is a reason of its own.
    await stage.anvil.mine()
    return (await probe(lives.http)).status === 200
  })
  await until('those blocks are there too', () => stage.isComplete('lives'))
  process.stdout.write(
    `${what}: noted after ${notedMs} ms, ended in ${stoppedMs} ms, complete ${recoveredMs} ms after it\n`,
  )
  const ofSessions = endsSessions ? said.filter(({ error }) => error?.code === 'DB_UNAVAILABLE') : []
  expect(ofSessions.length).toBeLessThanOrEqual(1)
  const told = said.filter(line => !ofSessions.includes(line))
  expectSaidOnce(told)
  if (code !== undefined) expect(told.flatMap(({ error }) => error?.code ?? [])).toEqual([code])
  await stopDaemon(lives)
}
