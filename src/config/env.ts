/**
 * The configuration: environment and chain files become one frozen value, or one error that tells everything that is wrong.
 *
 * Always holds: nothing outside `src/config/` reads a variable or a chain file; a `Config` is complete and was checked, so
 * nobody behind it has defaults or doubts; no problem shows the content of a variable, which may be a secret in the wrong
 * place. The environment comes in as data: what a configuration means can be tested without changing a process.
 */

import { existsSync } from 'node:fs'
import { join, relative, resolve } from 'node:path'
import { z } from 'zod'
import type { Chain } from '../core/chain.ts'
import { AppError } from '../errors.ts'
import type { RpcLimits } from './chain.ts'
import { type ChainEntry, readChainDirectory } from './chain-directory.ts'
import { deepFreeze } from './freeze.ts'
import { type Problem, problemsOf, quote, refuseProblems, shapeOf } from './problem.ts'
import { DATABASE_URL_EXPECTED, databaseUrlShape, RPC_URL_EXPECTED, rpcUrlShape } from './rpc-url.ts'

const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const
const LOG_FORMATS = ['pretty', 'json'] as const
const DEFAULT_PORT = 9464
const MAX_PORT = 65_535
const PORT_EXPECTED = `a port from 0 (any free one) to ${MAX_PORT}, or "off"`
const HOST_EXPECTED = 'a host name or an IP address to listen on, without scheme and port'

export type LogLevel = (typeof LOG_LEVELS)[number]
export type LogFormat = (typeof LOG_FORMATS)[number]

export type ChainConfig = {
  readonly chain: Chain
  /** The absolute path of the chain file. */
  readonly file: string
  /** In the order in which they were given; at least one. They may hold keys: show them by `displayUrl` only. */
  readonly rpcUrls: readonly string[]
  /** True: no variable was set, these are the public endpoints of the chain file. */
  readonly usesPublicRpc: boolean
  /** Of each endpoint; what is absent is found out, or without a limit. */
  readonly rpcLimits: RpcLimits
}

export type Config = {
  /** null: the embedded Postgres. */
  readonly database: { readonly url: string | null }
  /** The absolute path of the directory of the embedded Postgres. */
  readonly embeddedDirectory: string
  /** The chains to follow, by id; at least one. */
  readonly chains: readonly ChainConfig[]
  /** `explicit`: the port was set, so that another one would surprise. Port 0: any free one. */
  readonly http: { readonly host: string; readonly port: number | 'off'; readonly explicit: boolean }
  readonly log: { readonly level: LogLevel; readonly format: LogFormat }
}

export type ConfigInput = {
  readonly env: Readonly<Record<string, string | undefined>>
  /** What relative paths are relative to. */
  readonly cwd: string
  /** Whether the log goes to a terminal: decides the default of LOG_FORMAT. */
  readonly isTerminal: boolean
}

const environmentSchema = z.object({
  NODE_ENV: z.string().optional(),
  DATABASE_URL: z
    .string()
    .superRefine((url, context) => {
      const found = databaseUrlShape(url)
      if (found !== undefined) context.addIssue({ code: 'custom', message: DATABASE_URL_EXPECTED, params: { found } })
    })
    .optional(),
  CHAINS: z.string().optional(),
  CHAINS_DIR: z.string().default('chains'),
  HTTP_HOST: z
    .string()
    .regex(/^[A-Za-z0-9_.:%-]+$/, HOST_EXPECTED)
    .default('127.0.0.1'),
  HTTP_PORT: z
    .string()
    .regex(/^(?:off|\d{1,5})$/, PORT_EXPECTED)
    .transform(port => (port === 'off' ? port : Number(port)))
    .refine(port => port === 'off' || port <= MAX_PORT, PORT_EXPECTED)
    .optional(),
  LOG_LEVEL: z.enum(LOG_LEVELS, LOG_LEVELS.join(', ')).default('info'),
  LOG_FORMAT: z.enum(LOG_FORMATS, LOG_FORMATS.join(' or ')).optional(),
})

const VARIABLES = Object.keys(environmentSchema.shape)

/**
 * Reads the environment and every chain file.
 * @throws AppError CONFIG_INVALID, with all problems at once and no secret.
 */
export function loadConfig(input: ConfigInput): Config {
  const problems: Problem[] = []
  const read = (name: string) => readVariable(input.env, name)
  const parsed = parseEnvironment(read, problems)

  const entries = readChains(input.cwd, read('CHAINS_DIR'), problems)
  const chains = selectChains(read('CHAINS'), entries, problems)
    .map(entry => configureChain(entry, read, problems))
    .filter(chain => chain !== null)
    .sort((a, b) => a.chain.id - b.chain.id)

  refuseProblems(problems)
  if (parsed === null) throw new AppError('INTERNAL', 'The environment was refused without a problem.')
  return deepFreeze({
    database: { url: parsed.DATABASE_URL ?? null },
    embeddedDirectory: join(resolve(input.cwd), '.data', 'postgres'),
    chains,
    http: { host: parsed.HTTP_HOST, port: parsed.HTTP_PORT ?? DEFAULT_PORT, explicit: parsed.HTTP_PORT !== undefined },
    log: { level: parsed.LOG_LEVEL, format: parsed.LOG_FORMAT ?? (input.isTerminal ? 'pretty' : 'json') },
  })
}

/**
 * The enabled chain of that id or name.
 * @throws AppError USAGE that names the enabled ones.
 */
export function findChain(config: Config, idOrName: string): ChainConfig {
  const found = config.chains.find(({ chain }) => isNamed(chain, idOrName))
  if (found !== undefined) return found
  const known = config.chains.map(({ chain }) => `${chain.name} (${chain.id})`).join(', ')
  throw new AppError('USAGE', `No enabled chain is called ${quote(idOrName)}; there are: ${known}.`, {
    hint: 'CHAINS decides which chains are enabled.',
  })
}

type Read = (name: string) => string | undefined

/** An empty variable is an unset one: compose files and CI systems pass those they don't have as empty. */
function readVariable(env: ConfigInput['env'], name: string): string | undefined {
  const text = Object.hasOwn(env, name) ? env[name]?.trim() : undefined
  return text === '' ? undefined : text
}

function parseEnvironment(read: Read, problems: Problem[]): z.infer<typeof environmentSchema> | null {
  const env = Object.fromEntries(VARIABLES.map(name => [name, read(name)]))
  if (env['NODE_ENV'] === 'production' && env['DATABASE_URL'] === undefined) {
    const expected = `${DATABASE_URL_EXPECTED}: with NODE_ENV=production there is no embedded Postgres`
    problems.push({ where: 'DATABASE_URL', found: 'nothing', expected })
  }
  const parsed = environmentSchema.safeParse(env)
  if (parsed.success) return parsed.data
  problems.push(...problemsOf(parsed.error.issues, env, path => path))
  return null
}

function readChains(cwd: string, setting: string | undefined, problems: Problem[]): ChainEntry[] {
  const directory = resolve(cwd, setting ?? 'chains')
  if (existsSync(directory)) return readChainDirectory(directory, shownPath(cwd, directory), problems)
  const found = setting === undefined ? 'nothing, and the working directory has no chains/' : shapeOf(setting)
  problems.push({ where: 'CHAINS_DIR', found, expected: 'the path of an existing directory with chain files' })
  return []
}

function shownPath(cwd: string, path: string): string {
  const inside = relative(resolve(cwd), path)
  return inside === '' || inside.startsWith('..') ? path : inside
}

// ── Chains ───────────────────────────────────────────────────────────────────────────────────────────────────────────────

/** The chains that CHAINS names, enabled or not; without CHAINS the enabled ones. */
function selectChains(list: string | undefined, entries: readonly ChainEntry[], problems: Problem[]): ChainEntry[] {
  if (list === undefined) {
    const enabled = entries.filter(entry => entry.enabled)
    if (enabled.length === 0 && entries.length > 0) {
      problems.push({ where: 'CHAINS', found: 'nothing, and no chain file is enabled', expected: knownText(entries) })
    }
    return enabled
  }
  const selected = new Set<ChainEntry>()
  const wanted = splitList(list)
  for (const [i, idOrName] of wanted.entries()) {
    const entry = entries.find(one => isNamed(one, idOrName))
    if (entry !== undefined) selected.add(entry)
    else
      problems.push({
        where: `CHAINS, entry ${i + 1}`,
        found: `${shapeOf(idOrName)} that names no chain`,
        expected: knownText(entries),
      })
  }
  if (wanted.length === 0) problems.push({ where: 'CHAINS', found: shapeOf(list), expected: knownText(entries) })
  return [...selected]
}

function isNamed(
  chain: { readonly id: number | undefined; readonly name: string | undefined },
  idOrName: string,
): boolean {
  return String(chain.id) === idOrName || chain.name === idOrName.toLowerCase()
}

function knownText(entries: readonly ChainEntry[]): string {
  const known = entries.map(({ id, name }) => `${name ?? 'without name'} (${id ?? 'without id'})`).join(', ')
  return `names or ids of ${known === '' ? 'chains, of which there are none' : known}`
}

function splitList(text: string): string[] {
  return text
    .split(',')
    .map(part => part.trim())
    .filter(part => part !== '')
}

/** Looks at the RPC variables also of a chain whose file has problems, so that theirs are told in the same breath. */
function configureChain(entry: ChainEntry, read: Read, problems: Problem[]): ChainConfig | null {
  const variable = entry.variables.find(name => read(name) !== undefined)
  const urls = variable === undefined ? entry.publicUrls : splitList(read(variable) ?? '')
  if (variable !== undefined) {
    for (const [i, url] of urls.entries()) {
      const found = rpcUrlShape(url)
      const where = urls.length === 1 ? variable : `${variable}, URL ${i + 1}`
      if (found !== undefined) problems.push({ where, found, expected: RPC_URL_EXPECTED })
    }
  }
  const where = variable ?? entry.variables[0]
  // Without a valid name of a variable there is a problem of the file already.
  if (urls.length === 0 && where !== undefined) {
    const found = variable === undefined ? `nothing, and ${entry.where} has no public endpoint` : 'no URL'
    problems.push({ where, found, expected: `${RPC_URL_EXPECTED}, or several, comma-separated` })
  }
  if (entry.chain === null) return null
  return {
    chain: entry.chain,
    file: entry.path,
    rpcUrls: [...new Set(urls)],
    usesPublicRpc: variable === undefined,
    rpcLimits: entry.rpcLimits,
  }
}
