/**
 * Nodes that lie about a block: it is not there though it was announced, its parts are of another block, come twice or are missing.
 * Nothing of it is believed, by a daemon with one endpoint, which waits, and by one with three of which two lie, which does not.
 */
import { describe, test } from 'vitest'
import { LIES } from '../support/misbehaviours.ts'
import { playAlone, playOnTwo } from '../support/node-play.ts'
import { useNodeStage } from '../support/node-stage.ts'

const stage = useNodeStage(41)

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
