/**
 * `npm run mutants [-- --only words] [--sim N]`
 *
 * Breaks the daemon on purpose, one mutant at a time, in a copy of the tree, and tells what noticed: the tests that are named, and
 * with `--sim N` also the first of at most N seeds of the simulation. Exit code 1 if a mutant was noticed by nothing, or no longer
 * fits the source.
 */
import { spawn } from 'node:child_process'
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { MUTANTS, type Mutant } from './list.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const COPIED = ['src', 'test', 'sql', 'chains', 'package.json', 'vitest.config.ts', 'tsconfig.json']
const FIRST_SEED = 7_000

const { values } = parseArgs({
  options: { only: { type: 'string', default: '' }, sim: { type: 'string', default: '0' } },
})
const seeds = Number(values.sim)
if (!Number.isSafeInteger(seeds) || seeds < 0) {
  process.stderr.write(`--sim needs a whole number, not ${values.sim}\n`)
  process.exit(2)
}

type Run = { readonly code: number | null; readonly output: string }

function run(directory: string, args: readonly string[]): Promise<Run> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, { cwd: directory, stdio: ['ignore', 'pipe', 'pipe'] })
    let output = ''
    for (const stream of [child.stdout, child.stderr]) stream.on('data', chunk => (output += String(chunk)))
    child.once('error', reject)
    child.once('close', code => resolve({ code, output }))
  })
}

async function copyTree(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'linkdao-mutant-'))
  for (const name of COPIED) await cp(join(ROOT, name), join(directory, name), { recursive: true })
  await symlink(join(ROOT, 'node_modules'), join(directory, 'node_modules'))
  return directory
}

/** What the mutant broke, in words; null: nothing noticed. Throws where it does not fit the source. */
async function tryMutant(mutant: Mutant): Promise<{ readonly tests: string | null; readonly sim: string | null }> {
  const directory = await copyTree()
  try {
    const path = join(directory, mutant.file)
    const source = await readFile(path, 'utf8')
    const places = source.split(mutant.find).length - 1
    if (places !== 1) throw new Error(`what it replaces is ${places} times in ${mutant.file}`)
    await writeFile(
      path,
      source.replace(mutant.find, () => mutant.replace),
    )
    const tests = await run(directory, ['node_modules/vitest/vitest.mjs', 'run', '--bail', '1', ...mutant.tests])
    const name = /(?:FAIL|×)\S*\s+(.+)/.exec(strip(tests.output))?.[1]
    return {
      tests: tests.code === 0 ? null : (name ?? 'the tests do not run').trim(),
      sim: seeds === 0 ? null : await trySeeds(directory),
    }
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

async function trySeeds(directory: string): Promise<string | null> {
  const options = ['--seed', String(FIRST_SEED), '--runs', String(seeds), '--parallel', '4', '--stop']
  const { code, output } = await run(directory, ['test/sim/main.ts', ...options])
  if (code === 0) return null
  return `seed ${/WRONG: ([\d ]+)/.exec(output)?.[1]?.trim() ?? '?'}`
}

/** Without the codes of colours. */
function strip(text: string): string {
  return text.replaceAll(new RegExp(`${String.fromCodePoint(27)}\\[[0-9;]*m`, 'g'), '')
}

let survived = 0
for (const mutant of MUTANTS.filter(({ name }) => name.includes(values.only))) {
  try {
    const { tests, sim } = await tryMutant(mutant)
    if (tests === null && sim === null) survived += 1
    process.stdout.write(`${mutant.name}\n    tests: ${tests ?? 'NOT NOTICED'}\n`)
    if (seeds > 0) process.stdout.write(`    simulation: ${sim ?? `not noticed by ${seeds} seeds`}\n`)
  } catch (error) {
    survived += 1
    process.stdout.write(`${mutant.name}\n    ${error instanceof Error ? error.message : String(error)}\n`)
  }
}
process.exitCode = survived === 0 ? 0 : 1
