/**
 * What every deed needs: a chain, a pause, a program that runs.
 */
import { sleep } from '../../../src/runtime/sleep.ts'
import type { Program } from '../process.ts'
import type { SimChain, Slot, Stage } from '../stage.ts'

export const MAX_SEND = 5
const MAX_PAUSE_MS = 300

export const pickChain = ({ dice, chains }: Stage): SimChain => dice.pick(chains)
export const pause = ({ dice }: Stage, maxMs = MAX_PAUSE_MS) => sleep(dice.integer(0, maxMs))

export function runningProgram({ running }: Stage, slot: Slot): Program | null {
  const program = running.get(slot)
  return program?.isRunning() === true ? program : null
}
