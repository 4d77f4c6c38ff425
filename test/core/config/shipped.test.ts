import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, onTestFinished, test } from 'vitest'
import { findChain, loadConfig } from '../../../src/config/env.ts'
import { renderSchema, SCHEMA_URL } from '../../../src/config/generate-schema.ts'
import type { EventRule } from '../../../src/core/chain.ts'
import { chainFile } from './directory.ts'

const ROOT = fileURLToPath(new URL('../../../', import.meta.url))
const FACTS = join(ROOT, '..', 'shared', 'facts', 'linkdao.json')

const load = (env: Record<string, string> = {}, cwd = ROOT) => loadConfig({ env, cwd, isTerminal: false })

function rulesOf(name: string): EventRule[] {
  const { chain } = findChain(load(), name)
  return [...chain.rules.values()].flatMap(ofContract => [...ofContract.values()])
}

test('the shipped chain files are Mainnet and Sepolia, each with public endpoints', () => {
  const config = load()
  expect(
    config.chains.map(({ chain }) => [chain.id, chain.name, chain.label, chain.confirmations, chain.startBlock]),
  ).toEqual([
    [1, 'mainnet', 'ethereum', 12, 'latest'],
    [11155111, 'sepolia', 'sepolia', 3, 9442913],
  ])
  for (const { rpcUrls, usesPublicRpc } of config.chains) {
    expect(usesPublicRpc).toBe(true)
    expect(rpcUrls.length).toBeGreaterThanOrEqual(3)
  }
})

test('Mainnet takes MAINNET_RPC_URL, else ETHEREUM_RPC_URL', () => {
  const both = { ETHEREUM_RPC_URL: 'http://ethereum', MAINNET_RPC_URL: 'http://mainnet' }
  expect(findChain(load(both), '1').rpcUrls).toEqual(['http://mainnet'])
  expect(findChain(load({ ETHEREUM_RPC_URL: 'http://ethereum' }), '1').rpcUrls).toEqual(['http://ethereum'])
})

test('a tip is TIP_SENT and TIP_RECEIVED to its wallets, and TIP to the transaction', () => {
  const tips = rulesOf('sepolia').filter(rule => rule.contractName.startsWith('TipRouter'))
  expect(tips).toHaveLength(3)
  for (const { activities } of tips) {
    expect(activities.map(({ type, eventType }) => [type, eventType])).toEqual([
      ['TIP_SENT', 'TIP'],
      ['TIP_RECEIVED', 'TIP'],
    ])
  }
})

test('a third chain is added by a file and a variable alone', () => {
  const cwd = mkdtempSync(join(tmpdir(), 'config-'))
  onTestFinished(() => rmSync(cwd, { recursive: true }))
  mkdirSync(join(cwd, 'chains'))
  for (const file of readdirSync(join(ROOT, 'chains')))
    copyFileSync(join(ROOT, 'chains', file), join(cwd, 'chains', file))
  writeFileSync(
    join(cwd, 'chains', 'anvil.json'),
    JSON.stringify(chainFile({ name: 'anvil', rpc: { env: 'ANVIL_RPC_URL' } })),
  )
  const config = load({ ANVIL_RPC_URL: 'http://127.0.0.1:8545' }, cwd)
  expect(config.chains.map(({ chain }) => chain.id)).toEqual([1, 31337, 11155111])
  expect(findChain(config, 'anvil').rpcUrls).toEqual(['http://127.0.0.1:8545'])
})

test('chains/schema.json is what the schema generates (npm run generate)', () => {
  expect(readFileSync(SCHEMA_URL, 'utf8')).toBe(renderSchema())
})

test('.env.example has every variable, and all of them as comments', () => {
  const text = readFileSync(join(ROOT, '.env.example'), 'utf8')
  const variables = ['DATABASE_URL', 'CHAINS', 'CHAINS_DIR', 'MAINNET_RPC_URL', 'SEPOLIA_RPC_URL', 'ETHEREUM_RPC_URL']
  for (const name of [...variables, 'HTTP_HOST', 'HTTP_PORT', 'LOG_LEVEL', 'LOG_FORMAT', 'NODE_ENV']) {
    expect(text, name).toMatch(new RegExp(`^# ${name}=`, 'm'))
  }
  expect(text.split('\n').filter(line => line !== '' && !line.startsWith('#'))).toEqual([])
})

type Fact = {
  readonly name: string
  readonly topic0: string
  readonly sepolia: readonly string[]
  readonly userTransactionsEventType: string
}

test('every shipped rule has the topic and the event type that are recorded for its contract', ({ skip }) => {
  if (!existsSync(FACTS)) skip('the record of the contracts (shared/facts/linkdao.json) is not beside the repository')
  const { events } = JSON.parse(readFileSync(FACTS, 'utf8')) as { events: readonly Fact[] }
  const rules = rulesOf('sepolia')
  expect(rules).toHaveLength(9)
  for (const rule of rules) {
    const at = (fact: Fact) => fact.sepolia.some(address => address.toLowerCase() === rule.address)
    const fact = events.find(one => one.topic0 === rule.topic0 && at(one))
    expect(fact?.name, `${rule.contractName} ${rule.abi.name}`).toBe(rule.abi.name)
    for (const { eventType } of rule.activities) expect(eventType).toBe(fact?.userTransactionsEventType)
  }
})
