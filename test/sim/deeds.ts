/**
 * What can happen in a run. Each deed is drawn by its weight, and each leaves the world in a state in which any other may follow.
 *
 * Always holds: a deed that can't be done now (nobody left to sign up, nothing to kill) does nothing and says so by null; nothing
 * waits for longer than its own bound.
 */
import { healNodes, longStand, restartServer, shutGate, spoilNodes, terminateSessions } from './deeds/faults.ts'
import {
  backfill,
  ensureRunning,
  expireLeases,
  freeze,
  kill,
  killStorm,
  reorgWhileDown,
  startSecond,
  stopAndStart,
  trap,
} from './deeds/process.ts'
import {
  comeBack,
  emptyBlocks,
  hesitate,
  leaveBehind,
  reorganise,
  replace,
  signUpBetween,
  trackFresh,
  trackOld,
  traffic,
  watch,
} from './deeds/world.ts'
import { inspect } from './inspect.ts'
import type { Stage } from './stage.ts'

export type Deed = {
  readonly name: string
  readonly weight: number
  /** Deeds of one theme are switched off together, so that seeds differ in more than their order. */
  readonly theme: 'chain' | 'application' | 'process' | 'database' | 'rpc' | 'check'
  /** In words what was done; null: nothing. */
  readonly run: (stage: Stage) => Promise<string | null>
}

export const DEEDS: readonly Deed[] = [
  { name: 'traffic', weight: 14, theme: 'chain', run: traffic },
  { name: 'empty blocks', weight: 4, theme: 'chain', run: emptyBlocks },
  { name: 'reorg', weight: 6, theme: 'chain', run: reorganise },
  { name: 'replace', weight: 3, theme: 'chain', run: replace },
  { name: 'hesitate', weight: 5, theme: 'chain', run: hesitate },
  { name: 'come back', weight: 5, theme: 'chain', run: comeBack },
  { name: 'track fresh', weight: 5, theme: 'application', run: trackFresh },
  { name: 'track old', weight: 3, theme: 'application', run: trackOld },
  { name: 'nonsense', weight: 1, theme: 'application', run: ({ application }) => application.trackNonsense() },
  {
    name: 'overwrite',
    weight: 2,
    theme: 'application',
    run: ({ application, dice }) => application.overwrite(dice.pick(['pending', 'pending', 'failed', 'confirmed'])),
  },
  {
    name: 'own activity',
    weight: 1,
    theme: 'application',
    run: async ({ application }) => {
      await application.insertActivity()
      return 'the application inserts an activity of its own'
    },
  },
  { name: 'sign up', weight: 3, theme: 'application', run: ({ application }) => application.signUp() },
  { name: 'delete user', weight: 2, theme: 'application', run: ({ application }) => application.deleteUser() },
  { name: 'move wallet', weight: 1, theme: 'application', run: ({ application }) => application.moveWallet() },
  { name: 'twin', weight: 1, theme: 'application', run: ({ application }) => application.twin() },
  { name: 'watch', weight: 2, theme: 'application', run: watch },
  { name: 'sign up between', weight: 3, theme: 'application', run: signUpBetween },
  { name: 'ensure running', weight: 6, theme: 'check', run: ensureRunning },
  { name: 'kill', weight: 4, theme: 'process', run: kill },
  { name: 'trap', weight: 5, theme: 'process', run: trap },
  { name: 'reorg while down', weight: 5, theme: 'process', run: reorgWhileDown },
  { name: 'kill storm', weight: 1, theme: 'process', run: killStorm },
  { name: 'freeze', weight: 2, theme: 'process', run: freeze },
  { name: 'stop', weight: 2, theme: 'process', run: stopAndStart },
  { name: 'second', weight: 2, theme: 'process', run: startSecond },
  { name: 'backfill', weight: 2, theme: 'process', run: backfill },
  { name: 'terminate', weight: 3, theme: 'database', run: terminateSessions },
  { name: 'outage', weight: 2, theme: 'database', run: shutGate },
  {
    name: 'expire',
    weight: 1,
    theme: 'database',
    run: async stage => {
      await expireLeases(stage)
      return 'all leases expire'
    },
  },
  { name: 'restart', weight: 1, theme: 'database', run: restartServer },
  { name: 'spoil', weight: 9, theme: 'rpc', run: spoilNodes },
  { name: 'heal', weight: 2, theme: 'rpc', run: healNodes },
  { name: 'leave behind', weight: 3, theme: 'rpc', run: leaveBehind },
  { name: 'long stand', weight: 3, theme: 'rpc', run: longStand },
  { name: 'inspect', weight: 4, theme: 'check', run: inspect },
]
