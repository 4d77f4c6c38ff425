/**
 * The chain files of a directory: read, compiled, and compared with each other.
 *
 * Always holds: ids, names, labels and RPC variables are unique over all files, the disabled ones too, because enabling one
 * must not change what another means. A file that does not even parse takes part with its name only.
 */

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Chain } from '../core/chain.ts'
import { compileChain, type RpcLimits, VARIABLE_PATTERN } from './chain.ts'
import { fieldOf, itemsOf, type Problem } from './problem.ts'

const SCHEMA_FILE = 'schema.json'

/** What is known of a chain file, valid or not: enough to select it and to look at its RPC variables. */
export type ChainEntry = {
  readonly path: string
  /** The file as problems name it. */
  readonly where: string
  readonly id: number | undefined
  readonly name: string | undefined
  readonly enabled: boolean
  readonly variables: readonly string[]
  readonly publicUrls: readonly string[]
  readonly rpcLimits: RpcLimits
  /** null: the file has problems. */
  readonly chain: Chain | null
}

/** Every `*.json` but the schema, by name. `shown` is the directory as problems name it. */
export function readChainDirectory(directory: string, shown: string, problems: Problem[]): ChainEntry[] {
  let files: string[]
  try {
    files = readdirSync(directory)
  } catch (error) {
    problems.push({
      where: shown,
      found: `a directory that can't be read${codeOf(error)}`,
      expected: 'the directory of the chain files (CHAINS_DIR)',
    })
    return []
  }
  const names = files.filter(file => file.endsWith('.json') && file !== SCHEMA_FILE && !file.startsWith('.')).sort()
  if (names.length === 0) problems.push({ where: shown, found: 'no chain file', expected: 'at least one *.json' })
  const entries = names.map(file => readEntry(join(directory, file), `${shown}/${file}`, problems))
  checkUnique(entries, problems)
  return entries
}

function readEntry(path: string, where: string, problems: Problem[]): ChainEntry {
  const raw = readJson(path, where, problems)
  const compiled = raw === undefined ? null : compileChain(raw, where, problems)
  const id = fieldOf(raw, 'id')
  const name = fieldOf(raw, 'name')
  const rpc = fieldOf(raw, 'rpc')
  return {
    path,
    where,
    id: typeof id === 'number' ? id : undefined,
    name: typeof name === 'string' ? name : undefined,
    enabled: fieldOf(raw, 'enabled') !== false,
    variables: [fieldOf(rpc, 'env'), ...itemsOf(fieldOf(rpc, 'fallbackEnv'))].filter(isVariable),
    publicUrls: itemsOf(fieldOf(rpc, 'public')).filter(one => typeof one === 'string'),
    rpcLimits: compiled?.file.rpc.limits ?? {},
    chain: compiled?.chain ?? null,
  }
}

/** What is no name of a variable may be a URL that was put there: it is not taken into any problem. */
function isVariable(value: unknown): value is string {
  return typeof value === 'string' && VARIABLE_PATTERN.test(value)
}

function readJson(path: string, where: string, problems: Problem[]): unknown {
  const expected = 'a chain file: JSON as chains/schema.json says'
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    problems.push({ where, found: `a file that can't be read${codeOf(error)}`, expected })
    return undefined
  }
  try {
    return JSON.parse(text.replace(/^\uFEFF/, ''))
  } catch (error) {
    // The message of the parser quotes the file, which may hold a key: only the place is taken from it.
    const place = error instanceof Error ? /line \d+ column \d+/.exec(error.message)?.[0] : undefined
    problems.push({ where, found: `text that is no JSON${place === undefined ? '' : ` (${place})`}`, expected })
    return undefined
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? ` (${String(error.code)})` : ''
}

function checkUnique(entries: readonly ChainEntry[], problems: Problem[]): void {
  const fields: readonly (readonly [string, (entry: ChainEntry) => readonly unknown[]])[] = [
    ['id', entry => [entry.id]],
    ['name', entry => [entry.name]],
    ['label', entry => [entry.chain?.label]],
    ['rpc.env', entry => entry.variables],
  ]
  for (const [field, valuesOf] of fields) {
    const fileByValue = new Map<unknown, string>()
    for (const entry of entries) {
      for (const value of new Set(valuesOf(entry))) {
        const other = fileByValue.get(value)
        if (value !== undefined && other !== undefined) {
          problems.push({
            where: `${entry.where}: ${field}`,
            found: `the same as in ${other}`,
            expected: `another ${field}`,
          })
        }
        fileByValue.set(value, entry.where)
      }
    }
  }
}
