/**
 * Every node goes away and comes back, in each of the ways that they go: one daemon lives through it, another ends in the middle.
 */

import { afterAll, afterEach, beforeAll, describe, inject, test } from 'vitest'
import { endOutage, type Outage, playOutage } from '../support/outage.ts'
import { openStage, type Stage } from '../support/outage-stage.ts'

let stage: Stage

beforeAll(async () => {
  stage = await openStage({ serverUrl: inject('postgresUrl'), names: ['lives', 'ends'] })
})

afterEach(async () => {
  await endOutage()
  await stage?.killDaemons()
})

afterAll(async () => {
  await stage?.close()
})

const OUTAGES: readonly Outage[] = [
  {
    what: 'every node is gone',
    reason: /ECONNREFUSED|No endpoint|no step/,
    async begin() {
      for (const node of stage.toNodes) await node.refuse()
    },
    async end() {
      for (const node of stage.toNodes) await node.heal()
    },
  },
  {
    what: 'every node is silent',
    reason: /no step has ended/,
    async begin() {
      for (const node of stage.toNodes) node.stall()
    },
    async end() {
      for (const node of stage.toNodes) await node.heal()
    },
  },
]

describe('an outage is said once, lived through, and no reason to stay when asked to end', () => {
  test.each(OUTAGES)('$what', outage => playOutage(stage, outage))
})
