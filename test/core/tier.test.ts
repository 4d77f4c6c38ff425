/**
 * Which depth an amount asks for.
 */

import { describe, expect, test } from 'vitest'
import { compileChain } from '../../src/config/chain.ts'
import type { Problem } from '../../src/config/problem.ts'
import { requiredConfirmations } from '../../src/core/tier.ts'

const GOLD = '0x00000000000000000000000000000000000000aa'
const FILE = {
  id: 5,
  name: 'local',
  rpc: { env: 'LOCAL_RPC_URL' },
  confirmations: 3,
  startBlock: 0,
  blockTimeSeconds: 1,
  nativeToken: { symbol: 'ETH', decimals: 18 },
  tokens: [{ address: GOLD, symbol: 'GOLD', decimals: 6 }],
}

function compile(confirmationTiers: unknown) {
  const problems: Problem[] = []
  return { compiled: compileChain({ ...FILE, confirmationTiers }, 'local.json', problems)?.chain, problems }
}

const TIERS = [
  { token: 'GOLD', above: '10.5', confirmations: 20 },
  { token: 'ETH', above: '1', confirmations: 10 },
  { token: 'ETH', above: '5', confirmations: 'finalized' },
]
const row = (rawAmount: bigint | null, tokenAddress: typeof GOLD | null, activityType = 'TRANSFER_OUT') => ({
  rawAmount,
  tokenAddress,
  activityType,
  token: tokenAddress === null ? 'ETH' : 'GOLD',
})
const ETHER = 10n ** 18n

describe('an amount asks for', () => {
  const chain = compile(TIERS).compiled
  test.each([
    ['nothing more, where it is the limit itself', [row(ETHER, null)], null],
    ['the depth of its tier', [row(ETHER + 1n, null)], 10],
    ['the strictest of the tiers that it reaches', [row(6n * ETHER, null)], 'finalized'],
    ['the depth of its own token', [row(10_500_001n, GOLD)], 20],
    ['the strictest of all amounts', [row(2n * ETHER, null), row(11_000_000n, GOLD)], 20],
    ['nothing, where it is an allowance', [row(10n ** 30n, GOLD, 'APPROVAL')], null],
    ['nothing, where there is none', [row(null, null, 'CONTRACT_INTERACTION')], null],
  ] as const)('%s', (_name, rows, expected) => {
    expect(chain).toBeDefined()
    if (chain !== undefined) expect(requiredConfirmations(rows, chain)).toBe(expected)
  })
})

describe('a tier is refused', () => {
  test.each([
    ['of a token that is not listed', { token: 'DAI', above: '1', confirmations: 5 }, 'listed'],
    ['with more decimals than the token has', { token: 'GOLD', above: '0.0000001', confirmations: 5 }, '6 decimals'],
    ['with an amount that is a number', { token: 'ETH', above: 1, confirmations: 5 }, 'quotes'],
    ['that asks for safe', { token: 'ETH', above: '1', confirmations: 'safe' }, 'finalized'],
    ['with a field that is unknown', { token: 'ETH', above: '1', confirmations: 5, below: '2' }, 'below'],
  ])('%s', (_name, tier, words) => {
    const { compiled, problems } = compile([tier])
    expect(compiled).toBeUndefined()
    expect(JSON.stringify(problems)).toContain(words)
  })
})
