import { join } from 'node:path'
import { expect, test } from 'vitest'
import { findChain, loadConfig } from '../../../src/config/env.ts'
import { AppError, describeError } from '../../../src/errors.ts'
import { chainFile, directoryWith, eventRule, chainWithEvents, load, problemsOf, thrownBy } from './directory.ts'

const DEVNET = { 'devnet.json': chainFile() }
const SECRET = 'sk-4f9a1c77e2b04d5d'

test('without any variable there is the embedded Postgres, every enabled chain on its public endpoints, and the default port', () => {
  const cwd = directoryWith({
    ...DEVNET,
    'off.json': chainFile({ id: 2, name: 'off', enabled: false, rpc: { env: 'OFF_RPC_URL' } }),
  })
  const config = loadConfig({ env: {}, cwd, isTerminal: false })
  expect(config).toMatchObject({
    database: { url: null },
    embeddedDirectory: join(cwd, '.data', 'postgres'),
    http: { host: '127.0.0.1', port: 9464, explicit: false },
    log: { level: 'info', format: 'json' },
  })
  expect(config.chains).toHaveLength(1)
  expect(config.chains[0]).toMatchObject({
    file: join(cwd, 'chains', 'devnet.json'),
    rpcUrls: ['http://127.0.0.1:8545'],
    usesPublicRpc: true,
    chain: { id: 31337, name: 'devnet', label: 'devnet' },
  })
})

test('every variable is read, without the blanks around it', () => {
  const config = load(DEVNET, {
    DATABASE_URL: ' postgresql://u:p%40ss@db:5432/linkdao?sslmode=require ',
    DEVNET_RPC_URL: 'https://a.example/v2/key , wss://b.example/key,https://a.example/v2/key',
    HTTP_HOST: '::1',
    HTTP_PORT: '0',
    LOG_LEVEL: 'debug',
    LOG_FORMAT: 'pretty',
  })
  expect(config).toMatchObject({
    database: { url: 'postgresql://u:p%40ss@db:5432/linkdao?sslmode=require' },
    http: { host: '::1', port: 0, explicit: true },
    log: { level: 'debug', format: 'pretty' },
    chains: [{ rpcUrls: ['https://a.example/v2/key', 'wss://b.example/key'], usesPublicRpc: false }],
  })
})

test('an empty variable counts as not set', () => {
  const config = load(DEVNET, { DATABASE_URL: '', HTTP_PORT: ' ', LOG_LEVEL: '', DEVNET_RPC_URL: '', CHAINS: '' })
  expect(config).toMatchObject({
    database: { url: null },
    http: { port: 9464, explicit: false },
    chains: [{ usesPublicRpc: true }],
  })
})

test.each([
  ['off', 'off'],
  ['0', 0],
  ['8080', 8080],
])('HTTP_PORT=%s is explicit', (text, port) => {
  expect(load(DEVNET, { HTTP_PORT: text }).http).toEqual({ host: '127.0.0.1', port, explicit: true })
})

test('the log is pretty on a terminal unless LOG_FORMAT says otherwise', () => {
  expect(load(DEVNET, {}, true).log.format).toBe('pretty')
  expect(load(DEVNET, { LOG_FORMAT: 'json' }, true).log.format).toBe('json')
})

test.each(['postgres://u:p@h1:5432,h2:5433/db', 'postgres:///db?host=/var/run/postgresql'])(
  'DATABASE_URL may be %s',
  url => {
    expect(load(DEVNET, { DATABASE_URL: url }).database.url).toBe(url)
  },
)

test('the embedded Postgres is refused in production', () => {
  expect(problemsOf(DEVNET, { NODE_ENV: 'production' })).toEqual([
    'DATABASE_URL: nothing; expected a URL like postgres://user:password@host:5432/database: with NODE_ENV=production there is no embedded Postgres',
  ])
  expect(load(DEVNET, { NODE_ENV: 'production', DATABASE_URL: 'postgres://h/db' }).database.url).toBe('postgres://h/db')
})

test.each([
  ['DATABASE_URL', 'localhost/db', 'a string of 12 characters without scheme'],
  ['DATABASE_URL', 'mysql://h/db', 'a string of 12 characters with another scheme'],
  ['DATABASE_URL', 'postgres://u:a/b@h/db', 'a string of 21 characters that is no URL'],
  ['DEVNET_RPC_URL', 'eth.example/v2/key', 'a string of 18 characters without scheme'],
  ['DEVNET_RPC_URL', 'ftp://eth.example', 'a string of 17 characters with another scheme'],
  ['DEVNET_RPC_URL', ', ,', 'no URL'],
  ['HTTP_PORT', '65536', 'the port'],
  ['HTTP_PORT', 'on', 'a string of 2 characters'],
  ['HTTP_PORT', '80.5', 'a string of 4 characters'],
  ['HTTP_HOST', 'http://localhost', 'a string of 16 characters'],
  ['LOG_LEVEL', 'loud', 'a string of 4 characters; expected fatal, error, warn, info, debug, trace, silent'],
  ['LOG_FORMAT', 'xml', 'a string of 3 characters; expected pretty or json'],
  ['CHAINS', ',', 'a string of 1 characters'],
  ['CHAINS_DIR', 'nowhere', 'a string of 7 characters'],
])('%s=%s is refused by its shape', (variable, text, found) => {
  const problems = problemsOf(DEVNET, { [variable]: text })
  expect(problems).toHaveLength(1)
  expect(problems[0]).toMatch(new RegExp(`^${variable}`))
  expect(problems[0]).toContain(found === 'the port' ? 'expected a port from 0' : found)
})

test('all problems of the environment and of all chain files are one error', () => {
  const problems = problemsOf(
    {
      'a.json': chainFile({ confirmations: 0, surprise: 1, quirks: ['native-logs'] }),
      'b.json': '{ "id": ',
      'c.json': chainWithEvents([eventRule({ event: 'Staked(' })], {
        id: 3,
        name: 'c',
        rpc: { env: 'C_RPC_URL' },
        blockTimeSeconds: 0,
      }),
    },
    {
      NODE_ENV: 'production',
      LOG_LEVEL: 'loud',
      HTTP_PORT: '-1',
      DEVNET_RPC_URL: 'eth.example',
      CHAINS: 'devnet,c,nothere',
    },
  )
  const starts = [
    'DATABASE_URL: nothing',
    'HTTP_PORT: a string of 2 characters',
    'LOG_LEVEL: ',
    'chains/a.json: confirmations: the number 0; expected a whole number from 1 on',
    'chains/a.json: surprise: an unknown field',
    'chains/a.json: quirks[0]: the unknown quirk "native-logs"',
    'chains/b.json: text that is no JSON',
    'chains/c.json: blockTimeSeconds: the number 0',
    'chains/c.json: contract Staking, event "Staked(": event: a signature that does not parse',
    'CHAINS, entry 3: ',
    'DEVNET_RPC_URL: a string of 11 characters without scheme',
    'C_RPC_URL: nothing, and chains/c.json has no public endpoint',
  ]
  for (const start of starts) expect(problems, start).toContainEqual(expect.stringContaining(start))
  expect(problems).toHaveLength(starts.length)
})

test('no problem tells a secret, whichever variable or URL of a file it was put into', () => {
  const error = thrownBy(() =>
    load(
      {
        'a.json': chainFile({ rpc: { env: 'DEVNET_RPC_URL', public: [`rpc.example/${SECRET}`] } }),
        'b.json': `{ "rpc": { "public": ["https://b.example/${SECRET}] } }`,
        'c.json': SECRET,
        'd.json': chainFile({ id: 4, rpc: { env: `https://d.example/${SECRET}` } }),
      },
      {
        DATABASE_URL: `postgres://user:${SECRET}/x@h/db`,
        DEVNET_RPC_URL: `eth.example/${SECRET},https://${SECRET} /`,
        CHAINS: `devnet,${SECRET}`,
        HTTP_HOST: `https://${SECRET}`,
        HTTP_PORT: SECRET,
        LOG_LEVEL: SECRET,
        LOG_FORMAT: SECRET,
      },
    ),
  )
  expect(error).toBeInstanceOf(AppError)
  expect(describeError(error)).not.toContain(SECRET)
  expect(JSON.stringify(error)).not.toContain(SECRET)
  const directory = thrownBy(() => load(DEVNET, { CHAINS_DIR: `/${SECRET}` }))
  expect(describeError(directory)).not.toContain(SECRET)
})

test('CHAINS takes names and ids, in any order and twice, and enables what its file disables', () => {
  const files = {
    ...DEVNET,
    'off.json': chainFile({
      id: 2,
      name: 'off',
      enabled: false,
      rpc: { env: 'OFF_RPC_URL', public: ['http://localhost:1'] },
    }),
    'more.json': chainFile({ id: 3, name: 'more', rpc: { env: 'MORE_RPC_URL' } }),
  }
  const config = load(files, { CHAINS: '31337, Off ,devnet' })
  expect(config.chains.map(({ chain }) => chain.name)).toEqual(['off', 'devnet'])
})

test('an unknown chain in CHAINS is refused with the known ones', () => {
  expect(problemsOf(DEVNET, { CHAINS: 'devnet,goerli' })).toEqual([
    'CHAINS, entry 2: a string of 6 characters that names no chain; expected names or ids of devnet (31337)',
  ])
})

test('a directory in which every chain is disabled needs CHAINS', () => {
  expect(problemsOf({ 'a.json': chainFile({ enabled: false }) })).toEqual([
    'CHAINS: nothing, and no chain file is enabled; expected names or ids of devnet (31337)',
  ])
})

test('a directory without chain files is refused', () => {
  expect(problemsOf({ 'schema.json': {}, 'README.md': '' })).toEqual([
    'chains: no chain file; expected at least one *.json',
  ])
})

test('a missing CHAINS_DIR is refused', () => {
  const error = thrownBy(() => loadConfig({ env: {}, cwd: '/nonexistent', isTerminal: false }))
  expect(describeError(error)).toContain('CHAINS_DIR: nothing, and the working directory has no chains/')
})

test('the fallback variable is read only when the first one is not set', () => {
  const files = { 'a.json': chainFile({ rpc: { env: 'DEVNET_RPC_URL', fallbackEnv: ['OLD_RPC_URL'] } }) }
  expect(load(files, { OLD_RPC_URL: 'http://old' }).chains[0]?.rpcUrls).toEqual(['http://old'])
  expect(load(files, { OLD_RPC_URL: 'http://old', DEVNET_RPC_URL: 'http://new' }).chains[0]?.rpcUrls).toEqual([
    'http://new',
  ])
})

test('the RPC variable of a chain that is not followed is not looked at', () => {
  const files = { ...DEVNET, 'b.json': chainFile({ id: 2, name: 'b', rpc: { env: 'B_RPC_URL' } }) }
  expect(load(files, { CHAINS: 'devnet', B_RPC_URL: 'nonsense' }).chains).toHaveLength(1)
})

test('a configuration can not be changed, its maps neither', () => {
  const config = load({ 'a.json': chainWithEvents([eventRule()]) })
  const chain = config.chains[0]?.chain
  const rules = [...(chain?.rules.values() ?? [])]
  expect(() => Object.assign(config.http, { port: 1 })).toThrow(TypeError)
  expect(() => Object.assign(rules[0]?.values().next().value?.abi ?? {}, { name: 'x' })).toThrow(TypeError)
  for (const map of [chain?.tokens, chain?.rules, rules[0]] as unknown as Map<string, unknown>[]) {
    expect(() => map.set('0x', {})).toThrow('immutable')
    expect(() => map.delete('0x')).toThrow('immutable')
    expect(() => map.clear()).toThrow('immutable')
    expect(map.size).toBe(1)
  }
})

test('a chain is found by name or id, and an unknown one is a usage error that names the known ones', () => {
  const config = load(DEVNET)
  expect(findChain(config, 'devnet')).toBe(findChain(config, '31337'))
  const error = thrownBy(() => findChain(config, 'mainnet'))
  expect(error).toMatchObject({ code: 'USAGE', exitCode: 2 })
  expect(describeError(error)).toContain('No enabled chain is called "mainnet"; there are: devnet (31337).')
})
