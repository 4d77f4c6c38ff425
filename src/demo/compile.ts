/**
 * The contracts of the local world, compiled when they are needed.
 *
 * Always holds: what is returned belongs to the sources as they are now. The compiler takes seconds to load, so its output is
 * kept beside the installed packages under a name made from the sources and the compiler's version; a cache that can't be read
 * or written only costs time.
 */
import { createHash } from 'node:crypto'
import { mkdir, readdir, readFile, rename, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Abi } from 'viem'
import type { Hex } from '../core/types.ts'
import { AppError } from '../errors.ts'
import { uniqueName } from '../runtime/random.ts'

export type Contract = {
  readonly abi: Abi
  /** Code that makes the contract when it is sent in a transaction. */
  readonly creation: Hex
  /** Code as it stands at an address. */
  readonly runtime: Hex
}

const NAMES = [
  'Token',
  'LinkToken',
  'Governance',
  'TipRouter',
  'TipRouterOld',
  'Nft',
  'MultiToken',
  'Settlement',
  'Pool',
  'Refusal',
  'Sink',
  'RawLogs',
  'Delegate',
] as const

export type ContractName = (typeof NAMES)[number]
export type Contracts = Readonly<Record<ContractName, Contract>>

const SOURCE_DIRECTORY = fileURLToPath(new URL('contracts', import.meta.url))
const CACHE_DIRECTORY = fileURLToPath(new URL('../../node_modules/.cache/demo-contracts', import.meta.url))
const EVM_VERSION = 'prague'

/** Throws EMBEDDED_UNAVAILABLE where the compiler is not installed. */
export async function compileContracts(): Promise<Contracts> {
  const sources = await readSources()
  const require = createRequire(import.meta.url)
  const { version } = load(require, 'solc/package.json') as { version: string }
  const key = createHash('sha256')
    .update(JSON.stringify([version, EVM_VERSION, NAMES, sources]))
    .digest('hex')
  const path = join(CACHE_DIRECTORY, `${key.slice(0, 32)}.json`)
  const cached = await readFile(path, 'utf8').catch(() => undefined)
  // Written under another name and renamed, so it is whole.
  if (cached !== undefined) return JSON.parse(cached) as Contracts
  const contracts = compile(loadCompiler(require), sources)
  await store(path, JSON.stringify(contracts))
  return contracts
}

type Sources = Record<string, { readonly content: string }>
type Compiler = { compile(input: string): string }

async function readSources(): Promise<Sources> {
  const files = (await readdir(SOURCE_DIRECTORY)).filter(file => file.endsWith('.sol')).sort()
  const entries = files.map(async file => [file, { content: await readFile(join(SOURCE_DIRECTORY, file), 'utf8') }])
  return Object.fromEntries(await Promise.all(entries)) as Sources
}

function load(require: NodeJS.Require, name: string): unknown {
  try {
    return require(name)
  } catch (cause) {
    throw new AppError('EMBEDDED_UNAVAILABLE', 'The contracts of the local chains cannot be compiled.', {
      facts: { module: name },
      hint: 'Run npm ci with its development dependencies.',
      cause,
    })
  }
}

/** The compiler makes every unhandled rejection of the process its own affair: what it hooks is unhooked. */
function loadCompiler(require: NodeJS.Require): Compiler {
  const before = new Set(process.listeners('unhandledRejection'))
  const compiler = load(require, 'solc') as Compiler
  for (const listener of process.listeners('unhandledRejection')) {
    if (!before.has(listener)) process.removeListener('unhandledRejection', listener)
  }
  return compiler
}

type Output = {
  readonly errors?: readonly { readonly severity: string; readonly formattedMessage: string }[]
  readonly contracts?: Record<string, Record<string, Compiled>>
}
type Compiled = {
  readonly abi: Abi
  readonly evm: {
    readonly bytecode: { readonly object: string }
    readonly deployedBytecode: { readonly object: string }
  }
}

function compile(compiler: Compiler, sources: Sources): Contracts {
  const outputs = ['abi', 'evm.bytecode.object', 'evm.deployedBytecode.object']
  const settings = {
    evmVersion: EVM_VERSION,
    optimizer: { enabled: true, runs: 200 },
    outputSelection: { '*': { '*': outputs } },
  }
  const output = JSON.parse(compiler.compile(JSON.stringify({ language: 'Solidity', sources, settings }))) as Output
  const error = output.errors?.find(one => one.severity === 'error')
  if (error !== undefined) throw new AppError('INTERNAL', error.formattedMessage.trim())
  const byName = new Map(Object.values(output.contracts ?? {}).flatMap(file => Object.entries(file)))
  const entries = NAMES.map((name): [ContractName, Contract] => {
    const found = byName.get(name)
    if (found === undefined)
      throw new AppError('INTERNAL', 'A contract is in none of the sources.', { facts: { name } })
    const { bytecode, deployedBytecode } = found.evm
    return [name, { abi: found.abi, creation: `0x${bytecode.object}`, runtime: `0x${deployedBytecode.object}` }]
  })
  return Object.fromEntries(entries) as Contracts
}

async function store(path: string, text: string): Promise<void> {
  const draft = `${path}.${uniqueName()}`
  try {
    await mkdir(CACHE_DIRECTORY, { recursive: true })
    await writeFile(draft, text)
    await rename(draft, path)
  } catch {
    // An installation that can't be written to: the next run compiles again.
  }
}
