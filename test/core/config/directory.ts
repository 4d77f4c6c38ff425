/**
 * Chain files in a directory of their own, and what loading them gives.
 */

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { type Config, loadConfig } from '../../../src/config/env.ts'
import { AppError } from '../../../src/errors.ts'

export const WALLET = '0x1111111111111111111111111111111111111111'
export const TOKEN = '0x2222222222222222222222222222222222222222'
export const CONTRACT = '0x3333333333333333333333333333333333333333'

type Fields = Readonly<Record<string, unknown>>

/** A valid chain file of a devnet, with some fields changed. */
export function chainFile(changes: Fields = {}): Fields {
  return {
    id: 31337,
    name: 'devnet',
    rpc: { env: 'DEVNET_RPC_URL', public: ['http://127.0.0.1:8545'] },
    confirmations: 1,
    startBlock: 5,
    blockTimeSeconds: 1,
    nativeToken: { symbol: 'ETH', decimals: 18 },
    tokens: [{ address: TOKEN, symbol: 'GLD', decimals: 18 }],
    ...changes,
  }
}

/** A valid event rule, with some fields changed; undefined removes a field. */
export function eventRule(changes: Fields = {}): Fields {
  return {
    event: 'Staked(address indexed user, uint256 amount, uint8 tier, address asset, string indexed note)',
    activities: [{ wallet: 'user', type: 'STAKE' }],
    amount: 'amount',
    token: 'GLD',
    ids: ['tier'],
    ...changes,
  }
}

/** The chain file with one contract that has these events. */
export function chainWithEvents(events: readonly unknown[], changes: Fields = {}): Fields {
  return chainFile({ contracts: [{ name: 'Staking', address: CONTRACT, events }], ...changes })
}

/** A working directory that has `chains/` with these files (text as it is, everything else as JSON). */
export function directoryWith(files: Fields): string {
  const cwd = mkdtempSync(join(tmpdir(), 'config-'))
  onTestFinished(() => rmSync(cwd, { recursive: true }))
  mkdirSync(join(cwd, 'chains'))
  for (const [name, content] of Object.entries(files)) {
    writeFileSync(join(cwd, 'chains', name), typeof content === 'string' ? content : JSON.stringify(content))
  }
  return cwd
}

export function load(files: Fields, env: Record<string, string> = {}, isTerminal = false): Config {
  return loadConfig({ env, cwd: directoryWith(files), isTerminal })
}

/** The lines of the error that loading ends with: one a problem. */
export function problemsOf(files: Fields, env: Record<string, string> = {}): string[] {
  const error = thrownBy(() => load(files, env))
  if (!(error instanceof AppError) || error.code !== 'CONFIG_INVALID') throw error
  const [, ...lines] = error.message.trimEnd().split('\n')
  return lines.map(line => line.trim())
}

export function thrownBy(action: () => unknown): unknown {
  try {
    action()
  } catch (error) {
    return error
  }
  throw new Error('Nothing was thrown.')
}
