/**
 * The nodes that are not Anvil, installed when a test needs them: some 200 MB that nobody who builds or runs this program should have
 * to fetch.
 *
 * Always holds: what runs is what `test/nodes/package-lock.json` says, to the last package; a directory is complete because it is
 * renamed into place, under a name made of all that went into it. Scripts of packages are not run: the binaries ship inside.
 *
 * Why not devDependencies: they would be two packages of three in `npm ci`; and npm on Node 20, which this repository can be installed
 * with, leaves Hardhat's binary out, because it asks for Node 22. Here npm runs on the Node that runs the tests.
 */
import { spawn } from 'node:child_process'
import { createHash, randomUUID } from 'node:crypto'
import { cp, mkdir, readdir, readFile, rename, rm, stat } from 'node:fs/promises'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { TestContext } from 'vitest'

const SOURCE = fileURLToPath(new URL('../../nodes', import.meta.url))
const CACHE = fileURLToPath(new URL('../../../node_modules/.cache/nodes', import.meta.url))
const DEADLINE_MS = 240_000
const MAX_REASON_LENGTH = 400
const NPM_CI = ['ci', '--ignore-scripts', '--no-audit', '--no-fund']

/** Where they are, or why they could not be had. */
export type Installed = { readonly directory: string } | { readonly reason: string }

let installing: Promise<Installed> | null = null

/** Installs them unless they are there already, and tells if that fails. Never throws; takes four minutes at most. */
export function installNodes(): Promise<Installed> {
  installing ??= install().then(installed => {
    if ('reason' in installed) process.stderr.write(`${describeLack(installed.reason)} Their tests are skipped.\n`)
    return installed
  })
  return installing
}

function describeLack(reason: string): string {
  return `The nodes of test/nodes could not be installed: ${reason}.`
}

/**
 * The directory of the nodes. Skips the test where they could not be had, as on a machine without a network.
 *
 * @throws Error in CI, where everything that is promised is to be run
 */
export async function needNodes(context: TestContext): Promise<string> {
  const installed = await installNodes()
  if ('directory' in installed) return installed.directory
  if (process.env['CI'] !== undefined) throw new Error(describeLack(installed.reason))
  return context.skip(describeLack(installed.reason))
}

async function install(): Promise<Installed> {
  const files = (await readdir(SOURCE)).sort()
  const hash = createHash('sha256').update(`${process.platform} ${process.arch} ${process.versions.modules}`)
  for (const file of files) hash.update(`\n${file}\n`).update(await readFile(join(SOURCE, file)))
  const directory = join(CACHE, hash.digest('hex').slice(0, 16))
  if (await isThere(directory)) return { directory }
  const draft = `${directory}.${randomUUID()}`
  try {
    await mkdir(CACHE, { recursive: true })
    await cp(SOURCE, draft, { recursive: true })
    const problem = await runNpm([...NPM_CI, '--loglevel=error', '--fetch-retry-mintimeout=1000'], draft)
    if (problem !== null) return { reason: problem }
    // Somebody else may have been faster: what is there then is the same.
    await rename(draft, directory).catch(() => undefined)
    return (await isThere(directory)) ? { directory } : { reason: 'the directory could not be put in its place' }
  } catch (error) {
    return { reason: error instanceof Error ? error.message : String(error) }
  } finally {
    await rm(draft, { recursive: true, force: true })
  }
}

async function isThere(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined)) !== undefined
}

/** @returns what it complained of, or null */
function runNpm(args: readonly string[], cwd: string): Promise<string | null> {
  const script = process.env['npm_execpath'] ?? ''
  const [file, first] = script.endsWith('.js') ? [process.execPath, [script]] : ['npm', []]
  const path = `${dirname(process.execPath)}${delimiter}${process.env['PATH'] ?? ''}`
  return new Promise(resolve => {
    const child = spawn(file, [...first, ...args], {
      cwd,
      env: { ...process.env, PATH: path },
      stdio: ['ignore', 'ignore', 'pipe'],
      timeout: DEADLINE_MS,
    })
    let output = ''
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
      output = (output + chunk).slice(0, MAX_REASON_LENGTH)
    })
    child.once('error', error => resolve(error.message))
    child.once('close', code =>
      resolve(code === 0 ? null : output.trim().replaceAll(/\s+/g, ' ') || `npm ended with ${code}`),
    )
  })
}
